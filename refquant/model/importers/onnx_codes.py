"""Codes of an ONNX model as values of ours: scales, zero points, constants, tables.

ONNX has scale and zero point as inputs of nodes; a `Graph` has them as the meaning of a value. One
number each is a parameter of the whole value; an array along ``axis``, or in blocks of
``block_size`` along it, goes with a constant only:

    per axis      scale [C]          -> block_shape: 1 along the axis, all of every other axis
    in blocks     scale like x       -> block_shape: block_size along the axis, 1 on every other

References: ONNX ``DequantizeLinear`` (opset 21), ``QuantizeLinear``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams
from refquant.model.graph import DTYPES, Quant
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Scope, Unsupported
from refquant.ops.unary import unary_table

__all__ = [
    "ORT_ELEMENTWISE",
    "TINY",
    "check_reading",
    "coded_constant",
    "meaning",
    "number_of",
    "requantized",
    "table_of",
    "tabled",
]

Array = NDArray[Any]

ORT_ELEMENTWISE: Contract = replace(
    preset("ort"),
    name="ort_elementwise",
    zero_point_at="before_rounding",
    requantize="float_zp_before_round_f32",
    add="scale_ratios",
    softmax="float_table_quotient",
)
"""What onnxruntime 1.32 computes by in Add, Mul, AveragePool, Softmax of codes: as ``ort``, but the
zero point is added before rounding, so ties go another way where it is odd; and sums are of ratios.
Measured on x86-64 with AVX2, all pairs of codes: the sums of others may differ in the last bit
before rounding, and what they make of a result beyond int32 is their own."""

TINY = np.float32(2.0**-126)
"""The least scale of a bias: what onnxruntime's quantizer gives a dead channel may be subnormal."""


def number_of(array: Array | None, what: str) -> float | int:
    """Return the one number in ``array``; 0 if it is absent.

    >>> number_of(np.array([3], np.uint8), "zero point")
    3
    """
    if array is None:
        return 0
    if array.size != 1:
        raise Unsupported(f"{what} is one number, got {list(array.shape)}")
    number = array.ravel()[0]
    return float(np.float32(number)) if array.dtype.kind == "f" else int(number)


def meaning(scale: Array, zero_point: Array | None) -> Quant:
    """Return what the codes of a computed value mean.

    >>> meaning(np.array(0.5, np.float32), np.array(3, np.uint8))
    Quant(scale=0.5, zero_point=3, block_shape=None, table=None, g_idx=None)
    """
    if scale.dtype != np.float32:
        raise Unsupported(f"a scale of {scale.dtype}; float32 is computed with")
    number_of(scale, "the scale")
    _check_scales(scale, TINY)
    return Quant(float(number_of(scale, "the scale")), int(number_of(zero_point, "the zero point")))


def _check_scales(scale: Array, least: np.float32) -> None:
    bad = scale[~(np.isfinite(scale) & (np.abs(scale) >= least))]
    if bad.size:
        raise Unsupported(f"scales are finite, not 0 and not subnormal, got {bad.ravel()[0]!s}")


def check_reading(s: Scope, node: OnnxNode, codes: str, place: int, quant: Quant | None) -> None:
    """Refuse a zero point (input ``place``) of another dtype than the value ``codes``.

    And ``quant`` where computed codes mean something else already.
    """
    if s.has(node, place) and s.dtype(node.inputs[place]) != s.dtype(codes):
        zero = s.dtype(node.inputs[place])
        raise Unsupported(f"the zero point (input {place}) is {zero}, the codes are "
                          f"{s.dtype(codes)}")  # fmt: skip
    if quant is not None and (own := s.b.values[s.value_of(codes)].quant) != quant:
        means = "nobody knows what" if own is None else _said(own)
        raise Unsupported(f"codes of {means} are read as codes of {_said(quant)}")


def _said(quant: Quant) -> str:
    return f"scale {quant.scale} and zero point {quant.zero_point}"


