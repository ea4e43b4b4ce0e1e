"""Shapes of the operators of sequences: ``docs/spec/operators.md``, section 7."""

import math
from collections.abc import Mapping, Sequence

from refquant_runtime.rules import Attributes, Kind, Operator, Shape, need
from refquant_runtime.shapes_movement import (
    axes_of,
    axis_of,
    shape_of,
    slices,
    squeeze,
    unsqueeze,
)

__all__ = ["DIRECTIONS", "GATES", "SEQUENCE", "heads_of", "reduced"]

Shapes = Sequence[Shape | None]
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
GATES = {"GRU": 3, "LSTM": 4, "DynamicQuantizeGRU": 3, "DynamicQuantizeLSTM": 4}
_COUNTED = 2**24  # float32 holds every integer below


def _same(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0)]


def _cast(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    need("to" in attributes, "needs the attribute to")
    return [shape_of(inputs, 0)]


def _gather(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    table, indices = shape_of(inputs, 0), shape_of(inputs, 1)
    axis = axis_of(attributes, len(table), 0)
    need(table[axis] > 0, f"its table {list(table)} has no row")
    return [(*table[:axis], *indices, *table[axis + 1 :])]


def _normalized(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    axis = axis_of(attributes, len(x), -1)
    need(axis == len(x) - 1, f"axis is the last one, got {axis} of {list(x)}")
    need(x[-1] > 0, f"the last axis of {list(x)} is empty")
    need(attributes.get("epsilon", 1e-5) >= 0, f"epsilon is >= 0, got {attributes.get('epsilon')}")
    for name, given in zip(("scale", "bias"), inputs[1:], strict=False):
        need(given in (None, x[-1:]), f"{name} has shape {list(x[-1:])}, got {given}")
    return [x]


def heads_of(x: Shape, count: int) -> tuple[int, int, int]:
    """Return heads, steps and elements of a head: of (N, heads, T, d), or (N, T, heads * d).

    >>> heads_of((1, 5, 12), 3)
    (3, 5, 4)
    """
    if len(x) == 4:
        need(count in (0, x[1]), f"{list(x)} has {x[1]} heads, its attribute says {count}")
        return x[1], x[2], x[3]
    fits = len(x) == 3 and count >= 1 and x[2] % count == 0
    need(fits, f"needs (N, heads, T, d), or (N, T, heads * d) and heads, got {list(x)}, {count}")
    return count, x[1], x[2] // count


def _attention(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    q, k, v = (shape_of(inputs, i) for i in range(3))
    need(len(q) == len(k) == len(v), "q, k and v have as many axes")
    heads, steps, d = heads_of(q, attributes.get("q_num_heads", 0))
    keys = heads_of(k, attributes.get("kv_num_heads", 0))
    values = heads_of(v, attributes.get("kv_num_heads", 0))
    need(keys[:2] == values[:2] and keys[2] == d, f"{list(q)}, {list(k)}, {list(v)} do not fit")
    need(q[0] == k[0] == v[0], f"{list(q)}, {list(k)}, {list(v)} have other samples")
    need(0 not in (d, values[2], *keys[:2]), f"{list(k)}, {list(v)}: a size is 0")
    need(heads % keys[0] == 0, f"{heads} query heads are no multiple of {keys[0]} key heads")
    scores = (q[0], heads, steps, keys[1])
    mask = inputs[3] if len(inputs) > 3 else None
    if mask is not None:
        wide = (1,) * (4 - len(mask)) + mask
        fits = len(mask) <= 4 and all(m in (1, s) for m, s in zip(wide, scores, strict=True))
        need(fits, f"the mask broadcasts to {list(scores)}, got {list(mask)}")
    if len(q) == 4:
        return [(q[0], heads, steps, values[2])]
    return [(q[0], steps, heads * values[2])]


def _rotary(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    x, cos, sin, positions = (shape_of(inputs, i) for i in range(4))
    _, steps, d = heads_of(x, attributes.get("num_heads", 0))
    r = attributes.get("rotary_embedding_dim", 0) or d
    need(r % 2 == 0 and 0 < r <= d, f"rotary_embedding_dim is even and at most {d}, got {r}")
    need(len(cos) == 2 and cos[1] == r // 2, f"cos is (positions, {r // 2}), got {list(cos)}")
    need(sin == cos, f"sin has shape {list(cos)}, got {list(sin)}")
    expected = (x[0], steps)
    need(positions == expected, f"positions have shape {list(expected)}, got {list(positions)}")
    return [x]


def _recurrent(inputs: Shapes, attributes: Attributes, op: str) -> list[Shape]:
    x, w, r = (shape_of(inputs, i) for i in range(3))
    bias, lengths, *states = [*inputs[3:], None, None][: max(2, len(inputs) - 3)]
    need("hidden_size" in attributes and "layout" in attributes, "needs hidden_size and layout")
    hidden, gates = attributes["hidden_size"], GATES[op]
    d = DIRECTIONS[attributes.get("direction", "forward")]
    need(lengths is None, "input 4, the lengths of sequences, is absent")
    need(len(x) == 3 and hidden >= 1, f"x is (N, T, I), hidden_size >= 1; got {list(x)}, {hidden}")
    for name, got, expected in (
        ("w", w, (d, gates * hidden, x[2])),
        ("r", r, (d, gates * hidden, hidden)),
        ("the bias", bias, (d, 2 * gates * hidden)),
        *(("a state", state, (x[0], d, hidden)) for state in states),
    ):
        need(got in (None, expected), f"{name} has shape {list(expected)}, got {got}")
    return [(x[0], x[1], d, hidden), *[(x[0], d, hidden)] * (gates - 2)]


def reduced(inputs: Shapes, attributes: Attributes, nothing: bool) -> list[Shape]:
    """Return what reductions along ``axes`` leave; ``nothing``: an empty sum is allowed."""
    x = shape_of(inputs, 0)
    gone = axes_of(attributes, len(x), some=True)
    need(nothing or all(x[i] > 0 for i in gone), f"reduces nothing: {list(x)} along {gone}")
    keep = attributes.get("keepdims", 1)
    return [tuple(1 if i in gone else d for i, d in enumerate(x) if keep or i not in gone)]


def _summed(inputs: Shapes, attributes: Attributes, nothing: bool) -> list[Shape]:
    result = reduced(inputs, attributes, nothing)
    x = shape_of(inputs, 0)
    sizes = [x[i] for i in axes_of(attributes, len(x)) if x[i] < 2**31]  # larger: any length
    need(math.prod(sizes) < _COUNTED, f"float32 counts to {_COUNTED} elements, got {sizes}")
    return result


_REDUCE: Mapping[str, Kind] = {"axes": "ints", "keepdims": (0, 1)}
_WALK: Mapping[str, Kind] = {
    "direction": tuple(DIRECTIONS), "hidden_size": "int", "layout": (1,),
}  # fmt: skip
_RESET: Mapping[str, Kind] = {**_WALK, "linear_before_reset": (0, 1)}
SEQUENCE: Mapping[str, Operator] = {
    "Gather": Operator(2, 2, {"axis": "int"}, _gather),
    "Cast": Operator(1, 1, {"to": (1, 6, 9)}, _cast),
    "LayerNormalization": Operator(2, 3, {"axis": "int", "epsilon": "float"}, _normalized),
    "RMSNormalization": Operator(2, 2, {"axis": "int", "epsilon": "float"}, _normalized),
    "Attention": Operator(
        3, 4,
        {"q_num_heads": "int", "kv_num_heads": "int", "scale": "float", "is_causal": (0, 1)},
        _attention,
    ),
    "RotaryEmbedding": Operator(
        4, 4, {"num_heads": "int", "rotary_embedding_dim": "int", "interleaved": (0, 1)}, _rotary
    ),
    **{
        op: Operator(3, 6, _RESET, lambda i, a: _recurrent(i, a, "GRU"))
        for op in ("GRU", "DynamicQuantizeGRU")
    },
    **{
        op: Operator(3, 7, _WALK, lambda i, a: _recurrent(i, a, "LSTM"))
        for op in ("LSTM", "DynamicQuantizeLSTM")
    },
    "ReduceMean": Operator(1, 1, _REDUCE, lambda i, a: _summed(i, a, False)),
    "ReduceSum": Operator(1, 1, _REDUCE, lambda i, a: _summed(i, a, True)),
    "Slice": Operator(1, 1, {"starts": "ints", "ends": "ints", "axes": "ints"}, slices),
    "Squeeze": Operator(1, 1, {"axes": "ints"}, squeeze),
    "Unsqueeze": Operator(1, 1, {"axes": "ints"}, unsqueeze),
}  # fmt: skip
