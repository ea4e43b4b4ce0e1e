"""RESIZE_BILINEAR of int8, by LiteRT's kernel or XNNPACK's, and of float32.

Both tools compute `ResizeLinear` of codes, one equation; they differ in where a pixel lies, in the
bits of a weight, and in how a tie is rounded::

    tflite_reference   10 bits, ties away from zero; places in integers: the step is
                       (2^10 n + n'/2) // n', the place of i is i step (+ step/2 - 2^9)        (1)
    xnnpack            11 bits, ties up; places in float32, clamped into the image, weights
                       rint(2^11 fraction)                                                     (2)

By (1) a long enlargement can end behind the last pixel, which LiteRT then reads: refused.
XNNPACK takes an operator whose output has its input's parameters; so do we.

float32 is a `Gather` of both neighbours along each axis, and their weighted sum.

References: LiteRT ``reference/resize_bilinear.h``; XNNPACK ``src/indirection.c``
(resize_bilinear2d_hwc_q11).
"""

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Attribute
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_slices import need_equal, need_few
from refquant.model.importers.tflite_steps import step

__all__ = ["places_float", "places_integer", "resize_bilinear"]

F32 = NDArray[np.float32]
Places = NDArray[np.int32]


def resize_bilinear(s: Scope, o: TfliteOperator) -> None:
    """RESIZE_BILINEAR of height and width to a constant size."""
    shape, size = s.tensor(o.inputs[0]).shape, s.numbers(o.inputs[1])
    if len(shape) != 4 or len(size) != 2 or min(size) < 1 or min(shape[1:3]) < 1:
        raise ValueError(f"resizes {list(shape)} to {list(size)}")
    need_few(max(size))
    align = bool(o.options.get("AlignCorners", False))
    half = bool(o.options.get("HalfPixelCenters", False))
    if align and half:
        raise UnsupportedError("has both align_corners and half_pixel_centers")
    axes = list(zip(shape[1:3], size, strict=True))
    need_equal(s, o, o.inputs[:1])
    if s.quant(o.inputs[0]) is None:
        _reals(s, o, [fractions(old, new, align=align, half=half) for old, new in axes])
        return
    where = places_float if s.tool == "xnnpack" else places_integer
    names = [
        s.hold(s.free(f"{s.tensor(o.outputs[0]).name}/{axis}"), where(*d, align=align, half=half))
        for axis, d in zip(("rows", "columns"), axes, strict=True)
    ]
    bits, rounding = (11, "half_up") if s.tool == "xnnpack" else (10, "half_away")
    own: dict[str, Attribute] = {"bits": bits, "rounding": rounding}
    inputs = [s.read(o.inputs[0], FIRST), *names]
    s.write(o, "ResizeLinear", inputs, order=FIRST, attributes=own)


def places_integer(old: int, new: int, *, align: bool, half: bool) -> Places:
    """Return eq. (1): first place, second place and weight of each of ``new`` pixels of ``old``.

    >>> places_integer(2, 4, align=False, half=True).tolist()
    [[0, 0, 0], [0, 1, 256], [0, 1, 768], [1, 1, 0]]
    """
    size, count = (old - 1, new - 1) if align and new > 1 else (old, new)
    stride = ((size << 10) + count // 2) // count
    at = np.arange(new, dtype=np.int64) * stride + (stride // 2 - (1 << 9) if half else 0)
    # C's division goes toward zero; what is negative has the first pixel twice.
    first, second = np.maximum(at, 0) >> 10, np.minimum(np.maximum(at + 1023, 0) >> 10, old - 1)
    if first.max() >= old:
        raise UnsupportedError(f"makes {new} pixels of {old}, of which LiteRT reads one more")
    weight = np.where(second > first, at - (first << 10), 0)
    return np.stack([first, second, weight], -1).astype(np.int32)


def places_float(old: int, new: int, *, align: bool, half: bool) -> Places:
    """Return eq. (2), as `places_integer`.

    >>> places_float(2, 4, align=False, half=True).tolist()
    [[0, 1, 0], [0, 1, 512], [0, 1, 1536], [1, 1, 0]]
    """
    one = int(align and new != 1)
    stride = np.float32(old - one) / np.float32(new - one)
    at = np.arange(new).astype(np.float32) * stride
    if half:
        at = at + np.float32(np.float32(0.5) * stride - np.float32(0.5))
    at = np.clip(at, np.float32(0), np.float32(old - 1)).astype(np.float32)
    first = at.astype(np.int64)
    weight = np.rint((at - first.astype(np.float32)) * np.float32(2048))
    return np.stack([first, np.minimum(first + 1, old - 1), weight], -1).astype(np.int32)


def fractions(old: int, new: int, *, align: bool, half: bool) -> tuple[Places, Places, F32]:
    """Return first places, second places, and the weight of the second ones, of reals.

    >>> [v.tolist() for v in fractions(2, 4, align=False, half=True)]
    [[0, 0, 0, 1], [0, 1, 1, 1], [0.0, 0.25, 0.75, 0.0]]
    """
    one = int(align and new > 1)
    stride = np.float32(old - one) / np.float32(new - one)
    at = np.arange(new).astype(np.float32)
    at = (at + np.float32(0.5)) * stride - np.float32(0.5) if half else at * stride
    first = np.clip(np.floor(at), 0, old - 1).astype(np.int32)
    second = np.clip(np.ceil(at), 0, old - 1).astype(np.int32)
    weight = np.where(second > first, at - first.astype(np.float32), np.float32(0))
    return first, second, weight.astype(np.float32)


def _reals(s: Scope, o: TfliteOperator, axes: list[tuple[Places, Places, F32]]) -> None:
    value = s.read(o.inputs[0], AS_IS)
    for axis, (first, second, weight) in enumerate(axes, 1):
        shape = [1, 1, 1, 1]
        shape[axis] = weight.size
        terms = []
        for label, places, share in (("a", first, 1 - weight), ("b", second, weight)):
            held = s.hold(s.free(f"places{axis}{label}"), places, dtype="int32")
            factor = s.hold(s.free(f"weights{axis}{label}"), share.reshape(shape))
            taken = step(s, o, "Gather", [value, held], f"{label}{axis}", attributes={"axis": axis})
            terms.append(step(s, o, "Mul", [taken, factor], f"part{label}{axis}"))
        value = step(s, o, "Add", terms, f"axis{axis}")
    s.write(o, "Identity", [value])
