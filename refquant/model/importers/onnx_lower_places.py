"""Operators that take elements from places: ``Slice``, ``Split``, ``Gather``, ``Tile``, ``Expand``.

What takes elements of one axis from fixed places is a ``Gather`` with constant indices: ``Tile``,
``Expand``, a slice with steps; a reflected border and a nearest-neighbour ``Resize`` too
(`refquant.model.importers.onnx_lower_resize`).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from refquant.model.graph import Quant
from refquant.model.importers.onnx_codes import coded_constant, meaning
from refquant.model.importers.onnx_lower_layout import move
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import (
    Filled,
    Known,
    Reals,
    Scope,
    Seen,
    Turned,
    Unsupported,
)
from refquant.model.importers.onnx_sizes import axis_in, check_places, listed, range_of, split_sizes

__all__ = ["PLACES", "bounded", "take"]

Lower = Callable[[Scope, OnnxNode], None]
_MOST_PLACES = 1 << 20


def bounded(count: int | float) -> int:
    """Return ``count``, how many places an axis will have, if they can be listed.

    >>> bounded(3)
    3
    """
    if not 0 <= count <= _MOST_PLACES:
        raise Unsupported(f"an axis of {count} elements; there are at most {_MOST_PLACES}")
    return int(count)


def take(s: Scope, name: str, output: str, axis: int, places: Sequence[int]) -> str:
    """Add a ``Gather`` of ``places`` along ``axis`` of the value ``name``; return its output."""
    indices = s.constant(f"{output}/places", np.asarray(places, np.int32))
    value = s.b.values[name]
    kept = (
        {} if value.quant is None or name in s.b.constants
        else {"dtype": value.dtype, "quant": value.quant}
    )  # fmt: skip
    return s.node("Gather", [name, indices], output, {"axis": axis}, **kept)  # type: ignore[arg-type]  # dtype and quant are as node names them


def _moved_by(s: Scope, node: OnnxNode, steps: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Take places along several axes, of reals, integers or codes."""
    item = s.item(node.inputs[0])
    value = item.value if isinstance(item, Reals) else s.value(node, 0)
    for count, (axis, places) in enumerate(steps):
        last = count == len(steps) - 1 and not isinstance(item, Reals)
        name = node.outputs[0] if last else f"{node.outputs[0]}/axis{axis}"
        value = take(s, value, name, axis, places)
    if isinstance(item, Reals):
        s.items[node.outputs[0]] = Reals(value, item.maker)
    elif not steps:
        s.alias(node, node.inputs[0])
    else:
        s.items[node.outputs[0]] = Seen(value, s.dtype(node.inputs[0]))


def _part(s: Scope, node: OnnxNode, attributes: Mapping[str, tuple[int, ...]]) -> None:
    """Add a ``Slice``; of a turned value, along the axes that it has."""
    item = s.item(node.inputs[0])
    if not isinstance(item, Turned):
        move(s, node, "Slice", attributes)
        return
    own = {**attributes, "axes": tuple(item.perm[axis] for axis in attributes["axes"])}
    inner = s.step(node, "Slice", [item.value], own)
    s.items[node.outputs[0]] = Turned(inner, item.dtype, item.perm)


def _slice(s: Scope, node: OnnxNode) -> None:
    x = s.shape(node.inputs[0])
    starts, ends = s.ints(node, 1, "starts"), s.ints(node, 2, "ends")
    if starts is None or ends is None:
        raise Unsupported("starts and ends must be there")
    axes = s.ints(node, 3, "axes") or tuple(range(len(starts)))
    steps = s.ints(node, 4, "steps") or (1,) * len(starts)
    parts: list[tuple[int, range]] = []
    for given, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = axis_in(given, len(x))
        size = x[axis]
        if isinstance(size, str):
            if step != 1 or start > 0 or end < 2**31 - 1:
                raise Unsupported(f"Slice along {size}, which only a run knows; give it a number")
        elif (places := range_of(size, start, end, step)) != range(size):
            parts.append((axis, places))
    if any(places.step != 1 for _, places in parts):
        _moved_by(s, node, [(axis, list(places)) for axis, places in parts])
    elif parts:
        names, ranges = zip(*parts, strict=True)
        bounds = {"starts": tuple(r.start for r in ranges), "ends": tuple(r.stop for r in ranges)}
        _part(s, node, {**bounds, "axes": names})
    else:
        s.alias(node, node.inputs[0])


def _split(s: Scope, node: OnnxNode) -> None:
    x = s.shape(node.inputs[0])
    axis = axis_in(node.attributes.get("axis", 0), len(x))
    size = x[axis]
    if isinstance(size, str):
        raise Unsupported(f"Split along {size}, which only a run knows; give it a number")
    sizes = split_sizes(size, len(node.outputs), s.ints(node, 1, "split"))
    begin = 0
    for output, length in zip(node.outputs, sizes, strict=True):
        part = {"starts": (begin,), "ends": (begin + length,), "axes": (axis,)}
        if output:
            alone = OnnxNode(node.label, "Slice", node.inputs[:1], (output,))
            _part(s, alone, part)
        begin += length


