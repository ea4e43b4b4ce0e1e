r"""Operators that move elements: ONNX's many, as ``Reshape``, ``Transpose``, ``Slice``, ``Gather``.

Here: what only changes shapes. What takes elements from places is in
`refquant.model.importers.onnx_lower_places`.

``Reshape`` keeps the batch: its target must leave ``"N"`` where it is. -1 at axis 0 is the batch
when the other sizes hold exactly one sample,

.. math:: \prod_{i \ge 1} \mathrm{target}_i = \prod_{i \ge 1} \mathrm{shape}_i             \tag{1}

and so is 1 (a model exported for one sample).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Shape
from refquant.model.importers.onnx_known import as_known
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import (
    Known,
    Reals,
    Scope,
    Seen,
    Turned,
    Unsupported,
)

__all__ = ["LAYOUT", "move"]

Lower = Callable[[Scope, OnnxNode], None]


def move(s: Scope, node: OnnxNode, op: str, attributes: Mapping[str, tuple[int, ...]]) -> None:
    """Add a movement of the first input, whatever its elements are: reals, integers or codes."""
    item = s.item(node.inputs[0])
    if isinstance(item, Reals):
        moved = s.node(op, [item.value], f"{node.outputs[0]}/codes", attributes)
        s.items[node.outputs[0]] = Reals(moved, item.maker)
    else:
        s.emit(node, op, [s.value(node, 0)], attributes, dtype=s.dtype(node.inputs[0]))


def _reshape(s: Scope, node: OnnxNode) -> None:
    item = s.item(node.inputs[1])
    if not isinstance(item, Known):
        raise Unsupported("the shape (input 1) must be known at import; give the inputs sizes")
    reshape_known(s, node, list(item.array.ravel()), bool(node.attributes.get("allowzero", 0)))


def reshape_known(s: Scope, node: OnnxNode, target: list[object], allowzero: bool) -> None:
    """Add a ``Reshape`` to ``target``, in which a letter or None may stand: eq. (1)."""
    x = s.shape(node.inputs[0])
    sizes = [x[i] if d == 0 and not allowzero and i < len(x) else d for i, d in enumerate(target)]
    if x[:1] == ("N",):
        sizes = _with_batch(x, sizes)
    if None in sizes:
        raise Unsupported(f"Reshape of {list(x)} to {target}: a size is known in a run only")
    result: list[int] = []
    for i, d in enumerate(sizes):
        if isinstance(d, str):
            if i >= len(x) or x[i] != d:
                raise Unsupported(f"Reshape moves {d} of {list(x)} to axis {i}")
            result.append(0)
        elif d == 0:
            raise Unsupported("Reshape of nothing")
        else:
            result.append(int(str(d)))
    move(s, node, "Reshape", {"shape": tuple(result)})


def _with_batch(x: Shape, sizes: list[object]) -> list[object]:
    """Return ``sizes`` with the batch at axis 0, if one sample fills the rest: eq. (1)."""
    rest = [d for d in sizes[1:] if d != "T"]
    own = [d for d in x[1:] if d != "T"]
    if sizes[:1] == ["N"] or not sizes:
        return sizes
    if sizes[0] in (-1, 1) and all(isinstance(d, int | np.integer) for d in rest):
        if -1 in rest:
            return ["N", *sizes[1:]] if sizes[0] == 1 else sizes
        if math.prod(int(str(d)) for d in rest) == math.prod(int(d) for d in own):
            return ["N", *sizes[1:]]
    raise Unsupported(
        f"Reshape of {list(x)} to {[str(d) for d in sizes]} mixes samples; give the batch a number"
    )


def _flatten(s: Scope, node: OnnxNode) -> None:
    x = s.shape(node.inputs[0])
    axis = int(node.attributes.get("axis", 1))
    if not -len(x) <= axis <= len(x):
        raise Unsupported(f"axis is in [{-len(x)}, {len(x)}], got {axis}")
    axis = axis + len(x) if axis < 0 else axis
    if axis == 1 and "T" not in x:
        move(s, node, "Flatten", {})
        return
    sizes: list[object] = [
        math.prod(int(d) for d in part) if not any(isinstance(d, str) for d in part) else part[0]
        if [d for d in part if d != 1] == [part[0]] else None
        for part in (x[:axis], x[axis:])
    ]  # fmt: skip
    reshape_known(s, node, sizes, True)


def _transpose(s: Scope, node: OnnxNode) -> None:
    x = s.shape(node.inputs[0])
    perm = tuple(node.attributes.get("perm", tuple(reversed(range(len(x))))))
    item = s.item(node.inputs[0])
    if isinstance(item, Turned):
        perm = tuple(item.perm[axis] for axis in perm)
        item = Seen(item.value, item.dtype)
    if isinstance(item, Seen) and perm == tuple(range(len(x))):
        s.items[node.outputs[0]] = item
        return
    if isinstance(item, Seen) and "N" in s.b.values[item.value].shape and perm[:1] != (0,):
        s.items[node.outputs[0]] = Turned(item.value, item.dtype, perm)
        return
    if isinstance(item, Seen):
        made = s.node("Transpose", [item.value], node.outputs[0], {"perm": perm})
        s.items[node.outputs[0]] = Seen(made, item.dtype)
        return
    move(s, node, "Transpose", {"perm": perm})


def _concat(s: Scope, node: OnnxNode) -> None:
    seen = [n for n in node.inputs if not isinstance(s.item(n), Known)] or list(node.inputs)
    dtype = s.dtype(seen[0])
    values = [s.value_of(name, like=dtype) for name in node.inputs]
    s.emit(node, "Concat", values, {"axis": node.attributes["axis"]}, dtype=dtype)


def _squeeze(s: Scope, node: OnnxNode) -> None:
    x = s.shape(node.inputs[0])
    axes = s.ints(node, 1, "axes")
    axes = tuple(i for i, d in enumerate(x) if d == 1) if axes is None else axes
    item = s.item(node.inputs[0])
    if not isinstance(item, Turned):
        move(s, node, "Squeeze", {"axes": axes})
        return
    gone = {item.perm[axis] for axis in axes}
    inner = s.step(node, "Squeeze", [item.value], {"axes": tuple(sorted(gone))})
    kept = sorted(set(item.perm) - gone)
    perm = tuple(kept.index(axis) for axis in item.perm if axis not in gone)
    straight = perm == tuple(range(len(perm)))
    seen = Seen(inner, item.dtype)
    s.items[node.outputs[0]] = seen if straight else Turned(inner, item.dtype, perm)


def _unsqueeze(s: Scope, node: OnnxNode) -> None:
    axes = s.ints(node, 1, "axes")
    if axes is None:
        raise Unsupported("axes must be there")
    move(s, node, "Unsqueeze", {"axes": axes})


def _space(s: Scope, node: OnnxNode) -> None:
    """DepthToSpace and SpaceToDepth: to six axes, turned, and back."""
    n, c, h, w = s.shape(node.inputs[0])
    b = int(node.attributes["blocksize"])
    if b < 1:
        raise Unsupported(f"blocksize is > 0, got {b}")
    c, h, w = int(c), int(h), int(w)
    batch = 0 if n == "N" else int(n)
    if node.op == "SpaceToDepth":
        depth_first = node.attributes.get("mode", "DCR") == "DCR"
        split = (batch, c, h // b, b, w // b, b)
        perm = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
        result = (batch, c * b * b, h // b, w // b)
    elif node.attributes.get("mode", "DCR") == "DCR":
        split, perm = (batch, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
        result = (batch, c // (b * b), h * b, w * b)
    else:
        split, perm = (batch, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
        result = (batch, c // (b * b), h * b, w * b)
    apart = s.step(node, "Reshape", [s.value(node, 0)], {"shape": split})
    turned = s.step(node, "Transpose", [apart], {"perm": perm})
    s.emit(node, "Reshape", [turned], {"shape": result}, dtype=s.dtype(node.inputs[0]))


def _shape(s: Scope, node: OnnxNode) -> None:
    """Known at import, letters included."""
    x = s.shape(node.inputs[0])
    part = x[slice(node.attributes.get("start", 0), node.attributes.get("end"))]
    s.items[node.outputs[0]] = Known(as_known(list(part)), "int64")


LAYOUT: Mapping[str, Lower] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "DepthToSpace": _space,
    "SpaceToDepth": _space,
    "Shape": _shape,
}
