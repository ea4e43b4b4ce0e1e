"""Pixels that are repeated, or that change places with channels, of reals and of codes.

RESIZE_NEAREST_NEIGHBOR, MIRROR_PAD, SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND,
BATCH_TO_SPACE_ND.

Nothing is computed: repeating is a `Gather` by constant places along each axis, the others are a
`Transpose` between two shapes. All is done in the file's order of axes.

SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND mix samples, so a graph with one of them keeps the batch
that the file says. RESIZE_BILINEAR: `refquant.model.importers.tflite_resize`.

References: LiteRT ``reference/resize_nearest_neighbor.h``, ``kernels/mirror_pad.cc``.
"""

import math

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope
from refquant.model.importers.tflite_slices import meaning, need_equal, need_few, shaped

__all__ = [
    "batch_to_space", "depth_to_space", "mirror_pad", "resize_nearest", "space_to_batch",
    "space_to_depth",
]  # fmt: skip


def resize_nearest(s: Scope, o: TfliteOperator) -> None:
    """RESIZE_NEAREST_NEIGHBOR of height and width, in LiteRT's float32 arithmetic of places."""
    shape, size = s.tensor(o.inputs[0]).shape, s.numbers(o.inputs[1])
    if len(shape) != 4 or len(size) != 2 or min(size) < 1:
        raise ValueError(f"resizes {list(shape)} to {list(size)}")
    need_few(max(size))
    align = bool(o.options.get("AlignCorners", False))
    half = bool(o.options.get("HalfPixelCenters", False))
    places = [_nearest(d, n, align=align, half=half) for d, n in zip(shape[1:3], size, strict=True)]
    _regather(s, o, {1: places[0], 2: places[1]})


def _nearest(old: int, new: int, *, align: bool, half: bool) -> list[int]:
    """Return which of ``old`` pixels each of ``new`` is.

    >>> _nearest(2, 4, align=False, half=False), _nearest(2, 3, align=True, half=False)
    ([0, 0, 1, 1], [0, 1, 1])
    """
    step = np.float32(old - 1) / np.float32(new - 1) if align and new > 1 else None
    step = np.float32(old) / np.float32(new) if step is None else step
    places = []
    for i in range(new):
        at = np.float32(np.float32(i) + np.float32(0.5 if half else 0)) * step
        whole = math.floor(float(at) + 0.5) if align else math.floor(float(at))
        places.append(max(min(whole, old - 1), 0))
    return places


def mirror_pad(s: Scope, o: TfliteOperator) -> None:
    """MIRROR_PAD: REFLECT leaves the edge out, SYMMETRIC repeats it."""
    shape, rows = s.tensor(o.inputs[0]).shape, s.numbers(o.inputs[1])
    skip = 0 if o.options.get("Mode", 0) else 1
    if len(rows) != 2 * len(shape):
        raise ValueError(f"paddings are {list(rows)} for {list(shape)}")
    places = {}
    for axis, size in enumerate(shape):
        before, after = rows[2 * axis : 2 * axis + 2]
        if not 0 <= max(before, after) <= size - skip or min(before, after) < 0:
            raise ValueError(f"paddings {before}, {after} of {size}")
        if before or after:
            need_few(before + size + after)
            head = [before - 1 - i + skip for i in range(before)]
            tail = [size - 1 - i - skip for i in range(after)]
            places[axis] = [*head, *range(size), *tail]
    _regather(s, o, places)


