"""Operators that compute nothing: RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, PAD, CONCATENATION.

A shape is that of the file (``-1`` resolved by counting): TFLite takes it from a tensor that may be
computed from other shapes, which `tflite_fold` has folded by then.
"""

import math

from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_activations import need_no_activation
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_steps import reread, step

__all__ = ["concatenation", "expand_dims", "pad", "pad_with", "reshape", "squeeze", "transpose"]


def reshape(s: Scope, o: TfliteOperator) -> None:
    """RESHAPE to the shape of its second input, or of its options."""
    given = o.options.get("NewShape", ())
    if len(o.inputs) > 1 and o.inputs[1] >= 0:
        given = s.numbers(o.inputs[1])
    assert isinstance(given, tuple), "a vector of integers"
    total, fixed = s.elements(o.inputs[0]), math.prod(d for d in given if d != -1)
    if given.count(-1) > 1 or any(d < -1 for d in given):
        raise ValueError(f"the new shape is {list(given)}")
    shape = tuple(total // max(fixed, 1) if d == -1 else d for d in given)
    if math.prod(shape) != total:
        raise ValueError(f"{total} elements do not fit the shape {list(shape)}")
    _reshape(s, o, shape)


def squeeze(s: Scope, o: TfliteOperator) -> None:
    """SQUEEZE: without axes, all of length 1 go."""
    shape, axes = s.tensor(o.inputs[0]).shape, o.options.get("SqueezeDims", ())
    assert isinstance(axes, tuple), "a vector of integers"
    gone = {a % len(shape) for a in axes} or {i for i, d in enumerate(shape) if d == 1}
    if any(shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of {list(shape)} are not all of length 1")
    _reshape(s, o, tuple(d for i, d in enumerate(shape) if i not in gone))


def expand_dims(s: Scope, o: TfliteOperator) -> None:
    """EXPAND_DIMS: one axis of length 1."""
    shape, axes = list(s.tensor(o.inputs[0]).shape), s.numbers(o.inputs[1])
    if len(axes) != 1 or not -len(shape) - 1 <= axes[0] <= len(shape):
        raise ValueError(f"one axis of {shape} is added, got {list(axes)}")
    shape.insert(axes[0] % (len(shape) + 1), 1)
    _reshape(s, o, tuple(shape))


def _reshape(s: Scope, o: TfliteOperator, shape: tuple[int, ...]) -> None:
    if s.batched:
        if shape[:1] != (1,):
            raise ValueError(f"the shape {list(shape)} has no batch")
        shape = (0, *shape[1:])
    s.write(o, "Reshape", [s.read(o.inputs[0])], attributes={"shape": shape})


def transpose(s: Scope, o: TfliteOperator) -> None:
    """TRANSPOSE by a constant permutation."""
    attributes: dict[str, Attribute] = {"perm": s.numbers(o.inputs[1])}
    s.write(o, "Transpose", [s.read(o.inputs[0])], attributes=attributes)


def pad(s: Scope, o: TfliteOperator) -> None:
    """PAD with zeros: rows of (before, after), one an axis."""
    order, pads = _pads(s, o)
    source = s.read(o.inputs[0], order)
    s.write(o, "Pad", [source], order=order, attributes={"pads": pads})


def pad_with(s: Scope, o: TfliteOperator) -> None:
    """PADV2: with a constant number. A code is padded as the 0 of codes that are read anew."""
    number, quant = s.constant(o.inputs[2]), s.quant(o.inputs[0])
    if number is None or number.size != 1 or s.quant(o.inputs[2]) != quant:
        raise UnsupportedError("pads with what is not a constant number like its input's")
    order, pads = _pads(s, o)
    source, value = s.read(o.inputs[0], order), number.reshape(())[()]
    if quant is None:
        own: dict[str, Attribute] = {"pads": pads, "value": float(value)}
        if not math.isfinite(float(value)):
            raise UnsupportedError(f"pads with {value}")
        s.write(o, "Pad", [source], order=order, attributes=own)
        return
    if int(value) == quant.zero_point:
        s.write(o, "Pad", [source], order=order, attributes={"pads": pads})
        return
    shifted = Quant(quant.scale, int(value))
    source = reread(s, o, source, shifted, "shifted")
    padded = step(s, o, "Pad", [source], "padded", quant=shifted, attributes={"pads": pads})
    s.write(o, "Identity", [reread(s, o, padded, quant, "back")], order=order)


def _pads(s: Scope, o: TfliteOperator) -> tuple[str, tuple[int, ...]]:
    """Return the order of the axes, and the paddings: all begins, then all ends."""
    x = s.tensor(o.inputs[0])
    rows = s.numbers(o.inputs[1])
    if len(rows) != 2 * len(x.shape) or any(not 0 <= d < 1 << 31 for d in rows):
        raise ValueError(f"paddings are {list(rows)} for {list(x.shape)}")
    order = FIRST if s.at(x.index) == FIRST and len(x.shape) == 4 else AS_IS
    axes = (0, 3, 1, 2) if order == FIRST else range(len(x.shape))
    _need_equal(s, o, [x.index])
    return order, (*(rows[2 * a] for a in axes), *(rows[2 * a + 1] for a in axes))


def concatenation(s: Scope, o: TfliteOperator) -> None:
    """CONCATENATION along one axis."""
    need_no_activation(o)
    rank = len(s.tensor(o.outputs[0]).shape)
    axis = o.options.get("Axis", 0)
    assert isinstance(axis, int), "a number"
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    _need_equal(s, o, list(o.inputs))
    ours = rank == 4 and any(s.at(i) == FIRST for i in o.inputs if s.constant(i) is None)
    order = FIRST if ours else AS_IS
    place = {0: 0, 1: 2, 2: 3, 3: 1}[axis % rank] if ours else axis % rank
    inputs = [s.read(i, order) for i in o.inputs]
    s.write(o, "Concat", inputs, order=order, attributes={"axis": place})


def _need_equal(s: Scope, o: TfliteOperator, indices: list[int]) -> None:
    """Refuse inputs whose codes mean something else than the output's."""
    if any(s.quant(i) != s.quant(o.outputs[0]) for i in indices):
        raise UnsupportedError("has other parameters at its output than at an input")
