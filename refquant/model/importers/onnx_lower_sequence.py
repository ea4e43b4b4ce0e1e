"""Attention and rotary embeddings: ONNX's operators of opset 23, and a rotation of others.

``com.microsoft.RotaryEmbedding`` has the positions before the angles. A mask of truths becomes one
of numbers, 0 where it is true, -inf where it is not.

What our ``Attention`` has not is spelled out by `refquant.model.importers.onnx_lower_attention`.

Left out: angles without positions.
"""

from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_items import Spread
from refquant.model.importers.onnx_lower_attention import spelled_attention
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Scope, Unsupported

__all__ = ["SEQUENCE"]

Lower = Callable[[Scope, OnnxNode], None]
_MORE = (("softcap", 0.0), ("left_window_size", -1), ("right_window_size", -1))
_PLAIN = ("q_num_heads", "kv_num_heads", "is_causal", "scale")


def _attention(s: Scope, node: OnnxNode) -> None:
    a = node.attributes
    if node.domain:
        raise Unsupported(f"{node.domain}.Attention is another operator; export opset 23's")
    asked = any(name in s.outputs or s.readers.get(name) for name in node.outputs[1:])
    if asked or any(s.has(node, i) for i in (4, 5, 6)) or any(a.get(n, d) != d for n, d in _MORE):
        spelled_attention(s, node)
        return
    strange = sorted(
        a.keys() - {*_PLAIN, *dict(_MORE), "softmax_precision", "qk_matmul_output_mode"}
    )
    if strange:
        raise Unsupported(f"attributes {strange}")
    given: dict[str, Attribute] = {key: a[key] for key in _PLAIN if key in a}
    inputs = [s.real(node, i) for i in range(3)]
    item = s.item(node.inputs[3]) if s.has(node, 3) else None
    if item is not None and s.dtype(node.inputs[3]) == "bool":
        _by_truths(s, node, inputs, given)
    elif isinstance(item, Spread):  # the same for all queries
        s.emit(node, "Attention", [*inputs, item.value], given)
    else:
        mask = [] if item is None else [s.real(node, 3)]
        s.emit(node, "Attention", [*inputs, *mask], given)


def _by_truths(s: Scope, node: OnnxNode, inputs: list[str], given: dict[str, Attribute]) -> None:
    """Add -inf where a mask of truths is false; a query that may see nothing gives 0."""
    mask, (queries, keys) = s.value(node, 3), (s.shape(name) for name in node.inputs[:2])
    if given.pop("is_causal", 0):
        t, k = queries[-2], keys[-2]
        if isinstance(t, str) or isinstance(k, str):
            raise Unsupported("is_causal and a mask of truths, of a length; give it a number")
        before = s.constant(f"{node.outputs[0]}/before", np.tri(int(t), int(k), dtype=np.uint8))
        mask = s.step(node, "And", [mask, before])
    shape = s.b.values[mask].shape
    if len(queries) == 3 and shape[:-2][-1:] not in ((), (1,)):
        raise Unsupported("a mask of truths for each head, of inputs of three axes")
    numbers = [s.scalar(node, 0.0), s.scalar(node, float("-inf"))]
    added = s.step(node, "Where", [mask, *numbers])
    mixed = s.step(node, "Attention", [*inputs, added], given)
    real = s.step(node, "Cast", [mask], {"to": 1})
    any_key = s.step(node, "ReduceMax", [real], {"axes": (-1,), "keepdims": 1})
    if len(queries) == 3 and len(shape) > 2:
        any_key = s.step(node, "Squeeze", [any_key], {"axes": (-3,)})
    sees = s.node("Cast", [any_key], f"{node.outputs[0]}/sees", {"to": 9})
    s.emit(node, "Where", [sees, mixed, numbers[0]])


def _rotary(s: Scope, node: OnnxNode) -> None:
    a, order = node.attributes, (0, 2, 3, 1) if node.domain else (0, 1, 2, 3)
    if not s.has(node, order[3]):
        raise Unsupported("angles without positions")
    if node.domain and (a.get("scale", 1.0) != 1.0 or len(s.shape(node.inputs[1])) != 2):
        raise Unsupported("scale, or one position for all")
    given: dict[str, Attribute] = {
        key: int(a[key])
        for key in ("num_heads", "interleaved", "rotary_embedding_dim")
        if a.get(key)
    }
    positions = s.value(node, order[3], like="int64")
    if s.b.values[positions].dtype != "int32":
        raise Unsupported(f"positions are {s.dtype(node.inputs[order[3]])}")
    inputs = [*(s.real(node, i) for i in order[:3]), positions]
    s.emit(node, "RotaryEmbedding", inputs, given)


SEQUENCE: Mapping[str, Lower] = {"Attention": _attention, "RotaryEmbedding": _rotary}
