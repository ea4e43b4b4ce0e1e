r"""ONNX's Attention, spelled out: what our operator of that name has not, by others that we have.

Past keys and values, a soft cap, windows, lengths of keys, and scores as outputs. With the scale
:math:`c = \sqrt{s}` on both sides, keys :math:`K` and values :math:`V` behind their past ones,

.. math:: S = (Q c)(K c)^T, \quad C = t \tanh(S / t), \quad P = \mathrm{softmax}(C + B),
   \quad Y = P V                                                                           \tag{1}

:math:`B` adds the mask and -inf where a query may not look: behind it (``is_causal``), outside of a
window, beyond a sample's length. A query that may look nowhere gives 0. Sizes must be numbers.

References
----------
ONNX, operators.md: Attention-23, -24, -25 (softcap before the mask; causal frontiers that count
past keys; rows that are masked as a whole are 0)
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_lower_places import take
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Scope, Seen, Unsupported

__all__ = ["spelled_attention"]

_WINDOWS = ("left_window_size", "right_window_size")
_LAST: Mapping[str, Attribute] = {"axes": (-1,), "keepdims": 1}
_NEVER = float("-inf")


def spelled_attention(s: Scope, node: OnnxNode) -> None:
    """Add the steps of eq. (1)."""
    a, flat = node.attributes, len(s.shape(node.inputs[0])) == 3
    if a.get("softmax_precision", 1) not in (0, 1):
        raise Unsupported("a softmax that is not in float32")
    heads = [int(a.get(f"{who}_num_heads", 0)) for who in ("q", "kv", "kv")]
    q, k, v = (_by_heads(s, node, i, heads[i] if flat else 0) for i in range(3))
    before = _size(s, s.value(node, 4), 2) if s.has(node, 4) else 0
    if s.has(node, 4) != s.has(node, 5):
        raise Unsupported("past keys (input 4) without past values (input 5), or the reverse")
    if s.has(node, 4):
        k, v = (s.step(node, "Concat", [s.real(node, i), x], {"axis": 2})
                for i, x in ((4, k), (5, v)))  # fmt: skip
    present = k, v
    groups = _size(s, q, 1) // _size(s, k, 1)
    if groups > 1:
        places = np.repeat(np.arange(_size(s, k, 1)), groups).tolist()
        k, v = (take(s, x, f"{node.outputs[0]}/heads", 1, places) for x in (k, v))
    scores, capped = _scores(s, node, q, k)
    added = _added(s, node, _size(s, q, 2), _size(s, k, 2), before)
    biased = capped if added is None else s.step(node, "Add", [capped, added])
    shares = s.step(node, "Softmax", [biased], {"axis": -1})
    if added is not None:
        sees = s.step(node, "ReduceMax", [added], _LAST)
        sees = s.step(node, "Greater", [sees, s.scalar(node, _NEVER)])
        shares = s.step(node, "Where", [sees, shares, s.scalar(node, 0.0)])
    y = s.step(node, "MatMul", [shares, v])
    if flat:
        y = s.step(node, "Transpose", [y], {"perm": (0, 2, 1, 3)})
        y = s.step(node, "Reshape", [y], {"shape": (_size(s, y, 0), _size(s, y, 1), -1)})
    shown = (scores, capped, biased, shares)[int(a.get("qk_matmul_output_mode", 0))]
    for name, value in zip(node.outputs, (y, *present, shown), strict=False):
        if name:
            s.items[name] = Seen(value, "float32")


def _size(s: Scope, value: str, axis: int) -> int:
    size = s.b.values[value].shape[axis]
    if isinstance(size, str):
        raise Unsupported(f"a size {size}, which only a run knows; give the inputs sizes")
    return size


def _by_heads(s: Scope, node: OnnxNode, index: int, heads: int) -> str:
    """Return an input as [samples, heads, places, numbers]."""
    x = s.real(node, index)
    sizes = [_size(s, x, axis) for axis in range(len(s.b.values[x].shape))]
    if not heads:
        return x
    if sizes[2] % heads:
        raise Unsupported(f"{sizes[2]} numbers in {heads} heads")
    shape = {"shape": (*sizes[:2], heads, sizes[2] // heads)}
    return s.step(node, "Transpose", [s.step(node, "Reshape", [x], shape)], {"perm": (0, 2, 1, 3)})


def _scores(s: Scope, node: OnnxNode, q: str, k: str) -> tuple[str, str]:
    """Return S and C of eq. (1)."""
    scale = float(node.attributes.get("scale", 0.0)) or 1 / math.sqrt(_size(s, q, 3))
    factor = s.scalar(node, math.sqrt(scale))
    turned = s.step(node, "Transpose", [k], {"perm": (0, 1, 3, 2)})
    scores = s.step(node, "MatMul", [s.step(node, "Mul", [x, factor]) for x in (q, turned)])
    cap = float(node.attributes.get("softcap", 0.0))
    if cap <= 0:
        return scores, scores
    bent = s.step(node, "Tanh", [s.step(node, "Div", [scores, s.scalar(node, cap)])])
    return scores, s.step(node, "Mul", [bent, s.scalar(node, cap)])


def _added(s: Scope, node: OnnxNode, queries: int, keys: int, before: int) -> str | None:
    """Return B of eq. (1), None if nothing is added."""
    parts = []
    if s.has(node, 3):
        parts.append(_mask(s, node, keys))
    lengths = _lengths(s, node) if s.has(node, 6) else None
    ahead = np.arange(keys) - np.arange(queries)[:, None]  # keys after the query, without offset
    causal = bool(node.attributes.get("is_causal", 0))
    left, right = (int(node.attributes.get(name, -1)) for name in _WINDOWS)
    limits = [(np.float32(1), 0)] if causal else []
    limits += [(np.float32(1), right)] if right >= 0 else []
    limits += [(np.float32(-1), left)] if left >= 0 else []
    for sign, most in limits:  # sign * (ahead - offset) <= most
        if lengths is None:
            allowed = sign * (ahead - before) <= most
            parts.append(_constant(s, node, np.where(allowed, 0, _NEVER)))
        else:  # offset = length - queries
            away = _constant(s, node, sign * (ahead + queries) - most)
            offset = s.step(node, "Mul", [lengths, s.scalar(node, float(sign))])
            parts.append(_where(s, node, s.step(node, "LessOrEqual", [away, offset])))
    if lengths is not None:
        places = _constant(s, node, np.arange(keys))
        parts.append(_where(s, node, s.step(node, "Less", [places, lengths])))
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = s.step(node, "Add", [total, part])
    return total


def _mask(s: Scope, node: OnnxNode, keys: int) -> str:
    """Return the mask as numbers to add, -inf for keys that it does not reach."""
    truths = s.dtype(node.inputs[3]) == "bool"
    mask = _where(s, node, s.value(node, 3)) if truths else s.real(node, 3)
    shape = s.b.values[mask].shape
    sizes = [_size(s, mask, axis) for axis in range(len(shape))]
    if sizes[-1] < keys and sizes[-1] != 1:
        beyond = _constant(s, node, np.full((*sizes[:-1], keys - sizes[-1]), _NEVER))
        mask = s.step(node, "Concat", [mask, beyond], {"axis": len(sizes) - 1})
    return mask


def _lengths(s: Scope, node: OnnxNode) -> str:
    """Return the lengths of keys, a number a sample, to be held against [1, 1, queries, keys]."""
    real = s.step(node, "Cast", [s.value(node, 6, like="int64")], {"to": 1})
    return s.step(node, "Reshape", [real], {"shape": (-1, 1, 1, 1)})


def _where(s: Scope, node: OnnxNode, allowed: str) -> str:
    return s.step(node, "Where", [allowed, s.scalar(node, 0.0), s.scalar(node, _NEVER)])


def _constant(s: Scope, node: OnnxNode, array: NDArray[Any]) -> str:
    return s.constant(f"{node.outputs[0]}/added", array.astype(np.float32))
