"""Operators that move codes as tables: what copies elements, or chooses among them.

``max_pool`` and ``move`` have one scale and zero point, of input and output; ``qlinear_concat`` has
one for each operand and another for the output, so that operands may have to be rescaled.

What moves is said by parameters, all of them constants: ``move`` has the parameter ``kind``, and
those that go with it::

    reshape    shape (of as many axes)        gather   axis, indices (of that axis, from 0)
    transpose  perm                           pad      pads: all begins, then all ends
    slice      starts, ends (one an axis)     concat   axis: x, and x again behind it
"""

from collections.abc import Mapping

from refquant_conformance.operators_tables import Table

__all__ = ["MOVEMENT"]

_EIGHT = {"u8": "uint8", "i8": "int8"}


def _ruled(*names: str) -> tuple[str, ...]:
    return tuple(slot for name in names for slot in (name, f"{name}_scale", f"{name}_zero_point"))


def _operands(code: str) -> Mapping[str, str]:
    types: dict[str, str] = {}
    for name in ("a", "b", "y"):
        types |= {name: code, f"{name}_scale": "float32", f"{name}_zero_point": code}
    return types


_ONE_RULE = {
    name: {"x": code, "scale": "float32", "zero_point": code, "y": code}
    for name, code in _EIGHT.items()
}

_CONCAT = Table(
    "qlinear_concat",
    "codes of one tensor, then those of another, along an axis",
    (*_ruled("a", "b"), "y_scale", "y_zero_point"),
    ("y",),
    {name: _operands(code) for name, code in _EIGHT.items()},
    {"axis": "the axis along which b follows a"},
)

_MAX_POOL = Table(
    "max_pool",
    "the largest code of each window",
    ("x", "scale", "zero_point"),
    ("y",),
    _ONE_RULE,
    {
        "kernel": "(rows, columns)",
        "strides": "(rows, columns)",
        "pads": "(top, left, bottom, right): padding is no element of a window",
    },
)

_MOVE = Table(
    "move",
    "codes at other places",
    ("x", "scale", "zero_point"),
    ("y",),
    _ONE_RULE,
    {
        "kind": "reshape, transpose, slice, gather, pad (with the zero point) or concat",
        "shape": "of reshape",
        "perm": "of transpose",
        "starts": "of slice, one an axis",
        "ends": "of slice, one an axis, exclusive",
        "axis": "of gather and concat",
        "indices": "of gather",
        "pads": "of pad: all begins, then all ends",
    },
)

_PLACES = {
    "size": "(rows, columns) of the output",
    "coordinates": "asymmetric, half_pixel or align_corners, as ONNX has them",
}

_NEAREST = Table(
    "resize_nearest",
    "codes of an image of another size, each that of the nearest place (asymmetric: of the "
    "place before)",
    ("x", "scale", "zero_point"),
    ("y",),
    _ONE_RULE,
    _PLACES,
)

_BILINEAR = Table(
    "resize_bilinear",
    "codes of an image of another size, each between those of four places",
    ("x", "scale", "zero_point"),
    ("y",),
    _ONE_RULE,
    _PLACES,
)

MOVEMENT = (_CONCAT, _MAX_POOL, _MOVE, _NEAREST, _BILINEAR)
"""Every operator of this family, in the order of reports."""
