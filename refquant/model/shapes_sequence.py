"""Shapes of the operators of docs/spec/operators.md, section 7: sequences and their vectors.

Each rule takes the operator's name (for errors), the shapes of its inputs and its attributes.
"""

import math
from collections.abc import Sequence

from refquant.model.graph import Shape
from refquant.model.shapes_common import (
    Attributes,
    axis_of,
    fixed,
    integer,
    ints,
    joined,
    need,
    within,
)
from refquant.ops.recurrent import DIRECTIONS

__all__ = ["attention", "gather", "normalization", "recurrent", "reduction", "rotary"]

Shapes = Sequence[Shape]
WithAbsent = Sequence[Shape | None]

_GATES = {"GRU": 3, "LSTM": 4, "DynamicQuantizeGRU": 3, "DynamicQuantizeLSTM": 4}


def gather(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of the table, one axis replaced by those of the indices."""
    table, indices = shapes
    axis = axis_of(op, table, integer(attributes, "axis", 0))
    if 0 in fixed(op, "the rows of", table[axis : axis + 1]):
        raise ValueError(f"{op}: the table has at least one row, got {list(table)}")
    return ((*table[:axis], *indices, *table[axis + 1 :]),)


def normalization(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of x, whose vectors lie along the last axis."""
    x = shapes[0]
    axis = axis_of(op, x, integer(attributes, "axis", -1))
    if axis != len(x) - 1:
        raise ValueError(f"{op}: axis is the last one, got {axis} of {list(x)}")
    if 0 in fixed(op, "the sum over", x[-1:]):
        raise ValueError(f"{op}: the last axis of {list(x)} is empty")
    epsilon = attributes.get("epsilon", 1e-5)
    if not isinstance(epsilon, int | float) or epsilon < 0:
        raise ValueError(f"{op}: epsilon is >= 0, got {epsilon!r}")
    for name, shape in zip(("scale", "bias"), shapes[1:], strict=False):
        need(op, name, shape, x[-1:])
    return (x,)


def _heads(op: str, name: str, x: Shape, count: int) -> tuple[Shape, int]:
    """Return ((N, heads, T), d)."""
    if len(x) == 4 and count in (0, x[1]):
        return (x[0], *fixed(op, f"the heads of {name}", x[1:2]), x[2]), fixed(op, name, x[3:])[0]
    if len(x) == 3 and count >= 1:
        (width,) = fixed(op, f"the vectors of {name}", x[2:])
        if width % count == 0:
            return (x[0], count, x[1]), width // count
    raise ValueError(
        f"{op}: {name} is (N, heads, T, d), or (N, T, heads * d) and the number of heads an "
        f"attribute, got {list(x)} and {count}"
    )


def attention(op: str, shapes: WithAbsent, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of q, its vectors as long as those of v."""
    q, k, v = (shape or () for shape in shapes[:3])
    if not len(q) == len(k) == len(v):
        raise ValueError(f"{op}: q, k, v have as many axes, got {[len(s) for s in (q, k, v)]}")
    queries, d = _heads(op, "q", q, integer(attributes, "q_num_heads", 0))
    kv = integer(attributes, "kv_num_heads", 0)
    (keys, d_keys), (values, width) = _heads(op, "k", k, kv), _heads(op, "v", v, kv)
    if keys != values or d != d_keys or queries[0] != keys[0] or 0 in (d, width, *keys[1:]):
        raise ValueError(
            f"{op}: q, k, v are (N, H, T, d), (N, G, S, d), (N, G, S, e) with d, e, G, S >= 1, "
            f"got {list(q)}, {list(k)}, {list(v)} of {queries[1]} and {keys[1]} heads"
        )
    if int(queries[1]) % int(keys[1]):
        raise ValueError(f"{op}: {queries[1]} query heads, no multiple of {keys[1]} key heads")
    scores = (*queries, keys[2])
    mask = shapes[3] if len(shapes) > 3 else None
    if mask is not None and joined(op, scores, mask) != scores:
        raise ValueError(f"{op}: the mask broadcasts to {list(scores)}, got {list(mask)}")
    within(op, "the mean over", keys[2:])
    return ((*queries, width) if len(q) == 4 else (q[0], q[1], int(queries[1]) * width),)


def rotary(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of x, with an angle for every position."""
    x, cos, sin, positions = shapes
    heads, d = _heads(op, "x", x, integer(attributes, "num_heads", 0))
    r = integer(attributes, "rotary_embedding_dim", 0) or d
    if r % 2 or not 0 < r <= d:
        raise ValueError(f"{op}: rotary_embedding_dim is even and at most {d}, got {r}")
    cos = fixed(op, "cos", cos)
    if len(cos) != 2:
        raise ValueError(f"{op}: cos is (positions, {r // 2}), got {list(cos)}")
    need(op, "cos", cos, (cos[0], r // 2))
    need(op, "sin", sin, cos)
    need(op, "positions", positions, (heads[0], heads[2]))
    return (x,)


def recurrent(op: str, shapes: WithAbsent, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (N, T, D, H), then (N, D, H) for each state."""
    x, w, r = (shape or () for shape in shapes[:3])
    bias, lengths, *states = [*shapes[3:], None, None][: max(2, len(shapes) - 3)]
    hidden, count = integer(attributes, "hidden_size", 0), _GATES[op]
    d = len(DIRECTIONS[str(attributes.get("direction", "forward"))])
    if lengths is not None:
        raise ValueError(f"{op}: input 4, the lengths of sequences, is absent; run them apart")
    if len(x) != 3 or hidden < 1:
        raise ValueError(f"{op}: x is (N, T, I) and hidden_size >= 1, got {list(x)} and {hidden}")
    need(op, "w", w, (d, count * hidden, *fixed(op, "the sum over", x[2:])))
    need(op, "r", r, (d, count * hidden, hidden))
    if bias is not None:
        need(op, "the bias", bias, (d, 2 * count * hidden))
    state: Shape = (x[0], d, hidden)
    for shape in states:
        if shape is not None:
            need(op, "the initial state", shape, state)
    return ((x[0], x[1], d, hidden), *[state] * (count - 2))


def reduction(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape with the axes of length 1, or without them."""
    x = shapes[0]
    places = [axis_of(op, x, axis) for axis in ints(attributes, "axes") or ()]
    if not places or len(set(places)) != len(places):
        raise ValueError(f"{op}: axes are different, at least one, got {attributes['axes']}")
    summed = within(op, "the sum over", tuple(x[axis] for axis in places))
    if op == "ReduceMean" and 0 in summed:
        raise ValueError(f"{op}: the mean of nothing: {list(x)} along {places}")
    if math.prod(d for d in summed if isinstance(d, int)) >= 1 << 24:
        raise ValueError(f"{op}: float32 counts to 2^24 elements, got {list(summed)}")
    keep = integer(attributes, "keepdims", 1)
    return (tuple(1 if i in places else d for i, d in enumerate(x) if keep or i not in places),)
