"""Operators of weights and of methods as tables: layers in containers, codebooks, searches.

``layer_pack`` and ``layer_unpack`` are between the codes of a layer and the tensors of a GPTQ or an
AWQ checkpoint; ``codebook_quantize`` writes NF4 and the FP4 of bitsandbytes; ``block_matmul``
multiplies float32 by blocks of ggml; ``wide_matmul`` sums products of 16-bit codes.

The rest are methods, which have laws and no bits that all must agree on: ``gptq_quantize``,
``scale_channels``, ``rotate``, ``calibrate``, ``stochastic_cast``. ``save`` reads a file and writes
it again.

Left out: what a method needs to know of a model (which layers share scales, behind which norm).
"""

from refquant_conformance.operators_formats import BLOCKS, FILES
from refquant_conformance.operators_tables import Table

__all__ = ["METHODS"]

_LAYERS = ("gptq", "awq")
_GROUPS = {"group_size": "in_features that share a zero point and a scale"}
_LAYER_PACK = Table(
    "layer_pack",
    "the tensors of a checkpoint of a layer's 4-bit codes and zero points",
    ("x", "zeros"),
    ("qweight", "qzeros"),
    {
        name: {"x": "uint8", "zeros": "uint8", "qweight": "int32", "qzeros": "int32"}
        for name in _LAYERS
    },
    _GROUPS,
)
_LAYER_UNPACK = Table(
    "layer_unpack",
    "float32 (in, out) of the tensors of a checkpoint of 4 bits",
    ("qweight", "qzeros", "scales"),
    ("y",),
    {
        name: {"qweight": "int32", "qzeros": "int32", "scales": "float32", "y": "float32"}
        for name in _LAYERS
    },
    {**_GROUPS, "convention": "of zero points, as a checkpoint's metadata names it: v1, v2, awq"},
)
_CODEBOOK = Table(
    "codebook_quantize",
    "codes of a row, and the largest magnitude of each block",
    ("x",),
    ("y", "absmax"),
    {name: {"x": "float32", "y": "uint8", "absmax": "float32"} for name in ("nf4", "bnb_fp4")},
    {"block_size": "neighbours that share a magnitude", "book": "nf4 or bnb_fp4"},
)
_BLOCK_MATMUL = Table(
    "block_matmul",
    "float32 products of the rows of x and the rows of w, which are blocks",
    ("x", "w"),
    ("y",),
    {name: {"x": "float32", "w": "bytes", "y": "float32"} for name in BLOCKS},
    {},
)
_WIDE = Table(
    "wide_matmul",
    "int16 of the product of int16 rows and int8 columns; the zero points are 0",
    ("a", "a_scale", "b", "b_scale", "y_scale"),
    ("y",),
    {
        "i16_i8": {
            **{"a": "int16", "b": "int8", "y": "int16"},
            **dict.fromkeys(("a_scale", "b_scale", "y_scale"), "float32"),
        }
    },
    {},
)
_GPTQ = Table(
    "gptq_quantize",
    "codes of a weight (out, in) whose error weighs as the Hessian h (in, in) says",
    ("w", "h"),
    ("y", "scale"),
    {"i4": {"w": "float32", "h": "float64", "y": "int8", "scale": "float32"}},
    {"act_order": "1: columns in the order of the diagonal, largest first; codes as w is ordered"},
)
_SCALES = Table(
    "scale_channels",
    "a weight (out, in) times a scale a column that activations x (rows, in) are divided by",
    ("w", "x"),
    ("y", "scale"),
    {
        name: {"w": "float32", "x": "float32", "y": "float32", "scale": "float32"}
        for name in ("awq", "smoothquant")
    },
    {},
)
_ROTATE = Table(
    "rotate",
    "rows times an orthonormal Hadamard matrix",
    ("x",),
    ("y",),
    {"f32": {"x": "float32", "y": "float32"}},
    {"inverse": "1: times the transpose"},
)
_CALIBRATE = Table(
    "calibrate",
    "the range that an observer chooses after the rows of x, and how many elements it counted",
    ("x",),
    ("low", "high", "count"),
    {
        name: {"x": "float32", "low": "float32", "high": "float32", "count": "int64"}
        for name in ("percentile", "entropy", "mse_histogram", "histogram")
    },
    {},
)
_STOCHASTIC = Table(
    "stochastic_cast",
    "small floats of float32, up or down by chance",
    ("x",),
    ("y",),
    {
        "f32_bf16": {"x": "float32", "y": "bfloat16"},
        "f32_e4m3fn": {"x": "float32", "y": "float8_e4m3fn"},
        "f32_e5m2": {"x": "float32", "y": "float8_e5m2"},
    },
    {"seed": "of the generator: the same seed, the same codes"},
)
_SAVE = Table(
    "save",
    "the bytes of a file that was read and is written again",
    ("x",),
    ("y",),
    {name: {"x": "bytes", "y": "bytes"} for name in FILES},
    {},
)

METHODS = (
    *(_LAYER_PACK, _LAYER_UNPACK, _CODEBOOK, _BLOCK_MATMUL, _WIDE),
    *(_GPTQ, _SCALES, _ROTATE, _CALIBRATE, _STOCHASTIC, _SAVE),
)
"""Every operator of this family, in the order of reports."""
