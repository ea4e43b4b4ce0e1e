r"""LSTM: a recurrent layer with a state c that is added to, and three gates.

With a and b of :mod:`refquant.ops.recurrent`, gates in the order i, o, f, c:

.. math::

    i &= \sigma(a_i + b_i), \quad o = \sigma(a_o + b_o), \quad f = \sigma(a_f + b_f)   \tag{1} \\
    c' &= f \odot c + i \odot \tanh(a_c + b_c)                                         \tag{2} \\
    h' &= o \odot \tanh(c')                                                            \tag{3}

PyTorch's gates stand in the order i, f, g (here c), o; Keras' in the order i, f, c, o.

Left out: peepholes.

References
----------
ONNX ``LSTM`` (22); Hochreiter, Schmidhuber, 1997; Gers et al., 2000 (the gate f);
``docs/spec/operators.md`` section 7.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.transcendental import sigmoid, tanh
from refquant.ops.recurrent import DIRECTIONS, FloatGates, Gates, States, check_recurrent, walk

__all__ = ["lstm", "lstm_cell"]

Float = NDArray[np.float32]


def lstm(
    x: Float,
    w: Float,
    r: Float,
    bias: Float | None = None,
    initial_h: Float | None = None,
    initial_c: Float | None = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    sums: str = "ordered",
) -> tuple[Float, Float, Float]:
    """Return Y (N, T, D, H), Y_h and Y_c (N, D, H): eqs. (1) to (3).

    ``x`` (N, T, I), ``w`` (D, 4H, I), ``r`` (D, 4H, H), ``bias`` (D, 8H), ``initial_h`` and
    ``initial_c`` (N, D, H), zeros if absent. ``sums``: see `refquant.numerics.dot`.

    >>> zeros = np.zeros((1, 4, 1), np.float32)
    >>> c = np.full((1, 1, 1), 8, np.float32)
    >>> x = np.zeros((1, 2, 1), np.float32)
    >>> lstm(x, zeros, zeros, None, None, c, hidden_size=1)[2].tolist()
    [[[2.0]]]
    """
    operands = {"x": x, "w": w, "r": r, "bias": bias, "h": initial_h, "c": initial_c}
    check_recurrent("LSTM", 4, operands, direction=direction, hidden_size=hidden_size)
    zeros = np.zeros((x.shape[0], len(w), hidden_size), np.float32)
    h = zeros if initial_h is None else initial_h
    c = zeros if initial_c is None else initial_c
    count = range(len(DIRECTIONS[direction]))
    gates = [FloatGates(w[d], r[d], None if bias is None else bias[d], sums) for d in count]
    y, last_h, last_c = walk(x, gates, [(h[:, d], c[:, d]) for d in count], direction, lstm_cell)
    return y, last_h, last_c


def lstm_cell(gates: Gates, a: Float, states: States) -> States:
    """Return h' and c' of eqs. (2), (3) for a (N, 4H) and ``states`` h and c.

    >>> z, c = np.zeros((1, 1), np.float32), np.full((1, 1), 8, np.float32)
    >>> gates = FloatGates(np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32), None, "blas")
    >>> lstm_cell(gates, np.zeros((1, 4), np.float32), (z, c))[1].tolist()
    [[4.0]]
    """
    (h, c), size = states, gates.hidden
    total = a + gates.of_state(h, 0, 4)
    three = sigmoid(total[:, : 3 * size])
    i, o, f = three[:, :size], three[:, size : 2 * size], three[:, 2 * size :]
    new = f * c + i * tanh(total[:, 3 * size :])
    return o * tanh(new), new
