"""Operators that take parts, or put parts together: of reals and of codes, nothing is computed.

SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, PACK, UNPACK, and GATHER by constant places. Codes keep their
parameters, so every tool gives the same. A part is a `Slice` where its elements are neighbours,
else a `Gather` by constant places. All is done in the file's order of axes.

Left out: places that are computed, ellipsis and new axes of STRIDED_SLICE, batches of GATHER.

References: LiteRT ``kernels/internal/strided_slice_logic.h``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers import tflite_fold
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope

__all__ = [
    "gather", "meaning", "need_equal", "need_few", "pack", "shaped", "slice_part", "split",
    "split_v", "strided_slice", "unpack",
]  # fmt: skip

Range = tuple[int, int, int]
_MOST = 1 << 18


def slice_part(s: Scope, o: TfliteOperator) -> None:
    """SLICE: begin and size of each axis; a size of -1 is all that is left."""
    shape = s.tensor(o.inputs[0]).shape
    begin, size = s.numbers(o.inputs[1]), s.numbers(o.inputs[2])
    if not len(begin) == len(size) == len(shape):
        raise ValueError(f"begins {list(begin)} and sizes {list(size)} of {list(shape)}")
    ranges = [(b, d if n == -1 else b + n, 1) for b, n, d in zip(begin, size, shape, strict=True)]
    _take(s, o, ranges)


def strided_slice(s: Scope, o: TfliteOperator) -> None:
    """STRIDED_SLICE: begin, end and step of each axis, as Python's slices, with masks."""
    if s.constant(o.inputs[0]) is not None:
        tflite_fold.strided_slice(s, o)
        return
    shape = s.tensor(o.inputs[0]).shape
    begin, end, step = (s.numbers(i) for i in o.inputs[1:4])
    masks = {k: o.options.get(f"{k}Mask", 0) for k in ("Begin", "End", "ShrinkAxis")}
    if any(o.options.get(k, 0) for k in ("EllipsisMask", "NewAxisMask")):
        raise UnsupportedError("has an ellipsis or a new axis")
    if not len(begin) == len(end) == len(step) <= len(shape) or 0 in step:
        raise ValueError(f"slices {begin}, {end}, {step} of {list(shape)}")
    ranges, gone = [(0, d, 1) for d in shape], []
    for axis, (first, last, stride) in enumerate(zip(begin, end, step, strict=True)):
        bits = {k: bool(int(m) >> axis & 1) for k, m in masks.items()}  # type: ignore[arg-type]  # numbers
        if bits["ShrinkAxis"]:
            if not -shape[axis] <= first < shape[axis]:
                raise ValueError(f"element {first} of {shape[axis]}")
            ranges[axis] = (first % shape[axis], first % shape[axis] + 1, 1)
            gone.append(axis)
            continue
        part = slice(None if bits["Begin"] else first, None if bits["End"] else last, stride)
        ranges[axis] = part.indices(shape[axis])
    _take(s, o, ranges, gone=gone)


