"""The operators as tables: one constant a family, read by ``operators``.

Shapes: ``x`` of quantizers is a vector, or a matrix (channels, elements) where scales vary by
``axis`` 0; matrices of products are (m, k) and (k, n); images are NCHW, filters OIHW.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product

from refquant_conformance.types import short

__all__ = ["TABLES", "Table"]

Types = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """An operator as it is written down here; see ``operators.Operator``."""

    name: str
    sentence: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    schemes: Mapping[str, Types]
    params: Mapping[str, str]


def _named(slots: tuple[str, ...], rows: Iterable[Types], *suffixes: str) -> dict[str, Types]:
    """Name each row by the short types of ``slots``, once for each suffix."""
    found: dict[str, Types] = {}
    for row, suffix in product(list(rows), suffixes or ("",)):
        found["_".join(short(row[slot]) for slot in slots) + suffix] = row
    return found


_CODES = ("uint8", "int8", "uint16", "int16", "uint4", "int4", "uint2", "int2")
_FP8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
_SMALL = (*_FP8, "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "bfloat16")
_FINE = ("", "_channel", "_block")
_AXIS = {
    "axis": "None, or the axis along which scale and zero_point vary",
    "block_size": "0, or elements along axis that share a scale",
}


def _quantizer(real: str, code: str) -> Types:
    return {"x": real, "scale": real, "zero_point": code, "y": code}


_QUANTIZE = Table(
    "quantize_linear",
    "codes of reals, scale and zero point given",
    ("x", "scale", "zero_point?"),
    ("y",),
    {
        **_named(("x", "y"), [_quantizer("float32", code) for code in _CODES], *_FINE),
        **_named(("x", "y"), [_quantizer("float16", code) for code in ("uint8", "int8")]),
        **_named(("x", "y"), [_quantizer("float32", code) for code in _FP8]),
    },
    _AXIS,
)


def _dequantizer(code: str) -> Types:
    return {"x": code, "scale": "float32", "zero_point": code, "y": "float32"}


_DEQUANTIZE = Table(
    "dequantize_linear",
    "reals of codes",
    ("x", "scale", "zero_point?"),
    ("y",),
    {
        **_named(("x", "y"), [_dequantizer(code) for code in _CODES], *_FINE),
        **_named(("x", "y"), [_dequantizer("int32")]),
        **_named(("x", "y"), [_dequantizer(code) for code in _FP8]),
    },
    _AXIS,
)

_DYNAMIC = Table(
    "dynamic_quantize_linear",
    "codes, scale and zero point of a tensor, chosen from the tensor",
    ("x",),
    ("y", "scale", "zero_point"),
    {
        f"f32_{short(code)}": {
            **{"x": "float32", "y": code},
            **{"scale": "float32", "zero_point": code},
        }
        for code in ("uint8", "int8")
    },
    {},
)

_CHOOSE = Table(
    "choose_qparams",
    "scale and zero point of a tensor's range",
    ("x",),
    ("scale", "zero_point"),
    {
        f"{kind}_{short(code)}": {"x": "float32", "scale": "float32", "zero_point": "int32"}
        for kind in ("symmetric", "asymmetric")
        for code in ("uint8", "int8", "int4", "uint4")
    },
    {"code": "the type of the codes", "symmetric": "whether zero_point is fixed"},
)

_PRODUCTS = (("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8"), ("int8", "uint8"))

_MATMUL_INTEGER = Table(
    "matmul_integer",
    "int32 sums of products of codes",
    ("a", "b", "a_zero_point?", "b_zero_point?"),
    ("y",),
    _named(
        ("a", "b"),
        [
            {"a": a, "b": b, "a_zero_point": a, "b_zero_point": b, "y": "int32"}
            for a, b in _PRODUCTS
        ],
    ),
    {},
)


def _qlinear(names: tuple[str, ...], codes: tuple[str, ...], out: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for name, code in (*zip(names, codes, strict=True), ("y", out)):
        types |= {name: code, f"{name}_scale": "float32", f"{name}_zero_point": code}
    return types


def _slots(*names: str) -> tuple[str, ...]:
    return tuple(slot for name in names for slot in (name, f"{name}_scale", f"{name}_zero_point"))


_BIASED = [{**_qlinear(("a", "b"), pair, pair[0]), "bias": "int32"} for pair in _PRODUCTS]
_CLAMP = {"clamp_min": "None or a code", "clamp_max": "None or a code"}

_QLINEAR_MATMUL = Table(
    "qlinear_matmul",
    "codes of a matrix product, with an int32 bias or without",
    (*_slots("a", "b"), "bias?", "y_scale", "y_zero_point"),
    ("y",),
    _named(("a", "b"), _BIASED, "", "_channel"),
    _CLAMP,
)

_CONV = [{**_qlinear(("x", "w"), pair, pair[0]), "bias": "int32"} for pair in _PRODUCTS]

_QLINEAR_CONV = Table(
    "qlinear_conv",
    "codes of a convolution, with an int32 bias or without",
    (*_slots("x", "w"), "bias?", "y_scale", "y_zero_point"),
    ("y",),
    _named(("x", "w"), _CONV, "", "_channel"),
    {
        "strides": "(rows, columns)",
        "pads": "(top, left, bottom, right)",
        "dilations": "(rows, columns)",
        "group": "1, or the channels of a depthwise convolution",
        **_CLAMP,
    },
)

_DEPTHWISE = replace(
    _QLINEAR_CONV,
    name="qlinear_depthwise_conv",
    sentence="codes of a convolution in which each output channel sees one input channel",
)

_EIGHT = ("uint8", "int8")
_BINARY = _named(("a",), [_qlinear(("a", "b"), (code, code), code) for code in _EIGHT])
_UNARY = _named(("x",), [_qlinear(("x",), (code,), code) for code in _EIGHT])
_WINDOW = {
    "kernel": "(rows, columns)",
    "strides": "(rows, columns)",
    "pads": "as in convolution",
    "count_include_pad": "0, or 1: padding counts as elements of the window",
}


def _binary(name: str, sentence: str) -> Table:
    inputs = (*_slots("a", "b"), "y_scale", "y_zero_point")
    return Table(name, sentence, inputs, ("y",), _BINARY, {})


def _unary(name: str, sentence: str, params: Mapping[str, str]) -> Table:
    inputs = (*_slots("x"), "y_scale", "y_zero_point")
    return Table(name, sentence, inputs, ("y",), _UNARY, params)


TABLES = (
    _QUANTIZE,
    _DEQUANTIZE,
    _DYNAMIC,
    _CHOOSE,
    _MATMUL_INTEGER,
    _QLINEAR_MATMUL,
    _QLINEAR_CONV,
    _DEPTHWISE,
    _binary("qlinear_add", "codes of a sum"),
    _binary("qlinear_mul", "codes of a product, element by element"),
    _unary("qlinear_average_pool", "codes of the means of windows", _WINDOW),
    _unary("qlinear_mean", "codes of means over the last two axes", {}),
    _unary("qlinear_softmax", "codes of a softmax over the last axis", {}),
    _unary("qlinear_sigmoid", "codes of a logistic function", {}),
    _unary("qlinear_tanh", "codes of a hyperbolic tangent", {}),
    _unary("qlinear_leaky_relu", "codes of a leaky ReLU", {"alpha": "the negative slope"}),
)
"""Every operator, in the order of reports."""
