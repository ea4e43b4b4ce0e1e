"""LSTM and GRU: ONNX's layout 0 has time first, ours has the batch first.

    x [T, N, I] -> [N, T, I]      Y [T, D, N, H] <- [N, T, D, H]      states [D, N, H] <-> [N, D, H]

The transpositions are `Turned` items, so that two of them cancel before they are nodes.

``com.microsoft.DynamicQuantizeLSTM`` has its weights turned, (D, K, 4H), and may have them around
128: the same numbers around 0. It takes one range for the whole batch, ours one for each sample.

Left out: peepholes, clipping, lengths of sequences, other activations than the default ones.

References: ONNX ``LSTM``, ``GRU``; onnxruntime ``docs/ContribOperators.md``.
"""

from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Attribute, Quant
from refquant.model.importers.onnx_lower_windows import weight
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import (
    Filled,
    Item,
    Known,
    Scope,
    Seen,
    Turned,
    Unsupported,
)
from refquant.model.importers.onnx_states import bind, kept

__all__ = ["RECURRENT"]

Lower = Callable[[Scope, OnnxNode], None]

_STATE, _OUTPUT = (1, 0, 2), (1, 2, 0, 3)
_ACTIVATIONS = {"GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_ACTIVATIONS["DynamicQuantizeLSTM"] = _ACTIVATIONS["LSTM"]


def _check(s: Scope, node: OnnxNode) -> None:
    a = node.attributes
    plain = _ACTIVATIONS[node.op]
    activations = tuple(a.get("activations", plain))
    if activations not in (plain, plain * 2):
        raise Unsupported(f"activations {list(activations)}; they are {list(plain)}")
    for name in ("clip", "input_forget", "activation_alpha", "activation_beta"):
        if a.get(name):
            raise Unsupported(f"attribute {name}")
    if s.has(node, 4):
        lengths, steps = s.item(node.inputs[4]), s.shape(node.inputs[0])
        time = steps[0 if not a.get("layout", 0) else 1]
        if not isinstance(lengths, Known) or (lengths.array != time).any():
            raise Unsupported("sequence_lens (input 4)")
    if s.has(node, 7):
        raise Unsupported("peepholes (input 7)")


def _turned(s: Scope, name: str, perm: tuple[int, ...]) -> str:
    """Return the value of ``name`` with its axes in the order ``perm``."""
    item = s.item(name)
    if isinstance(item, Known):
        return s.constant(f"{name}/turned", item.array.transpose(perm))
    if isinstance(item, Turned):
        combined = tuple(item.perm[axis] for axis in perm)
        if combined == tuple(range(len(perm))):
            return item.value
        return s.node("Transpose", [item.value], f"{name}/turned", {"perm": combined})
    return s.node("Transpose", [s.value_of(name)], f"{name}/turned", {"perm": perm})


def _state(s: Scope, node: OnnxNode, index: int, first: bool) -> str:
    """Return an initial state; zeros are what an absent one is."""
    if not s.has(node, index):
        return ""
    name = node.inputs[index]
    item: Item = s.item(name)
    if isinstance(item, Filled):
        if item.number != 0:
            raise Unsupported(f"input {index} is {item.number} everywhere; it is 0, or a value")
        return ""
    if isinstance(item, Known) and not item.array.any():
        return ""
    if s.dtype(name) != "float32":
        raise Unsupported(f"input {index} is {s.dtype(name)}")
    return s.value_of(name) if first else _turned(s, name, _STATE)


def _recurrent(s: Scope, node: OnnxNode) -> None:
    _check(s, node)
    a = node.attributes
    first = bool(a.get("layout", 0))  # the batch
    count = 2 if node.op == "GRU" else 3
    if s.dtype(node.inputs[0]) != "float32":
        raise Unsupported(f"input 0 is {s.dtype(node.inputs[0])}")
    x = s.value(node, 0) if first else _turned(s, node.inputs[0], _STATE)
    if node.op.startswith("Dynamic"):
        w, r = _turned_codes(s, node, 1, 8), _turned_codes(s, node, 2, 10)
    else:
        w, r = weight(s, node, 1), weight(s, node, 2)
    bias = s.real(node, 3) if s.has(node, 3) else ""
    hidden = int(a.get("hidden_size", s.b.values[r].shape[-1]))
    kind = (s.b.values[x].shape[0], 1, hidden)
    new = [kept(s, node, i, kind) if s.streaming else None for i in range(5, 4 + count)]
    states = [_state(s, node, i, first) if k is None else k for i, k in enumerate(new, 5)]
    inputs = [x, w, r, bias, "", *states]
    while not inputs[-1]:
        inputs.pop()
    given: dict[str, Attribute] = {
        "hidden_size": hidden,
        "layout": 1,
        "direction": a.get("direction", "forward"),
    }
    if node.op == "GRU" and a.get("linear_before_reset", 0):
        given["linear_before_reset"] = 1
    coded = any(s.b.values[v].quant is not None for v in (w, r))
    names = [*node.outputs, *[""] * count][:count]
    label = next(name for name in names if name)
    ours = [f"{name or label + '/' + str(i)}/batch_first" for i, name in enumerate(names)]
    ours = [name if first and name else made for name, made in zip(names, ours, strict=True)]
    made = s.nodes(node.op, inputs, ours, given, contract=s.contract if coded else None)
    bind(s, dict(zip(new, made[1:], strict=True)))
    for perm, name, value in zip((_OUTPUT, _STATE, _STATE), names, made, strict=False):
        if name and first:
            s.items[name] = Seen(value, "float32")
        elif name:
            s.items[name] = Turned(value, "float32", perm)


def _turned_codes(s: Scope, node: OnnxNode, index: int, scale_at: int) -> str:
    """Return a weight (D, K, 4H) as ours (D, 4H, K), its zero point 0."""
    codes, scale, zero = (s.known(node, i, f"input {i}") for i in (index, scale_at, scale_at + 1))
    if codes is None or scale is None or scale.dtype != np.float32 or scale.ndim not in (1, 2):
        raise Unsupported(f"input {index} is a constant, with one scale a direction or a row")
    middle = 128 if codes.dtype == np.uint8 else 0
    if codes.dtype not in (np.int8, np.uint8) or (
        (zero is None and middle) or (zero is not None and (zero != middle).any())
    ):
        got = "none" if zero is None else zero.ravel()[:4].tolist()
        raise Unsupported(f"input {index} is {codes.dtype} around {got}; int8 is around 0, "
                          "uint8 around 128")  # fmt: skip
    around = np.ascontiguousarray(codes.astype(np.int16).transpose(0, 2, 1) - middle)
    name = f"{node.inputs[index]}/turned"
    grid = scale.reshape(len(scale), -1, 1)
    block = (1, 1 if scale.ndim == 2 else around.shape[1], around.shape[2])
    if grid.shape[:2] != (len(around), -(-around.shape[1] // block[1])):
        raise Unsupported(f"scales {list(scale.shape)} for codes {list(codes.shape)}")
    quant = Quant(s.constant(f"{name}/scale", grid), 0, block)
    return s.b.constant(s.b.free(name), around.astype(np.int8), quant=quant)


RECURRENT: Mapping[str, Lower] = {
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "DynamicQuantizeLSTM": _recurrent,
}