def split(s: Scope, o: TfliteOperator) -> None:
    """SPLIT: axis, tensor; as many equal parts as outputs."""
    shape = s.tensor(o.inputs[1]).shape
    axis, count = _axis(s.numbers(o.inputs[0]), len(shape)), len(o.outputs)
    if shape[axis] % count:
        raise ValueError(f"{count} equal parts of {shape[axis]}")
    _split(s, o, 1, axis, [shape[axis] // count] * count)


def split_v(s: Scope, o: TfliteOperator) -> None:
    """SPLIT_V: tensor, sizes, axis; one size may be -1."""
    shape = s.tensor(o.inputs[0]).shape
    sizes, axis = list(s.numbers(o.inputs[1])), _axis(s.numbers(o.inputs[2]), len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - (sum(sizes) + 1)
    if len(sizes) != len(o.outputs) or min(sizes) < 0 or sum(sizes) != shape[axis]:
        raise ValueError(f"parts {sizes} of {shape[axis]}, {len(o.outputs)} outputs")
    _split(s, o, 0, axis, sizes)


def _split(s: Scope, o: TfliteOperator, source: int, axis: int, sizes: Sequence[int]) -> None:
    shape, start = s.tensor(o.inputs[source]).shape, 0
    for output, size in enumerate(sizes):
        ranges = [(0, d, 1) for d in shape]
        ranges[axis] = (start, start + size, 1)
        _take(s, o, ranges, source=source, output=output)
        start += size


def unpack(s: Scope, o: TfliteOperator) -> None:
    """UNPACK: one output for each index of an axis, which goes."""
    shape = s.tensor(o.inputs[0]).shape
    axis = _axis((int(o.options.get("Axis", 0)),), len(shape))  # type: ignore[arg-type]  # a number
    if shape[axis] != len(o.outputs):
        raise ValueError(f"{len(o.outputs)} outputs of {shape[axis]}")
    for output in range(len(o.outputs)):
        ranges = [(0, d, 1) for d in shape]
        ranges[axis] = (output, output + 1, 1)
        _take(s, o, ranges, gone=[axis], output=output)


def pack(s: Scope, o: TfliteOperator) -> None:
    """PACK: tensors of one shape along a new axis; of numbers that the file fixes, a constant."""
    if all(s.constant(i) is not None for i in o.inputs):
        tflite_fold.pack(s, o)
        return
    rank = len(s.tensor(o.outputs[0]).shape)
    axis = _axis((int(o.options.get("Axis", 0)),), rank)  # type: ignore[arg-type]  # a number
    if axis == 0 and s.batched:
        raise ValueError("packs samples")
    need_equal(s, o, o.inputs)
    parts = []
    for i in o.inputs:
        shape = list(s.tensor(i).shape)
        shape.insert(axis, 1)
        parts.append(shaped(s, o, s.read(i), shape))
    s.write(o, "Concat", parts, attributes={"axis": axis})


def gather(s: Scope, o: TfliteOperator) -> None:
    """GATHER: elements along an axis, by constant places."""
    shape, places = s.tensor(o.inputs[0]).shape, s.constant(o.inputs[1])
    if places is None or places.dtype.kind != "i" or o.options.get("BatchDims", 0):
        raise UnsupportedError("takes places that are computed, or of batches")
    axis = _axis((int(o.options.get("Axis", 0)),), len(shape))  # type: ignore[arg-type]  # a number
    if places.size and not 0 <= places.min() <= places.max() < shape[axis]:
        raise ValueError(f"places up to {places.max()} of {shape[axis]}")
    need_equal(s, o, o.inputs[:1])
    inputs = [s.read(o.inputs[0]), s.hold(s.free("places"), places.astype(np.int32), dtype="int32")]
    s.write(o, "Gather", inputs, attributes={"axis": axis})


def _take(
    s: Scope, o: TfliteOperator, ranges: Sequence[Range], *, gone: Sequence[int] = (),
    source: int = 0, output: int = 0,
) -> None:  # fmt: skip
    """Write the part of an input that ``ranges`` say, without the axes ``gone``."""
    shape = s.tensor(o.inputs[source]).shape
    need_equal(s, o, [o.inputs[source]], output)
    name, label = s.read(o.inputs[source]), s.tensor(o.outputs[output]).name
    cut = [axis for axis, d in enumerate(shape) if ranges[axis] != (0, d, 1)]
    if s.batched and (0 in cut or 0 in gone):
        raise ValueError("takes samples apart")
    own = meaning(s, o, output)
    for axis in [axis for axis in cut if ranges[axis][2] != 1]:
        need_few(len(range(*ranges[axis])))
        where = np.arange(*ranges[axis], dtype=np.int32)
        held = s.hold(s.free("places"), where, dtype="int32")
        name = s.builder.node(
            "Gather", [name, held], name=s.free(f"{label}/{axis}"), attributes={"axis": axis}, **own
        )
    plain = [axis for axis in cut if ranges[axis][2] == 1]
    if any(not 0 <= ranges[a][0] <= ranges[a][1] <= shape[a] for a in plain):
        raise ValueError(f"the part {[ranges[a][:2] for a in plain]} of {list(shape)}")
    if plain:
        attributes: dict[str, Attribute] = {
            "axes": tuple(plain), "starts": tuple(ranges[a][0] for a in plain),
            "ends": tuple(ranges[a][1] for a in plain),
        }  # fmt: skip
        name = s.builder.node(
            "Slice", [name], name=s.free(f"{label}/part"), attributes=attributes, **own
        )
    if gone:
        s.write(o, "Squeeze", [name], attributes={"axes": tuple(gone)}, output=output)
    else:
        s.write(o, "Identity", [name], output=output)


def shaped(s: Scope, o: TfliteOperator, name: str, shape: Sequence[int]) -> str:
    """Return a value in another shape, the batch as it is."""
    first = 0 if s.batched else shape[0]
    label = s.free(f"{s.tensor(o.outputs[0]).name}/shaped")
    return s.builder.node("Reshape", [name], name=label, attributes={"shape": (first, *shape[1:])})


def meaning(s: Scope, o: TfliteOperator, output: int = 0) -> dict[str, Any]:
    """Return what describes an output, for nodes on the way to it."""
    quant = s.quant(o.outputs[output])
    return {} if quant is None else {"quant": quant, "dtype": s.tensor(o.outputs[output]).dtype}


def _axis(given: Sequence[int], rank: int) -> int:
    if len(given) != 1 or not -rank <= given[0] < rank:
        raise ValueError(f"one axis of {rank} is meant, got {list(given)}")
    return given[0] % rank


def need_few(count: int) -> None:
    """Refuse more places than a real tensor has: a damaged file can ask for any number.

    >>> need_few(1 << 17)
    """
    if count > _MOST:
        raise UnsupportedError(f"takes {count} places along an axis, more than {_MOST}")


def need_equal(s: Scope, o: TfliteOperator, indices: Sequence[int], output: int = 0) -> None:
    """Refuse inputs whose codes mean something else than the output's."""
    if any(s.quant(i) != s.quant(o.outputs[output]) for i in indices):
        raise UnsupportedError("has other parameters at its output than at an input")
