"""Functions of one int8 tensor as the 256 codes that a tool computes for them.

TFLite's kernels, optimized and reference, fill a table (LOGISTIC, TANH, ELU, GELU, EXP) or compute
in fixed point (`refquant.model.importers.tflite_fixed`); XNNPACK fills a table, and rescales with 8
bits what it takes (LOGISTIC, TANH, ELU, LEAKY_RELU, QUANTIZE):

    tflite     f32(round_half_away(f32(f(f32(s (q - z))) * f32(1/s'))) + z'), clamped            (1)
    rescaled   z' + requantize(q - z, s / s'), gemmlowp_double: QUANTIZE of codes                (2)
    xnnpack    round_half_even(f32(f32(f(f32(s (q - z))) * f32(1/s')) + z')), clamped            (3)
    converted  (m (q - z) + 256 z' + 128) >> 8, m = round_half_even(256 f32(s / s')), clamped    (4)

The zero point of (3) comes before rounding; (4) is QUANTIZE of codes by XNNPACK. f is computed in
float64 and rounded to float32; a libm may make the neighbour of it, and in rare places another
code: one of 51,200 of TANH by XNNPACK, none of the others, as measured.

LOG is (1) with the least real of the output for what has no logarithm; SQRT truncates where (1)
rounds. NEG turns the sign of the code itself, whatever it means, and leaves -128 as it is.

Left out: SQUARE, FLOOR, CEIL, ROUND, SIN and COS of int8: LiteRT has no kernels for them.

References: LiteRT ``kernels/internal/common.h`` (LUTPopulate), ``reference/requantize.h``,
``kernels/activations.cc``; XNNPACK ``src/reference/unary-elementwise.cc``.
"""

from collections.abc import Callable, Mapping
from math import erf, expm1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.model.graph import Attribute
from refquant.model.importers import tflite_fixed as fixed
from refquant.model.importers import tflite_roots as roots
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_away

__all__ = ["OPERATORS", "table_of"]

F32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

OPERATORS: Mapping[str, tuple[str, Mapping[str, Attribute]]] = {
    "LOGISTIC": ("Sigmoid", {}),
    "TANH": ("Tanh", {}),
    "RELU": ("Relu", {}),
    "RELU6": ("Clip", {"min": 0.0, "max": 6.0}),
    "RELU_N1_TO_1": ("Clip", {"min": -1.0, "max": 1.0}),
    "LEAKY_RELU": ("LeakyRelu", {}),
    "ELU": ("Elu", {}),
    "HARD_SWISH": ("HardSwish", {}),
    "GELU": ("Gelu", {}),
    "EXP": ("Exp", {}),
    "ABS": ("Abs", {}),
    "NEG": ("Neg", {}),
    "SQRT": ("Sqrt", {}),
    "LOG": ("Log", {}),
    "RSQRT": ("Requantize", {}),
    **{op: (op.capitalize(), {}) for op in ("FLOOR", "CEIL", "ROUND")},
}
"""TFLite's name -> ours, and the attributes."""

_BY_TABLE: Mapping[str, Callable[[float], float]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "ELU": lambda x: expm1(x) if x < 0 else x,
    "EXP": np.exp,
    "GELU": lambda x: 0.5 * x * (1 + erf(x * 0.7071067811865476)),
    "GELU tanh": lambda x: 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
}
_OF_OFFSETS: Mapping[str, Callable[[Int64, QParams, QParams], NDArray[Any]]] = {
    "ABS": fixed.absolute,
    "HARD_SWISH": fixed.hard_swish,
    "LOG": roots.logarithm,
    "SQRT": roots.square_root,
    "RSQRT": roots.inverse_square_root,
}


def table_of(
    contract: Contract, op: str, x: QParams, y: QParams, *, alpha: float = 0.0, tanh: bool = False
) -> NDArray[np.int8]:
    """Return the codes of ``op`` for the int8 codes -128 ... 127: eqs. (1) to (4).

    ``alpha`` is the slope of LEAKY_RELU, ``tanh`` says that GELU is approximate.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> unit = QParams(np.float32(1 / 256), np.int32(-128), None, "int8")
    >>> table_of(preset("xnnpack"), "LOGISTIC", one, unit)[[0, 127, 128, 255]].tolist()
    [-128, -59, 0, 127]
    """
    offset = np.arange(-128, 128) - int(x.zero_point)
    delegated = contract.name == "xnnpack"
    codes: NDArray[Any]
    if op in _BY_TABLE:
        function = _BY_TABLE[f"{op} tanh" if tanh else op]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            real = offset.astype(np.float32) * np.float32(x.scale)
            made = np.array([function(v) for v in real.astype(np.float64)]).astype(np.float32)
        codes = _tabled(made, y, early=delegated)
    elif op == "QUANTIZE":
        codes = _converted(offset, x, y) if delegated else _rescaled(offset, x, y)
    elif op in fixed.BOUNDS:
        codes = fixed.bounded(op, offset, x, y)
    elif op == "LEAKY_RELU":
        leaky = fixed.leaky_relu_delegated if delegated else fixed.leaky_relu
        codes = leaky(offset, np.float32(alpha), x, y)
    elif op in _OF_OFFSETS:
        codes = _OF_OFFSETS[op](offset, x, y)
    elif op == "NEG":
        codes = -np.arange(-128, 128).astype(np.int8)
    else:
        raise UnsupportedError("of int8 is not known")
    return np.asarray(np.clip(codes, -128, 127), np.int8)


def _tabled(made: F32, y: QParams, *, early: bool) -> F32:
    """Eq. (3) if the zero point comes ``early``, else eq. (1); not clamped."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = made * (np.float32(1) / np.float32(y.scale))
        zero_point = np.float32(y.zero_point)
        return np.rint(steps + zero_point) if early else round_half_away(steps) + zero_point


def _converted(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Eq. (4), not clamped."""
    multiplier = int(np.rint(np.float32(256) * (np.float32(x.scale) / np.float32(y.scale))))
    codes: Int64 = (multiplier * offset + 256 * int(y.zero_point) + 128) >> 8
    return codes


def _rescaled(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Eq. (2), not clamped."""
    multiplier = np.float64(x.scale) / np.float64(y.scale)
    return requantize(offset, multiplier, mode="gemmlowp_double") + int(y.zero_point)
