r"""GRU: a recurrent layer with two gates, update z and reset r.

With a and b of :mod:`refquant.ops.recurrent`, gates in the order z, r, h:

.. math::

    z &= \sigma(a_z + b_z), \qquad r = \sigma(a_r + b_r)                            \tag{1} \\
    n &= \tanh(a_h + (r \odot h)\, R_h^\top + b^R_h)
        \quad \text{linear\_before\_reset 0, the paper's}                           \tag{2} \\
    n &= \tanh(a_h + r \odot b_h) \quad \text{linear\_before\_reset 1, cuDNN's}     \tag{3} \\
    h' &= (1 - z) \odot n + z \odot h                                               \tag{4}

PyTorch's gates stand in the order r, z, n and reset as in eq. (3); Keras resets as in eq. (3) where
``reset_after`` is true, its default.

References
----------
ONNX ``GRU`` (22); Cho et al., 2014, section 2.3; ``docs/spec/operators.md`` section 7.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.transcendental import sigmoid, tanh
from refquant.ops.recurrent import (
    DIRECTIONS,
    Cell,
    FloatGates,
    Gates,
    States,
    check_recurrent,
    walk,
)

__all__ = ["gru", "gru_cell"]

Float = NDArray[np.float32]


def gru(
    x: Float,
    w: Float,
    r: Float,
    bias: Float | None = None,
    initial_h: Float | None = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    linear_before_reset: int = 0,
    sums: str = "ordered",
) -> tuple[Float, Float]:
    """Return Y (N, T, D, H) and Y_h (N, D, H): eqs. (1) to (4).

    ``x`` (N, T, I), ``w`` (D, 3H, I), ``r`` (D, 3H, H), ``bias`` (D, 6H), ``initial_h`` (N, D, H),
    zeros if absent. ``sums``: see `refquant.numerics.dot`.

    >>> zeros = np.zeros((1, 3, 1), np.float32)
    >>> h = np.full((1, 1, 1), 8, np.float32)
    >>> gru(np.zeros((1, 2, 1), np.float32), zeros, zeros, None, h, hidden_size=1)[0].tolist()
    [[[[4.0]], [[2.0]]]]
    """
    operands = {"x": x, "w": w, "r": r, "bias": bias, "initial_h": initial_h}
    check_recurrent("GRU", 3, operands, direction=direction, hidden_size=hidden_size)
    cell = gru_cell(linear_before_reset)
    h = np.zeros((x.shape[0], len(w), hidden_size), np.float32) if initial_h is None else initial_h
    count = range(len(DIRECTIONS[direction]))
    gates = [FloatGates(w[d], r[d], None if bias is None else bias[d], sums) for d in count]
    y, last = walk(x, gates, [(h[:, d],) for d in count], direction, cell)
    return y, last


def gru_cell(linear_before_reset: int) -> Cell:
    """Return the step of eqs. (1), (4) and (2) or (3), for `refquant.ops.recurrent.walk`.

    >>> gates = FloatGates(np.zeros((3, 1), np.float32), np.zeros((3, 1), np.float32), None, "blas")
    >>> h = (np.full((1, 1), 8, np.float32),)
    >>> gru_cell(1)(gates, np.zeros((1, 3), np.float32), h)[0].tolist()
    [[4.0]]
    """
    if linear_before_reset not in (0, 1):
        raise ValueError(
            f"GRU: attribute linear_before_reset must be 0 or 1, got {linear_before_reset!r}"
        )
    return _reset_after if linear_before_reset else _reset_before


def _reset_before(gates: Gates, a: Float, states: States) -> States:
    (h,), size = states, gates.hidden
    both = sigmoid(a[:, : 2 * size] + gates.of_state(h, 0, 2))
    z, r = both[:, :size], both[:, size:]
    return _mixed(z, tanh(a[:, 2 * size :] + gates.of_state(r * h, 2, 3)), h)


def _reset_after(gates: Gates, a: Float, states: States) -> States:
    (h,), size = states, gates.hidden
    b = gates.of_state(h, 0, 3)
    both = sigmoid(a[:, : 2 * size] + b[:, : 2 * size])
    z, r = both[:, :size], both[:, size:]
    return _mixed(z, tanh(a[:, 2 * size :] + r * b[:, 2 * size :]), h)


def _mixed(z: Float, n: Float, h: Float) -> States:
    """Eq. (4)."""
    new: Float = (np.float32(1) - z) * n + z * h
    return (new,)
