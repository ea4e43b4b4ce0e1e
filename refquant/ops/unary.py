"""Unary operators: real functions, and the tables of 256 codes they become.

An 8-bit input has 256 values, so a quantized unary operator, whatever it is, is a table:

    table[i] = quantize(f(dequantize(qmin + i)))         i = 0 ... 255                         (1)
    q_y      = table[q_x - qmin]                                                               (2)

with qmin of the input's dtype.  The table is computed here, once, and travels in the model file:
``exp`` on another machine may differ in the last bit, a table cannot.

``Requantize`` is the table of f(x) = x.  ``Relu`` and ``Clip`` need no table when input and output
have equal parameters: then they compare codes.

Left out: 16-bit tables.

Source: ``docs/spec/operators.md`` §1 and §4; the functions: :mod:`refquant.numerics.elementary`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.formats.affine import QParams
from refquant.numerics import elementary
from refquant.numerics.ranges import dtype_range
from refquant.ops.rescale import clamp_codes, need_float32, scalar_parameters

__all__ = [
    "UNARY",
    "UNARY_ATTRIBUTES",
    "apply_table",
    "apply_unary",
    "clip_quantized",
    "relu_quantized",
    "unary_table",
]

Float = NDArray[np.float32]
Codes = NDArray[Any]
Attributes = Mapping[str, Any]
Function = Callable[[Float, Attributes], Float]

_NONE: Attributes = MappingProxyType({})

UNARY_ATTRIBUTES: Mapping[str, Attributes] = MappingProxyType(
    {
        "Clip": MappingProxyType({"min": None, "max": None}),
        "Elu": MappingProxyType({"alpha": 1.0}),
        "Gelu": MappingProxyType({"approximate": "none"}),
        "HardSigmoid": MappingProxyType({"alpha": 0.2, "beta": 0.5}),
        "LeakyRelu": MappingProxyType({"alpha": 0.01}),
    }
)
"""The attributes of those operators that have any, with ONNX's defaults (None: no bound)."""


def _identity(x: Float) -> Float:
    return x.copy()


def _negative(x: Float) -> Float:
    return np.negative(x)


def _sqrt(x: Float) -> Float:
    with np.errstate(invalid="ignore"):  # of a negative number: NaN
        y: Float = np.sqrt(x)
    return y


def _clip(x: Float, *, min: float | None, max: float | None) -> Float:
    return elementary.clip(x, minimum=min, maximum=max)


def _gelu(x: Float, *, approximate: str) -> Float:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"Gelu: attribute approximate must be none or tanh, got {approximate!r}")
    return elementary.gelu(x) if approximate == "none" else elementary.gelu_tanh(x)


def _with_attributes(op: str, function: Callable[..., Float]) -> Function:
    """Return ``fn(x, attributes)``: checks the attributes, fills in the defaults, calls."""
    defaults = UNARY_ATTRIBUTES.get(op, _NONE)

    def call(x: Float, attributes: Attributes = _NONE) -> Float:
        need_float32(op, x=x)
        for name, value in attributes.items():
            if name not in defaults:
                known = ", ".join(defaults) or "no attributes"
                raise ValueError(f"{op}: unknown attribute {name} = {value!r}; {op} has {known}")
            if isinstance(defaults[name], str):
                continue  # a word: its function knows which there are
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise ValueError(f"{op}: attribute {name} must be a number, got {value!r}")
        return np.asarray(function(x, **{**defaults, **attributes}), np.float32)

    return call


_FUNCTIONS: Mapping[str, Callable[..., Float]] = MappingProxyType(
    {
        "Abs": np.abs,
        "Clip": _clip,
        "Elu": elementary.elu,
        "Erf": elementary.erf,
        "Exp": elementary.exp,
        "Gelu": _gelu,
        "HardSigmoid": elementary.hard_sigmoid,
        "HardSwish": elementary.hard_swish,
        "Identity": _identity,
        "LeakyRelu": elementary.leaky_relu,
        "Log": elementary.log,
        "Neg": _negative,
        "Relu": elementary.relu,
        "Requantize": _identity,
        "Sigmoid": elementary.sigmoid,
        "Softplus": elementary.softplus,
        "Sqrt": _sqrt,
        "Swish": elementary.swish,
        "Tanh": elementary.tanh,
    }
)

