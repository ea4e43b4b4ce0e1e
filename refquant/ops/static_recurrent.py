r"""LSTM and GRU of codes: products on codes by parameters that calibration chose, gates in float32.

A recurrent layer that keeps its weights in float32 reads four bytes a weight at every step, and
reads all of them for one sample: it waits for memory. Here both products are of 8-bit codes, as
those of `Conv` and `MatMul` are; what they give is float32 again, and so is all that a step keeps::

    codes    x_t --(zx, sx)--> sum with w --+
                                            +--> gates --> c'       float32, kept
    float32  h ---(zy, sy)--> sum with r ---+          \-> h'       float32, kept
             quantized at every step                   \-> Y        codes of h' (zy, sy)

With :math:`q(v)` the code of v by the contract and the parameters :math:`s_y, z_y` of the output,
and codes w, r with zero point 0 and scales :math:`s^w_j, s^r_j` of their rows j,

.. math::

    a_{t,j} &= f_{32}\bigl(f_{32}(\textstyle\sum_k (x_{t,k} - z_x)\, w_{j,k})
        \cdot f_{32}(s_x s^w_j)\bigr) + b^W_j                                          \tag{1} \\
    b_j(v) &= f_{32}\bigl(f_{32}(\textstyle\sum_k (q(v)_k - z_y)\, r_{j,k})
        \cdot f_{32}(s_y s^r_j)\bigr) + b^R_j                                          \tag{2} \\
    Y_t &= q(h_t)                                                                      \tag{3}

The sums are exact; a loader proves that none leaves int32 (`refquant.ops.accumulate`). Then come
the steps of `refquant.ops.lstm` and `refquant.ops.gru`, to the letter, with these a and b in place
of theirs: :math:`b(h)` for the gates, and :math:`b_h(r \odot h)` in the GRU that resets before its
product, by the same parameters, for :math:`|r \odot h| \le |h|`. So the codes of an output are
those that the next step multiplies, and a sequence cut in pieces, whose ends hand h and c on, has
the bits of the whole. Biases are float32: at the places where they are added sums are float32
already, so int32 ones would be rounded for nothing.

h itself is float32, not what its codes mean: an LSTM uses h in its products only, but a GRU adds
:math:`z \odot h` (its eq. (4)), and with z near 1 a step smaller than half a code would never move
it. NaN in h becomes the code that the contract says; in a GRU it stays in h, in c always.

Left out: weights with zero points, 16-bit codes, parameters of their own for each direction, gates
or a cell of codes.

References
----------
``docs/spec/operators.md`` section 4; ``docs/decisions/023-static-recurrent.md`` says who computes
what instead: TFLite (cells of 16 bits, gates of integers), PyTorch (every gate quantized), ncnn and
onnxruntime (ranges of each step).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.formats.qparams import QParams
from refquant.numerics.dot import matmul_exact
from refquant.ops.dynamic_lstm import row_scales
from refquant.ops.gru import gru_cell
from refquant.ops.lstm import lstm_cell
from refquant.ops.recurrent import check_recurrent, walk

__all__ = ["CodedGates", "gru_quantized", "lstm_quantized"]

Float = NDArray[np.float32]
Codes = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class CodedGates:
    """One direction's weights: codes ``w`` (G H, I), ``r`` (G H, H), their rows' scales, ``bias``.

    ``bias`` is (2 G H) or None. A `refquant.ops.recurrent.Gates`.
    """

    w: Codes
    r: Codes
    w_scale: Float
    r_scale: Float
    bias: Float | None
    x_qparams: QParams
    y_qparams: QParams
    contract: Contract

    @property
    def hidden(self) -> int:
        """Return H, the size of the state."""
        return int(self.r.shape[1])

    def of_input(self, x: Codes) -> Float:
        """Return a of eq. (1), all gates side by side (N, G H), for codes ``x`` (N, I)."""
        bias = None if self.bias is None else self.bias[: len(self.w)]
        return _product(x, self.w, self.x_qparams, self.w_scale, bias)

    def of_state(self, h: Float, first: int, last: int) -> Float:
        """Return b of eq. (2) for the gates ``first`` to ``last - 1``, from ``h`` (N, H)."""
        rows = slice(first * self.hidden, last * self.hidden)
        bias = None if self.bias is None else self.bias[len(self.r) :][rows]
        codes = quantize(h, self.y_qparams, contract=self.contract)
        return _product(codes, self.r[rows], self.y_qparams, self.r_scale[rows], bias)


def lstm_quantized(
    x: Codes,
    w: Codes,
    r: Codes,
    bias: Float | None = None,
    initial_h: Float | None = None,
    initial_c: Float | None = None,
    *,
    x_qparams: QParams,
    w_qparams: QParams,
    r_qparams: QParams,
    y_qparams: QParams,
    hidden_size: int,
    contract: Contract,
    direction: str = "forward",
) -> tuple[Codes, Float, Float]:
    """Return Y (N, T, D, H), codes, and Y_h and Y_c (N, D, H), float32: eqs. (1) to (3).

    ``x`` (N, T, I), ``w`` (D, 4H, I), ``r`` (D, 4H, H) codes, ``bias`` (D, 8H), ``initial_h`` and
    ``initial_c`` (N, D, H) float32, zeros if absent. `ValueError` for other shapes, for weights
    with zero points or scales that are not a row's.

    A cell of 8, halved by its gate at each step; h is half of tanh(2), whose code is 48 of 0.01:

    >>> from refquant.contracts import preset
    >>> one, y = (QParams(np.float32(s), np.int32(0), None, "int8") for s in (1, 0.01))
    >>> zeros, c = np.zeros((1, 4, 1), np.int8), np.full((1, 1, 1), 8, np.float32)
    >>> made = lstm_quantized(np.zeros((1, 2, 1), np.int8), zeros, zeros, None, None, c,
    ...                       x_qparams=one, w_qparams=one, r_qparams=one, y_qparams=y,
    ...                       hidden_size=1, contract=preset("ort"))
    >>> made[0].tolist(), made[2].tolist()
    ([[[[50]], [[48]]]], [[[2.0]]])
    """
    operands = {"bias": bias, "h": initial_h, "c": initial_c}
    _check("LSTM", 4, (x, w, r), operands, direction=direction, hidden_size=hidden_size)
    zeros = np.zeros((x.shape[0], len(w), hidden_size), np.float32)
    h = zeros if initial_h is None else initial_h
    c = zeros if initial_c is None else initial_c
    gates = _gates(w, r, bias, (x_qparams, w_qparams, r_qparams, y_qparams), contract)
    states = [(h[:, d], c[:, d]) for d in range(len(gates))]
    y, last_h, last_c = walk(x, gates, states, direction, lstm_cell)
    return quantize(y, y_qparams, contract=contract), last_h, last_c


def gru_quantized(
    x: Codes,
    w: Codes,
    r: Codes,
    bias: Float | None = None,
    initial_h: Float | None = None,
    *,
    x_qparams: QParams,
    w_qparams: QParams,
    r_qparams: QParams,
    y_qparams: QParams,
    hidden_size: int,
    contract: Contract,
    direction: str = "forward",
    linear_before_reset: int = 0,
) -> tuple[Codes, Float]:
    """Return Y (N, T, D, H), codes, and Y_h (N, D, H), float32: eqs. (1) to (3).

    ``x`` (N, T, I), ``w`` (D, 3H, I), ``r`` (D, 3H, H) codes, ``bias`` (D, 6H), ``initial_h``
    (N, D, H) float32, zeros if absent. `ValueError` as `lstm_quantized`.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> zeros, h = np.zeros((1, 3, 1), np.int8), np.full((1, 1, 1), 5, np.float32)
    >>> made = gru_quantized(np.zeros((1, 2, 1), np.int8), zeros, zeros, None, h, x_qparams=one,
    ...                      w_qparams=one, r_qparams=one, y_qparams=one, hidden_size=1,
    ...                      contract=preset("ort"))
    >>> made[0].tolist(), made[1].tolist()
    ([[[[2]], [[1]]]], [[[1.25]]])
    """
    operands = {"bias": bias, "initial_h": initial_h}
    _check("GRU", 3, (x, w, r), operands, direction=direction, hidden_size=hidden_size)
    h = np.zeros((x.shape[0], len(w), hidden_size), np.float32) if initial_h is None else initial_h
    gates = _gates(w, r, bias, (x_qparams, w_qparams, r_qparams, y_qparams), contract)
    states = [(h[:, d],) for d in range(len(gates))]
    y, last = walk(x, gates, states, direction, gru_cell(linear_before_reset))
    return quantize(y, y_qparams, contract=contract), last


def _check(
    op: str,
    count: int,
    codes: tuple[Codes, Codes, Codes],
    operands: dict[str, Float | None],
    *,
    direction: str,
    hidden_size: int,
) -> None:
    for name, array in zip("xwr", codes, strict=True):
        if array.dtype.kind not in "iu" or array.dtype.itemsize != 1:
            raise ValueError(f"{op}: {name} must be int8 or uint8 codes, got {array.dtype}")
    # The shapes are those of the float operator.
    shapes = {n: np.empty(a.shape, np.float32) for n, a in zip("xwr", codes, strict=True)}
    check_recurrent(op, count, {**shapes, **operands}, direction=direction, hidden_size=hidden_size)


def _gates(
    w: Codes,
    r: Codes,
    bias: Float | None,
    qparams: tuple[QParams, QParams, QParams, QParams],
    contract: Contract,
) -> list[CodedGates]:
    x, w_qparams, r_qparams, y = qparams
    w_scale, r_scale = row_scales(w, w_qparams), row_scales(r, r_qparams)
    return [
        CodedGates(
            w[d], r[d], w_scale[d], r_scale[d], None if bias is None else bias[d], x, y, contract
        )
        for d in range(len(w))
    ]


def _product(codes: Codes, w: Codes, qparams: QParams, scale: Float, bias: Float | None) -> Float:
    """Eqs. (1), (2): of codes (N, K) and rows of codes (rows, K)."""
    acc = matmul_exact(codes.astype(np.int64) - np.int64(qparams.zero_point), w.T.astype(np.int64))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y: Float = acc.astype(np.float32) * (np.float32(qparams.scale) * scale)
        return y if bias is None else y + bias
