"""The operators of docs/spec/operators.md, section 7: from a call to the operator's function."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from refquant.model.execute_call import Call
from refquant.ops import (
    attention,
    dynamic_gru,
    dynamic_lstm,
    gru,
    layer_norm,
    lstm,
    mean,
    movement,
    reduce,
    rotary,
    static_recurrent,
)

__all__ = ["SEQUENCE"]

Array = NDArray[Any]


def _layer_normalization(c: Call) -> Array:
    return layer_norm.layer_normalization(
        c.operand(0), c.operand(1), c.optional(2), **c.attributes("epsilon")
    )


def _rms_normalization(c: Call) -> Array:
    return layer_norm.rms_normalization(c.operand(0), c.operand(1), **c.attributes("epsilon"))


def _attention(c: Call) -> Array:
    given = c.attributes("is_causal", "q_num_heads", "kv_num_heads", "scale")
    q, k, v = (c.operand(i) for i in range(3))
    return attention.attention(q, k, v, c.optional(3), **given, sums=c.sums)


def _rotary(c: Call) -> Array:
    given = c.attributes("interleaved", "num_heads", "rotary_embedding_dim")
    return rotary.rotary_embedding(*(c.operand(i) for i in range(4)), **given)


def _reduce_mean(c: Call) -> Array:
    axes = c.attributes("axes", "keepdims")
    if c.quantized:
        return mean.reduce_mean_quantized(c.operand(0), **c.two(), **axes)
    return reduce.reduce_mean(c.operand(0), **axes)


def _gru(c: Call) -> tuple[Array, ...]:
    given = c.attributes("hidden_size", "direction", "linear_before_reset")
    if c.quantized:
        x, w, r = (c.operand(i) for i in range(3))
        return static_recurrent.gru_quantized(
            x, w, r, c.optional(3), c.optional(5), **given | _coded(c)
        )
    w, r = c.weight(1), c.weight(2)
    return gru.gru(c.operand(0), w, r, c.optional(3), c.optional(5), **given, sums=c.sums)


def _lstm(c: Call) -> tuple[Array, ...]:
    given = c.attributes("hidden_size", "direction")
    states = c.optional(5), c.optional(6)
    if c.quantized:
        x, w, r = (c.operand(i) for i in range(3))
        return static_recurrent.lstm_quantized(x, w, r, c.optional(3), *states, **given | _coded(c))
    w, r = c.weight(1), c.weight(2)
    return lstm.lstm(c.operand(0), w, r, c.optional(3), *states, **given, sums=c.sums)


def _coded(c: Call) -> dict[str, Any]:
    return {**c.three(), "r_qparams": c.x(2)}


def _dynamic_lstm(c: Call) -> tuple[Array, ...]:
    states = c.optional(5), c.optional(6)
    return dynamic_lstm.dynamic_quantize_lstm(
        c.operand(0), c.operand(1), c.operand(2), c.optional(3), *states,
        **c.attributes("hidden_size", "direction"), w_qparams=c.x(1), r_qparams=c.x(2),
        contract=c.contract,
    )  # fmt: skip


def _dynamic_gru(c: Call) -> tuple[Array, ...]:
    return dynamic_gru.dynamic_quantize_gru(
        c.operand(0), c.operand(1), c.operand(2), c.optional(3), c.optional(5),
        **c.attributes("hidden_size", "direction", "linear_before_reset"), w_qparams=c.x(1),
        r_qparams=c.x(2), contract=c.contract,
    )  # fmt: skip


SEQUENCE: Mapping[str, Callable[[Call], Array | tuple[Array, ...]]] = {
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "Attention": _attention,
    "RotaryEmbedding": _rotary,
    "GRU": _gru,
    "LSTM": _lstm,
    "DynamicQuantizeGRU": _dynamic_gru,
    "DynamicQuantizeLSTM": _dynamic_lstm,
    "ReduceMean": _reduce_mean,
    "ReduceSum": lambda c: reduce.reduce_sum(c.operand(0), **c.attributes("axes", "keepdims")),
    "Slice": lambda c: movement.slice_axes(c.operand(0), **c.attributes("starts", "ends", "axes")),
    "Squeeze": lambda c: movement.squeeze(c.operand(0), **c.attributes("axes")),
    "Unsqueeze": lambda c: movement.unsqueeze(c.operand(0), **c.attributes("axes")),
}