def coded_constant(
    s: Scope,
    name: str,
    codes: Array,
    dtype: str,
    scale: Array,
    zero_point: Array | None,
    *,
    axis: int = 1,
    block_size: int = 0,
) -> str:
    """Add the constant ``codes``, with their meaning, and return its name.

    >>> from refquant.model.build import Builder
    >>> s = Scope(Builder("g"), 21, frozenset())
    >>> w = np.zeros((2, 3), np.int8)
    >>> coded_constant(s, "w", w, "int8", np.ones(3, np.float32), None, axis=1)
    'w'
    >>> s.b.values["w"].quant.block_shape
    (2, 1)
    """
    if dtype not in DTYPES or scale.dtype != np.float32:
        raise Unsupported(f"codes of {dtype} with scales of {scale.dtype}")
    if dtype == "int32":  # a bias, whose scale is for people
        _check_scales(scale, np.float32(0))
        scale = np.maximum(scale, TINY)
    _check_scales(scale, TINY)
    if scale.size == 1 and not block_size:
        quant = meaning(scale, zero_point)
    else:
        quant = _blocks(s, name, codes.shape, scale, zero_point, axis, block_size)
    label = name
    while label in s.b.values:
        value = s.b.values[label]
        if (value.dtype, value.quant) == (dtype, quant) and np.array_equal(
            s.b.constants.get(label, np.zeros(0)), codes
        ):
            return label
        label += "_"
    return s.b.constant(label, codes.astype(DTYPES[dtype].container), dtype=dtype, quant=quant)


def _blocks(
    s: Scope,
    name: str,
    shape: tuple[int, ...],
    scale: Array,
    zero_point: Array | None,
    axis: int,
    block_size: int,
) -> Quant:
    if not -len(shape) <= axis < len(shape):
        raise Unsupported(f"axis {axis} of {list(shape)}")
    axis %= len(shape)
    if block_size:
        block = tuple(block_size if i == axis else 1 for i in range(len(shape)))
    else:
        block = tuple(1 if i == axis else max(d, 1) for i, d in enumerate(shape))
    grid = tuple(-(-d // b) for d, b in zip(shape, block, strict=True))
    if scale.size != np.prod(grid, dtype=np.int64):
        raise Unsupported(f"scales {list(scale.shape)} for codes {list(shape)}")
    zero: int | str = 0
    if zero_point is not None and zero_point.size not in (1, scale.size):
        raise Unsupported(f"zero points {list(zero_point.shape)} for {list(scale.shape)}")
    if zero_point is not None and zero_point.any():
        if zero_point.size != scale.size:
            raise Unsupported(f"zero points {list(zero_point.shape)} for {list(scale.shape)}")
        zero = s.constant(f"{name}/zero_point", zero_point.astype(np.int32).reshape(grid))
    return Quant(s.constant(f"{name}/scale", scale.reshape(grid)), zero, block)


def qparams(dtype: str, quant: Quant) -> QParams:
    """Return the parameters of a value quantized per tensor.

    >>> qparams("int8", Quant(0.5, 3)).dtype
    'int8'
    """
    if not isinstance(quant.scale, float) or not isinstance(quant.zero_point, int):
        raise Unsupported("a computed value is quantized per tensor")
    return QParams(np.float32(quant.scale), np.int32(quant.zero_point), None, dtype)


def table_of(
    s: Scope, op: str, attributes: Mapping[str, Any], x: str, dtype: str, quant: Quant
) -> Array:
    """Return the codes of the result for each of the 256 codes of the value ``x``.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> s = Scope(Builder("g"), 21, frozenset(), contract=preset("ort"))
    >>> x = s.b.input("x", ("N", 2), dtype="uint8", quant=Quant(1.0, 0))
    >>> table_of(s, "Neg", {}, x, "int8", Quant(1.0, 0))[:3].tolist()
    [0, -1, -2]
    """
    value = s.b.values[x]
    assert value.quant is not None, "the caller has codes"
    assert s.contract is not None, "the importer has a contract"
    if DTYPES[value.dtype].bits != 8 or DTYPES[dtype].bits != 8:
        raise Unsupported(f"{op} of 8-bit codes is a table, these are {value.dtype} and {dtype}")
    parameters = qparams(value.dtype, value.quant), qparams(dtype, quant)
    return unary_table(op, attributes, *parameters, s.contract)


def tabled(
    s: Scope, op: str, attributes: Mapping[str, Any], x: str, output: str, dtype: str, quant: Quant
) -> str:
    """Add the unary ``op`` of the codes ``x`` as a table; return its output."""
    table = s.constant(f"{output}/table", table_of(s, op, attributes, x, dtype, quant))
    return s.node(op, [x, table], output, contract=s.contract, dtype=dtype, quant=quant)


def requantized(s: Scope, x: str, output: str, dtype: str, quant: Quant) -> str:
    """Return the codes ``x`` on the ruler ``quant``: themselves, or by a table."""
    value = s.b.values[x]
    if (value.dtype, value.quant) == (dtype, quant):
        return x
    return tabled(s, "Requantize", {}, x, output, dtype, quant)
