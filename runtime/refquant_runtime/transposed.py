r"""The kernel of a transposed convolution as that of a convolution: ``docs/spec/operators.md`` 10.

Weights are ``(C, M/group, kernel)``. Two convolutions give the same numbers: one **mirrored**, over
an input with zeros between its elements; and one of **phases**, over the input as it is, whose
``s`` times as many channels are the results between neighbours. An input i reaches, through tap k,
o = s i + d k - p. With d k = s j + r and o + p = s q + r,

.. math:: y_{s q + r - p} = \sum_{k:\ d k \bmod s = r} x_{q - j}\, w_k                     \tag{1}

so the phase r has the tap j of a kernel of J + 1 taps, J = floor(d (K - 1) / s), mirrored; a tap
that no k has weighs nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.rules import need
from refquant_runtime.weights import dequantized, unpack

__all__ = ["channel_weights", "decoded", "mirrored", "phased", "repeated"]

Array = NDArray[Any]


def channel_weights(node: Node, w: Value) -> Value:
    """Return the weights of a layer, those of a transposed convolution mirrored."""
    if not node.op.startswith("ConvTranspose"):
        return w
    return mirrored(w, node.attributes.get("group", 1))


def mirrored(w: Value, group: int) -> Value:
    """Return constant weights ``(C, M/group, kernel)`` as ``(M, C/group, kernel)``.

    >>> ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    >>> mirrored(Value("w", "float32", (1, 1, 4), False, None, ramp), 1).data.tolist()
    [[[3.0, 2.0, 1.0, 0.0]]]
    """
    rank = len(w.shape) - 2
    return phased(w, group, (1,) * rank, (1,) * rank)


def phased(w: Value, group: int, strides: Sequence[int], dilations: Sequence[int]) -> Value:
    """Return the kernels of eq. (1): channels are group, phase, channel of the group.

    Codes stay codes beside codes; a tap that is not there is their zero point. Their parameters
    are one, or one an output channel; `ValueError` otherwise.

    >>> ramp = np.arange(3, dtype=np.float32).reshape(1, 1, 3)
    >>> phased(Value("w", "float32", (1, 1, 3), False, None, ramp), 1, (2,), (1,)).data.tolist()
    [[[2.0, 0.0]], [[0.0, 1.0]]]
    """
    inside, per, kernel = w.shape[0] // group, w.shape[1], w.shape[2:]
    taps = [d * (k - 1) // s + 1 for k, s, d in zip(kernel, strides, dilations, strict=True)]
    quant, zeros = _phased_quant(w, group, strides, (1, inside, *taps))
    codes = unpack(w)
    grouped = codes.reshape(group, inside, per, *kernel).swapaxes(1, 2)
    wide = np.empty((group, *strides, per, inside, *taps), codes.dtype)
    wide[...] = zeros.reshape(*zeros.shape[:1], *(1,) * len(strides), -1, 1, *(1,) * len(taps))
    every = slice(None)
    for tap in np.ndindex(*kernel):
        reach = [k * d for k, d in zip(tap, dilations, strict=True)]
        phase = tuple(far % s for far, s in zip(reach, strides, strict=True))
        place = tuple(t - 1 - far // s for far, s, t in zip(reach, strides, taps, strict=True))
        wide[(every, *phase, every, every, *place)] = grouped[(every, every, every, *tap)]
    data = np.ascontiguousarray(wide.reshape(-1, inside, *taps))
    dtype = w.dtype if w.quant is None else ("uint8" if w.dtype.startswith("u") else "int8")
    if dtype != "float32":
        data = data.astype(np.dtype(dtype))
    return replace(w, dtype=dtype, shape=data.shape, data=data, quant=quant)


def repeated(vector: Array, group: int, strides: Sequence[int]) -> Array:
    """Return one number an output channel for each phase: group, phase, channel of the group.

    >>> repeated(np.array([1, 2]), 2, (2,)).tolist()
    [1, 1, 2, 2]
    """
    grouped = vector.reshape(group, 1, -1)
    return np.ascontiguousarray(np.repeat(grouped, math.prod(strides), axis=1).reshape(-1))


def decoded(w: Value) -> Value:
    """Return weights of codes as the reals that they mean."""
    return w if w.quant is None else replace(w, dtype="float32", data=dequantized(w), quant=None)


def _phased_quant(
    w: Value, group: int, strides: Sequence[int], block: tuple[int, ...]
) -> tuple[Quant | None, Array]:
    """Return the parameters of every channel of every phase, and the zero points (group, per)."""
    quant = w.quant
    if quant is None:
        return None, np.zeros((1, 1), np.float32)
    need(quant.plain, "a table, float zero points and g_idx go with float32 activations")
    rest, parts = (1,) * (len(w.shape) - 2), []
    grids = ((group, w.shape[1], *rest), (1, w.shape[1], *rest))
    for name, array in (("scale", quant.scale), ("zero point", quant.zero_point)):
        need(
            array.size == 1 or array.shape in grids,
            f"weights of shape {list(w.shape)} need one "
            f"{name}, or one an output channel, shape {list(grids[0])}; got {list(array.shape)}",
        )
        flat = array.reshape(1, 1) if array.size == 1 else array.reshape(array.shape[:2])
        parts.append(np.broadcast_to(flat, (group, w.shape[1])))
    scale, zero = (repeated(part, group, strides).reshape(-1, 1, *rest) for part in parts)
    return Quant(scale, zero, block), np.ascontiguousarray(parts[1])