UNARY: Mapping[str, Function] = MappingProxyType(
    {op: _with_attributes(op, function) for op, function in _FUNCTIONS.items()}
)
"""Every unary operator: name -> ``fn(x float32, attributes) -> float32``."""


def apply_unary(op: str, x: Float, attributes: Attributes = _NONE) -> Float:
    """Return the real function ``op`` of ``x``; an unknown name is an error that lists all.

    >>> apply_unary("LeakyRelu", np.array([-2.0, 3.0], np.float32), {"alpha": 0.5}).tolist()
    [-1.0, 3.0]
    """
    if op not in UNARY:
        raise ValueError(f"unary operator must be one of {', '.join(UNARY)}; got {op!r}")
    return UNARY[op](x, attributes)


def unary_table(
    op: str,
    attributes: Attributes,
    x_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    *,
    behind: Sequence[tuple[str, float]] = (),
) -> Codes:
    """Return the 256 codes of y, one for each code of x in ascending order: eq. (1).

    ``behind``: what `Mul` and `Add` of numbers do to f(x) before it is quantized, in float32.

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> table = unary_table("Abs", {}, one, one, preset("onnx"))
    >>> table[:3].tolist(), table.shape
    ([127, 127, 126], (256,))
    """
    for name, qparams in (("x", x_qparams), ("y", y_qparams)):
        scalar_parameters(op, name, qparams)
        if qparams.dtype not in ("int8", "uint8"):
            raise ValueError(f"{op}: {name} of a table must be int8 or uint8, got {qparams.dtype}")
    qmin, qmax = dtype_range(x_qparams.dtype)
    every_code = np.arange(qmin, qmax + 1).astype(x_qparams.dtype)
    real = apply_unary(op, affine.dequantize(every_code, x_qparams), attributes)
    for step, number in behind:
        real = real * np.float32(number) if step == "Mul" else real + np.float32(number)
    return affine.quantize(real, y_qparams, contract=contract)


def apply_table(q: Codes, table: Codes) -> Codes:
    """Return ``table[q - qmin]`` for codes ``q`` of 8 or 16 bits, one entry a code: eq. (2).

    >>> apply_table(np.array([-128, 127], np.int8), np.arange(256).astype(np.uint8)).tolist()
    [0, 255]
    """
    if q.dtype.kind not in "iu" or q.itemsize > 2 or table.shape != (1 << 8 * q.itemsize,):
        raise ValueError(
            f"a table needs 8-bit codes and 256 entries, or 16 bits and 65536, got codes "
            f"{q.dtype}, table {table.shape}"
        )
    qmin, _ = dtype_range(q.dtype.name)
    codes: Codes = table[q.astype(np.intp) - qmin]
    return codes


def relu_quantized(q: Codes, qparams: QParams) -> Codes:
    """Return max(q, z): ``Relu`` where input and output share ``qparams``.

    >>> half = QParams(scale=np.float32(0.5), zero_point=np.int32(1), block_shape=None,
    ...                dtype="int8")
    >>> relu_quantized(np.array([-4, 9], np.int8), half).tolist()
    [1, 9]
    """
    scale, zero_point = scalar_parameters("Relu", "x", qparams)
    if scale < 0:
        raise ValueError(f"Relu: codes are in order only for scale > 0, got {scale}; use a table")
    codes: Codes = np.maximum(q, np.asarray(zero_point).astype(q.dtype))
    return codes


def clip_quantized(
    q: Codes, *, clamp_min: int | None = None, clamp_max: int | None = None
) -> Codes:
    """Return the codes clamped to codes: ``Clip`` where input and output share parameters.

    >>> clip_quantized(np.array([-4, 9], np.int8), clamp_min=0, clamp_max=6).tolist()
    [0, 6]
    """
    return clamp_codes("Clip", q, q.dtype.name, clamp_min, clamp_max)
