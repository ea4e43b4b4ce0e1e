r"""LSTM of codes that a run makes: the input of a sample at once, its state at every step.

With (q, s, z) of ``DynamicQuantizeLinear`` (`refquant.ops.quantize_linear`), of all of a sample's
x, and of its state h at each step, and weights of codes with zero point 0:

.. math::

    a_{t,j} &= f_{32}\bigl(f_{32}(\textstyle\sum_k (q^x_{t,k} - z^x) w_{j,k})
        \cdot f_{32}(s^x s^w_j)\bigr)                                                  \tag{1} \\
    b_j &= f_{32}\bigl(f_{32}(\textstyle\sum_k (q^h_k - z^h) r_{j,k})
        \cdot f_{32}(s^h s^r_j)\bigr)                                                  \tag{2} \\
    g_j &= f_{32}\bigl(f_{32}(a_{t,j} + b_j) + f_{32}(B^W_j + B^R_j)\bigr)             \tag{3}

without a bias no second addition. The gates g in the order i, o, f, c are then those of
`refquant.ops.lstm`, eqs. (1) to (3) there. Sums of codes are exact. A sample has the same bits
whatever stands beside it: onnxruntime takes one range for the whole batch, so they agree for one.

Left out: weights with zero points, peepholes.

References
----------
onnxruntime ``docs/ContribOperators.md``, ``com.microsoft.DynamicQuantizeLSTM``;
``docs/spec/operators.md`` section 5.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.numerics.transcendental import sigmoid, tanh
from refquant.ops.quantize_linear import dynamic_quantize_linear
from refquant.ops.recurrent import DIRECTIONS
from refquant.ops.rescale import need_float32

__all__ = ["dynamic_product", "dynamic_quantize_lstm", "row_scales"]

Float = NDArray[np.float32]
Codes = NDArray[np.int8]


def dynamic_quantize_lstm(
    x: Float,
    w: Codes,
    r: Codes,
    bias: Float | None = None,
    initial_h: Float | None = None,
    initial_c: Float | None = None,
    *,
    w_qparams: QParams,
    r_qparams: QParams,
    hidden_size: int,
    contract: Contract,
    direction: str = "forward",
) -> tuple[Float, Float, Float]:
    """Return Y (N, T, D, H), Y_h and Y_c (N, D, H): eqs. (1) to (3).

    ``x`` (N, T, I), ``w`` (D, 4H, I) and ``r`` (D, 4H, H) int8 codes, ``bias`` (D, 8H),
    ``initial_h`` and ``initial_c`` (N, D, H), zeros if absent.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> zeros, c = np.zeros((1, 4, 1), np.int8), np.full((1, 1, 1), 8, np.float32)
    >>> dynamic_quantize_lstm(np.zeros((1, 2, 1), np.float32), zeros, zeros, None, None, c,
    ...                       w_qparams=one, r_qparams=one, hidden_size=1,
    ...                       contract=preset("ort"))[2].tolist()
    [[[2.0]]]
    """
    need_float32("DynamicQuantizeLSTM", x=x)
    samples, steps, _ = x.shape
    d, size = len(w), hidden_size
    sw, sr = row_scales(w, w_qparams), row_scales(r, r_qparams)
    zeros = np.zeros((samples, d, size), np.float32)
    h = zeros.copy() if initial_h is None else initial_h.copy()
    c = zeros.copy() if initial_c is None else initial_c.copy()
    y = np.zeros((samples, steps, d, size), np.float32)
    for n in range(samples):
        for i, reverse in enumerate(DIRECTIONS[direction]):
            added = None if bias is None else bias[i, : 4 * size] + bias[i, 4 * size :]
            a = dynamic_product(x[n], w[i], sw[i], contract)
            for t in reversed(range(steps)) if reverse else range(steps):
                b = dynamic_product(h[n, i], r[i], sr[i], contract)
                h[n, i], c[n, i] = _cell(a[t] + b, added, c[n, i])
                y[n, t, i] = h[n, i]
    return y, h, c


def row_scales(w: Codes, qparams: QParams) -> Float:
    """Return the scale of each row of ``w`` (D, rows, K): one number, one a direction, or one each.

    >>> q = QParams(np.full((2, 1, 1), 0.5, np.float32), np.zeros((2, 1, 1), np.int32), (1, 4, 3),
    ...             "int8")
    >>> row_scales(np.zeros((2, 4, 3), np.int8), q).tolist()
    [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]
    """
    scale = np.asarray(qparams.scale, np.float32)
    if np.asarray(qparams.zero_point).any():
        raise ValueError("weights have zero point 0; quantize symmetrically")
    if scale.ndim and scale.shape not in ((len(w), 1, 1), (*w.shape[:2], 1)):
        raise ValueError(
            "weights have one scale, one a direction or one a row, "
            f"got {list(scale.shape)} for {list(w.shape)}"
        )
    wide = np.broadcast_to(scale.reshape(scale.shape or (1, 1, 1)), (*w.shape[:2], 1))
    return np.ascontiguousarray(wide[..., 0])


def dynamic_product(x: Float, w: Codes, scale: Float, contract: Contract) -> Float:
    """Return eqs. (1), (2): codes of one range for all of ``x`` (..., K), times ``w`` (rows, K).

    0.5 is the step of a range from 0 to 127.5, and both codes are exact:

    >>> from refquant.contracts import preset
    >>> x, w = np.float32([127.5, 2]), np.int8([[1, 3], [-1, 0]])
    >>> dynamic_product(x, w, np.float32([2, 1]), preset("ort")).tolist()
    [267.0, -127.5]
    """
    codes, step, zero = dynamic_quantize_linear(x, contract)
    acc = (codes.astype(np.int64) - int(zero)) @ w.astype(np.int64).T
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y: Float = acc.astype(np.float32) * (step * scale)
    return y


def _cell(total: Float, added: Float | None, c: Float) -> tuple[Float, Float]:
    size = len(c)
    g = total if added is None else total + added
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        three = sigmoid(g[: 3 * size])
        i, o, f = three[:size], three[size : 2 * size], three[2 * size :]
        new = f * c + i * tanh(g[3 * size :])
        return o * tanh(new), new
