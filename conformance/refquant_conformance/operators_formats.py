"""Operators of formats as tables: casts, packed codes, blocks, and files that are loaded.

``cast`` and ``decode`` are the two ways between numbers and small floats; ``pack`` and ``unpack``
between codes and bytes; ``block_quantize`` and ``block_dequantize`` between float32 and blocks of
bytes. ``load`` has no outputs: its answer is that a file is taken, or refused.

Left out: where bytes of a packed matrix go in the tensors of one tool (columns of words, tiles);
that is a layout of tensors, and this is one row of codes.
"""

from refquant_conformance.operators_tables import Table
from refquant_conformance.types import SMALL_FLOATS, short

__all__ = ["BLOCKS", "FILES", "FORMATS"]

_SOURCES = ("float32", "float64", "float16")
_CAST = Table(
    "cast",
    "small floats of numbers",
    ("x",),
    ("y",),
    {
        **{
            f"{short(source)}_{short(target)}": {"x": source, "y": target}
            for target in (*SMALL_FLOATS, "float16")
            for source in _SOURCES
            if source != target
        },
        # Of the others, float32 holds every integer that is not beyond the range.
        "i64_bf16": {"x": "int64", "y": "bfloat16"},
    },
    {"saturate": "None: whatever this backend does; 1 or 0: as an attribute of the operator says"},
)

_DECODE = Table(
    "decode",
    "float32 of small floats",
    ("x",),
    ("y",),
    {f"{short(code)}_f32": {"x": code, "y": "float32"} for code in SMALL_FLOATS},
    {},
)

_PACKED = ("uint2", "int2", "uint4", "int4")
_WIDTHS = {f"u{bits}": bits for bits in (1, 3, 5, 6, 7)}  # no type of their own: codes in uint8
_COUNT = {
    "num_bits": "width of a code",
    "count": "codes in a row (of unpack: the bytes hold at least as many)",
}


def _packing(x: str, data: str) -> dict[str, dict[str, str]]:
    named = {short(code): {x: code, data: "bytes"} for code in _PACKED}
    return {**named, **{name: {x: "uint8", data: "bytes"} for name in _WIDTHS}}


_PACK = Table("pack", "bytes of rows of codes", ("x",), ("y",), _packing("x", "y"), _COUNT)
_UNPACK = Table("unpack", "rows of codes of bytes", ("x",), ("y",), _packing("y", "x"), _COUNT)

BLOCKS = (
    *("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"),
    *("iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "mxfp4", "nvfp4"),
)
"""The block formats, by the names that ggml gives them."""

_BLOCK_QUANTIZE = Table(
    "block_quantize",
    "bytes of blocks of float32",
    ("x",),
    ("y",),
    {name: {"x": "float32", "y": "bytes"} for name in BLOCKS},
    {},
)
_BLOCK_DEQUANTIZE = Table(
    "block_dequantize",
    "float32 of blocks of bytes",
    ("x",),
    ("y",),
    {name: {"x": "bytes", "y": "float32"} for name in BLOCKS},
    {},
)

FILES = ("gguf", "onnx", "rq", "safetensors", "tflite")
"""The formats of files."""

_LOAD = Table(
    "load",
    "whether a file is taken or refused",
    ("x",),
    (),
    {name: {"x": "bytes"} for name in FILES},
    {},
)

FORMATS = (_CAST, _DECODE, _PACK, _UNPACK, _BLOCK_QUANTIZE, _BLOCK_DEQUANTIZE, _LOAD)
"""Every operator of this family, in the order of reports."""