def space_to_depth(s: Scope, o: TfliteOperator) -> None:
    """SPACE_TO_DEPTH: blocks of pixels become channels."""
    n, h, w, c = _image(s, o)
    b = int(o.options.get("BlockSize", 0))  # type: ignore[arg-type]  # a number
    if b < 1 or h % b or w % b:
        raise ValueError(f"blocks of {b} in {h} x {w}")
    _reblock(s, o, [n, h // b, b, w // b, b, c], [n, h // b, w // b, b * b * c])


def depth_to_space(s: Scope, o: TfliteOperator) -> None:
    """DEPTH_TO_SPACE: channels become blocks of pixels."""
    n, h, w, c = _image(s, o)
    b = int(o.options.get("BlockSize", 0))  # type: ignore[arg-type]  # a number
    if b < 1 or c % (b * b):
        raise ValueError(f"blocks of {b} from {c} channels")
    _reblock(s, o, [n, h, w, b, b, c // b // b], [n, h * b, w * b, c // b // b])


def space_to_batch(s: Scope, o: TfliteOperator) -> None:
    """SPACE_TO_BATCH_ND of images: padded, then blocks of pixels become samples."""
    shape, blocks, pads = _blocks(s, o)
    n, h, w, c = shape
    (top, bottom), (left, right), (p, q) = pads[:2], pads[2:], blocks
    high, wide = h + top + bottom, w + left + right
    if high % p or wide % q:
        raise ValueError(f"blocks of {p} x {q} in {high} x {wide}")
    source = s.read(o.inputs[0])
    if any(pads):
        around: dict[str, Attribute] = {"pads": (0, top, left, 0, 0, bottom, right, 0)}
        name = s.free(f"{s.tensor(o.outputs[0]).name}/padded")
        source = s.builder.node("Pad", [source], name=name, attributes=around)
    apart = shaped(s, o, source, [n, high // p, p, wide // q, q, c])
    _turned(s, o, apart, (2, 4, 0, 1, 3, 5), [p * q * n, high // p, wide // q, c])


def batch_to_space(s: Scope, o: TfliteOperator) -> None:
    """BATCH_TO_SPACE_ND of images: samples become blocks of pixels, which are cropped."""
    shape, blocks, crops = _blocks(s, o)
    n, h, w, c = shape
    p, q = blocks
    if n % (p * q) or crops[0] + crops[1] >= h * p or crops[2] + crops[3] >= w * q:
        raise ValueError(f"blocks of {p} x {q} from {n} samples, cropped by {list(crops)}")
    apart = shaped(s, o, s.read(o.inputs[0]), [p, q, n // (p * q), h, w, c])
    own: dict[str, Attribute] = {"perm": (2, 3, 0, 4, 1, 5)}
    label = s.tensor(o.outputs[0]).name
    turned = s.builder.node("Transpose", [apart], name=s.free(f"{label}/blocks"), attributes=own)
    joined = shaped(s, o, turned, [n // (p * q), h * p, w * q, c])
    own = {
        "axes": (1, 2), "starts": (crops[0], crops[2]),
        "ends": (h * p - crops[1], w * q - crops[3]),
    }  # fmt: skip
    s.write(o, "Slice", [joined], attributes=own)


def _blocks(
    s: Scope, o: TfliteOperator
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the shape, two block sizes, four paddings; a graph of one sample has no others."""
    shape, blocks, pads = (
        s.tensor(o.inputs[0]).shape,
        s.numbers(o.inputs[1]),
        s.numbers(o.inputs[2]),
    )
    if s.batched:
        raise ValueError("makes samples of pixels")
    if len(shape) != 4 or len(blocks) != 2 or len(pads) != 4:
        raise UnsupportedError(f"takes images, got {len(shape)} axes and {len(blocks)} block sizes")
    if min(blocks) < 1 or min(pads) < 0 or max(*blocks, *pads) >= 1 << 20:
        raise ValueError(f"blocks are {list(blocks)}, paddings {list(pads)}")
    need_equal(s, o, o.inputs[:1])
    return shape, blocks, pads


def _turned(
    s: Scope, o: TfliteOperator, name: str, perm: tuple[int, ...], joined: list[int]
) -> None:
    label = s.free(f"{s.tensor(o.outputs[0]).name}/blocks")
    turned = s.builder.node("Transpose", [name], name=label, attributes={"perm": perm})
    s.write(o, "Reshape", [turned], attributes={"shape": tuple(joined)})


def _reblock(s: Scope, o: TfliteOperator, apart: list[int], joined: list[int]) -> None:
    need_equal(s, o, o.inputs)
    x = shaped(s, o, s.read(o.inputs[0]), apart)
    name = s.free(f"{s.tensor(o.outputs[0]).name}/blocks")
    turned = s.builder.node("Transpose", [x], name=name, attributes={"perm": (0, 1, 3, 2, 4, 5)})
    s.write(o, "Reshape", [turned], attributes={"shape": (0, *joined[1:])})


def _image(s: Scope, o: TfliteOperator) -> tuple[int, ...]:
    shape = s.tensor(o.inputs[0]).shape
    if len(shape) != 4:
        raise ValueError(f"takes (N, H, W, C), got {list(shape)}")
    return shape


def _regather(s: Scope, o: TfliteOperator, places: dict[int, list[int]]) -> None:
    """Gather along several axes, one after the other."""
    need_equal(s, o, o.inputs[:1])
    if s.batched and 0 in places:
        raise ValueError("mixes samples")
    name, left = s.read(o.inputs[0]), len(places)
    if not places:
        s.write(o, "Identity", [name])
    for axis, where in places.items():
        left -= 1
        held = s.hold(s.free("places"), np.array(where, np.int32), dtype="int32")
        own: dict[str, Attribute] = {"axis": axis}
        if left:
            name = s.builder.node(
                "Gather", [name, held], name=s.free(f"{s.tensor(o.outputs[0]).name}/{axis}"),
                attributes=own,
                **meaning(s, o),
            )  # fmt: skip
        else:
            s.write(o, "Gather", [name, held], attributes=own)
