"""Shape inference: the shape of an operator's outputs from those of its inputs.

A shape is a tuple of integers; its first entry may be ``"N"``, the batch, which equals only itself;
so does ``"T"``, the length of a sequence, which may stand anywhere and be summed over.
A graph with ``"N"`` is a function of one sample (docs/spec/rq-format.md, section 3), so what would
mix samples, or move the batch from its place, has no shape here and is refused:

* ``"N"`` is at axis 0 of every result or absent, and no sum or maximum runs along it;
* broadcasting joins ``"N"`` with 1 or ``"N"``, never with another number.

Shapes do not depend on whether the arithmetic is float or integer.

Source: ONNX operators of the same names; broadcasting is NumPy's.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from refquant.model import shapes_compute, shapes_layout, shapes_sequence
from refquant.model.graph import Shape
from refquant.model.operators import UNARY
from refquant.model.operators_hybrid import SHAPES as HYBRID_SHAPES
from refquant.model.operators_imported import SHAPES as IMPORTED_SHAPES
from refquant.model.shapes_common import Attributes, joined, need, sizes

__all__ = ["MAX_ELEMENTS", "MAX_RANK", "check_size", "infer_shapes"]

MAX_RANK = 6
MAX_ELEMENTS = 2**31  # exclusive

Shapes = Sequence[Shape | None]  # None: an absent optional input
Rule = Callable[[str, Sequence[Shape], Attributes], tuple[Shape, ...]]


def infer_shapes(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shapes of the outputs of ``op``; ``ValueError`` if it has no result.

    The node's signature was checked (`refquant.model.operators.check_signature`).

    >>> infer_shapes("Conv", [("N", 3, 8, 8), (5, 3, 3, 3)], {"strides": (2, 2)})
    (('N', 5, 3, 3),)
    """
    present = [shape for shape in shapes if shape is not None]
    if op in _OF_CODES:
        results = shapes_compute.product_of_codes(op, shapes, attributes)
    elif op in _WITH_ABSENT:
        results = _WITH_ABSENT[op](op, shapes, attributes)
    else:
        results = _RULES[op](op, present, attributes)
    for result in results:
        if "N" in result[1:]:
            raise ValueError(f"{op} moves the batch N from axis 0: {list(result)}")
        check_size(op, result)
    return results


def check_size(what: str, shape: Shape) -> None:
    """Refuse a shape of more than 6 axes, or of 2^31 elements or more (a sample).

    >>> check_size("x", ("N", 2**31))
    Traceback (most recent call last):
    ...
    ValueError: x: a shape has less than 2^31 elements, got ['N', 2147483648]
    """
    if len(shape) > MAX_RANK:  # before the product: its time grows with the square of the rank
        raise ValueError(f"{what}: a shape has at most {MAX_RANK} axes, got {len(shape)}")
    if math.prod(sizes(shape)) >= MAX_ELEMENTS:
        raise ValueError(f"{what}: a shape has less than 2^31 elements, got {list(shape)}")


def _unary(op: str, shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, ...]:
    if len(shapes) == 2:
        entries = shapes[1] if shapes[1] == (65536,) else (256,)  # of codes of 16 bits
        need(op, "the table (input 1)", shapes[1], entries)
    return (shapes[0],)


def _same(op: str, shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, ...]:
    return (shapes[0],)


def _binary(op: str, shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, ...]:
    return (joined(op, shapes[0], shapes[1]),)


def _dynamic(op: str, shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, ...]:
    return (shapes[0], (), ())


# An absent input among others: these rules count places.
_WITH_ABSENT: Mapping[str, Callable[[str, Shapes, Attributes], tuple[Shape, ...]]] = {
    "Attention": shapes_sequence.attention,
    "DynamicQuantizeGRU": shapes_sequence.recurrent,
    "DynamicQuantizeLSTM": shapes_sequence.recurrent,
    "GRU": shapes_sequence.recurrent,
    "LSTM": shapes_sequence.recurrent,
}
_OF_CODES = (
    *("MatMulInteger", "ConvInteger"),
    *("MatMulIntegerToFloat", "ConvIntegerToFloat", "ConvTransposeIntegerToFloat"),
)
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _binary),
    **dict.fromkeys(("Identity", "QuantizeLinear", "DequantizeLinear"), _same),
    **dict.fromkeys(("MaxPool", "AveragePool"), shapes_compute.pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), shapes_compute.global_pool),
    "Conv": shapes_compute.conv,
    "Gemm": shapes_compute.gemm,
    "MatMul": shapes_compute.matmul,
    "Softmax": shapes_compute.softmax,
    "Reshape": shapes_layout.reshape,
    "Flatten": shapes_layout.flatten,
    "Transpose": shapes_layout.transpose,
    "Concat": shapes_layout.concat,
    "Pad": shapes_layout.pad,
    "BatchNormalization": shapes_compute.batch_norm,
    "FakeQuantize": shapes_layout.fake_quantize,
    "Hadamard": shapes_compute.hadamard,
    "Slice": shapes_layout.slice_axes,
    "Squeeze": shapes_layout.squeeze,
    "Unsqueeze": shapes_layout.unsqueeze,
    "Cast": _same,
    "Gather": shapes_sequence.gather,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), shapes_sequence.normalization),
    "RotaryEmbedding": shapes_sequence.rotary,
    **dict.fromkeys(("ReduceMean", "ReduceSum"), shapes_sequence.reduction),
    "DynamicQuantizeLinear": _dynamic,
    **IMPORTED_SHAPES,
    **HYBRID_SHAPES,
}