def _expand(s: Scope, node: OnnxNode) -> None:
    item = s.item(node.inputs[1])
    if not isinstance(item, Known):
        raise Unsupported("the shape (input 1) must be known at import; give the inputs sizes")
    source = s.item(node.inputs[0])
    if isinstance(source, Known) and source.array.size == 1:
        shape = tuple(item.array.ravel())
        s.items[node.outputs[0]] = Filled(float(source.array.ravel()[0]), source.dtype, shape)
        return
    x, target = s.shape(node.inputs[0]), item.array.ravel().tolist()
    if len(target) > len(x):
        raise Unsupported("Expand to more axes; add an Unsqueeze before it")
    target = [1] * (len(x) - len(target)) + target
    steps = []
    for axis, (size, wanted) in enumerate(zip(x, target, strict=True)):
        if wanted in (1, size):
            continue
        if size != 1 or isinstance(wanted, str | None):
            raise Unsupported(f"Expand of {list(x)} to {target}; give the inputs sizes")
        steps.append((axis, [0] * bounded(int(wanted))))
    _moved_by(s, node, steps)


def _tile(s: Scope, node: OnnxNode) -> None:
    x, repeats = s.shape(node.inputs[0]), listed(s.known(node, 1, "repeats"), "repeats")
    steps = []
    for axis, (size, count) in enumerate(zip(x, repeats, strict=True)):
        if count != 1:
            if isinstance(size, str):
                raise Unsupported(f"Tile along {size}, which only a run knows; give it a number")
            bounded(size * count)
            steps.append((axis, list(range(size)) * count))
    _moved_by(s, node, steps)


def _gather(s: Scope, node: OnnxNode) -> None:
    axis = axis_in(int(node.attributes.get("axis", 0)), len(s.shape(node.inputs[0])))
    item, dtype = s.item(node.inputs[0]), s.dtype(node.inputs[0])
    places = s.item(node.inputs[1])
    if isinstance(places, Known):
        check_places(places.array, s.shape(node.inputs[0])[axis])
    if isinstance(item, Turned) and isinstance(places, Known) and places.array.ndim == 0:
        _row(s, node, item, axis, int(places.array))
        return
    indices = s.value(node, 1, like="int64")
    if s.b.values[indices].dtype != "int32":
        raise Unsupported(f"indices are {s.dtype(node.inputs[1])}")
    if not isinstance(item, Reals):
        table, quant = _table(s, node)
        made = s.node(
            "Gather", [table, indices], node.outputs[0], {"axis": axis},
            dtype=dtype if quant else None, quant=quant,
        )  # fmt: skip
        s.items[node.outputs[0]] = Seen(made, dtype)
        return
    codes = s.b.values[item.value]
    if item.value in s.b.constants:  # a weight of codes
        made = s.node(
            "Gather", [item.value, indices], node.outputs[0], {"axis": axis}, contract=s.contract
        )
        s.items[node.outputs[0]] = Seen(made, "float32")
        return
    moved = s.node(
        "Gather", [item.value, indices], f"{node.outputs[0]}/codes", {"axis": axis},
        dtype=codes.dtype, quant=codes.quant,
    )  # fmt: skip
    s.items[node.outputs[0]] = Reals(moved, item.maker)


def _table(s: Scope, node: OnnxNode) -> tuple[str, Quant | None]:
    """Return what is gathered from; codes have the meaning that the node behind reads them with.

    That is how ``quantize_dynamic`` writes an embedding: rows of codes, dequantized.
    """
    item, readers = s.item(node.inputs[0]), s.readers.get(node.outputs[0], [])
    coded = isinstance(item, Known) and item.dtype in ("int8", "uint8")
    if not coded or len(readers) != 1 or readers[0].op != "DequantizeLinear":
        return s.value(node, 0), None
    scale, zero = (s.known(readers[0], i, f"input {i}") for i in (1, 2))
    assert isinstance(item, Known), "it is coded"
    if scale is None or scale.size != 1:
        raise Unsupported("rows of codes have one scale")
    quant = meaning(scale, zero)
    return coded_constant(s, node.inputs[0], item.array, item.dtype, scale, zero), quant


def _row(s: Scope, node: OnnxNode, item: Turned, axis: int, place: int) -> None:
    """Take one place of an axis of a turned value, which it loses."""
    index = s.constant(f"{node.outputs[0]}/place", np.asarray(place, np.int32))
    own = item.perm[axis]
    inner = s.step(node, "Gather", [item.value, index], {"axis": own})
    kept = [a for a in sorted(item.perm) if a != own]
    perm = tuple(kept.index(a) for a in item.perm if a != own)
    straight = perm == tuple(range(len(perm)))
    made = Seen(inner, item.dtype) if straight else Turned(inner, item.dtype, perm)
    s.items[node.outputs[0]] = made


def _gather_nd(s: Scope, node: OnnxNode) -> None:
    """With known indices: rows of the array with its first axes made one."""
    indices = s.known(node, 1, "indices")
    x = s.shape(node.inputs[0])
    if (
        indices is None
        or node.attributes.get("batch_dims", 0)
        or any(isinstance(d, str) for d in x)
    ):
        raise Unsupported("GatherND has known indices, sizes and no batch_dims; give inputs sizes")
    depth = indices.shape[-1]
    lead = tuple(int(d) for d in x[:depth])
    wrapped = np.where(indices < 0, indices + np.asarray(lead), indices)
    rows = np.ravel_multi_index(tuple(np.moveaxis(wrapped, -1, 0)), lead)
    rest = tuple(int(d) for d in x[depth:])
    flat = s.step(node, "Reshape", [s.value(node, 0)], {"shape": (math.prod(lead), *rest)})
    places = s.constant(f"{node.outputs[0]}/places", rows.astype(np.int32))
    s.emit(node, "Gather", [flat, places], {"axis": 0}, dtype=s.dtype(node.inputs[0]))


PLACES: Mapping[str, Lower] = {
    "Slice": _slice,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "Gather": _gather,
    "GatherND": _gather_nd,
}
