r"""GRU of codes that a run makes: the input of a sample at once, its state at every step.

With (q, s, z) of ``DynamicQuantizeLinear`` (`refquant.ops.quantize_linear`), of all of a sample's
x and of each vector v that meets R, and weights of codes with zero point 0:

.. math::

    a_{t,j} &= f_{32}\bigl(f_{32}(\textstyle\sum_k (q^x_{t,k} - z^x)\, w_{j,k})
        \cdot f_{32}(s^x s^w_j)\bigr) + b^W_j                                          \tag{1} \\
    b_j(v) &= f_{32}\bigl(f_{32}(\textstyle\sum_k (q^v_k - z^v)\, r_{j,k})
        \cdot f_{32}(s^v s^r_j)\bigr) + b^R_j                                          \tag{2}

without a bias no addition. Sums of codes are exact. Then come the steps of `refquant.ops.gru`, to
the letter, with these a and b in place of theirs::

    float32  x ---- one range a sample ----> codes --> sum with w --+
                                                                    +--> gates --> h'
    float32  h, or r * h -- a range each --> codes --> sum with r --+

v is h; and in the GRU that resets before its product :math:`r \odot h`, too, whose range is its
own: where r is small everywhere, its codes are as fine as those of h. h itself stays float32, so
that a sequence whose ends hand h on goes on where it was; but a range is that of the x of one call,
so pieces of a sequence have not the bits of the whole, as nothing of dynamic codes has.

Biases stand where they do in the float operator, each with its product; ``DynamicQuantizeLSTM`` has
the order of onnxruntime, which has no GRU of this kind.

Left out: weights with zero points, 16-bit codes, lengths of sequences.

References
----------
``docs/spec/operators.md`` section 5; ``docs/decisions/025-dynamic-recurrent.md``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.ops.dynamic_lstm import dynamic_product, row_scales
from refquant.ops.gru import gru_cell
from refquant.ops.recurrent import check_recurrent, walk
from refquant.ops.rescale import need_float32

__all__ = ["DynamicGates", "dynamic_quantize_gru"]

Float = NDArray[np.float32]
Codes = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class DynamicGates:
    """One direction's weights: codes ``w`` (G H, I), ``r`` (G H, H), their rows' scales, ``bias``.

    ``bias`` is (2 G H) or None; ``samples`` says how many stand one after the other in an input.
    A `refquant.ops.recurrent.Gates`.
    """

    w: Codes
    r: Codes
    w_scale: Float
    r_scale: Float
    bias: Float | None
    samples: int
    contract: Contract

    @property
    def hidden(self) -> int:
        """Return H, the size of the state."""
        return int(self.r.shape[1])

    def of_input(self, x: Float) -> Float:
        """Return a of eq. (1), all gates side by side (N T, G H), for ``x`` (N T, I)."""
        bias = None if self.bias is None else self.bias[: len(self.w)]
        return self._product(x, self.w, self.w_scale, bias)

    def of_state(self, h: Float, first: int, last: int) -> Float:
        """Return b of eq. (2) for the gates ``first`` to ``last - 1``, from ``h`` (N, H)."""
        rows = slice(first * self.hidden, last * self.hidden)
        bias = None if self.bias is None else self.bias[len(self.r) :][rows]
        return self._product(h, self.r[rows], self.r_scale[rows], bias)

    def _product(self, x: Float, w: Codes, scale: Float, bias: Float | None) -> Float:
        parts = x.reshape(self.samples, len(x) // max(self.samples, 1), x.shape[1])
        y = np.zeros((*parts.shape[:2], len(w)), np.float32)
        for n, part in enumerate(parts):
            y[n] = dynamic_product(part, w, scale, self.contract)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            made: Float = y if bias is None else y + bias
        return made.reshape(len(x), len(w))


def dynamic_quantize_gru(
    x: Float,
    w: Codes,
    r: Codes,
    bias: Float | None = None,
    initial_h: Float | None = None,
    *,
    w_qparams: QParams,
    r_qparams: QParams,
    hidden_size: int,
    contract: Contract,
    direction: str = "forward",
    linear_before_reset: int = 0,
) -> tuple[Float, Float]:
    """Return Y (N, T, D, H) and Y_h (N, D, H), float32: eqs. (1) and (2).

    ``x`` (N, T, I) float32, ``w`` (D, 3H, I) and ``r`` (D, 3H, H) int8 codes, ``bias`` (D, 6H),
    ``initial_h`` (N, D, H), zeros if absent. `ValueError` for other shapes, for weights with zero
    points or scales that are not a row's.

    Weights of zero: both gates are 1/2, and h is halved at each step.

    >>> from refquant.contracts import preset
    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> zeros, h = np.zeros((1, 3, 1), np.int8), np.full((1, 1, 1), 5, np.float32)
    >>> dynamic_quantize_gru(np.zeros((1, 2, 1), np.float32), zeros, zeros, None, h, w_qparams=one,
    ...                      r_qparams=one, hidden_size=1, contract=preset("ort"))[1].tolist()
    [[[1.25]]]
    """
    op = "DynamicQuantizeGRU"
    need_float32(op, x=x)
    for name, codes in (("w", w), ("r", r)):
        if codes.dtype != np.int8:
            raise ValueError(f"{op}: {name} must be int8 codes, got {codes.dtype}")
    shapes = {"w": np.empty(w.shape, np.float32), "r": np.empty(r.shape, np.float32)}
    operands = {"x": x, **shapes, "bias": bias, "initial_h": initial_h}
    check_recurrent(op, 3, operands, direction=direction, hidden_size=hidden_size)
    samples = len(x)
    h = np.zeros((samples, len(w), hidden_size), np.float32) if initial_h is None else initial_h
    sw, sr = row_scales(w, w_qparams), row_scales(r, r_qparams)
    gates = [
        DynamicGates(w[d], r[d], sw[d], sr[d], None if bias is None else bias[d], samples, contract)
        for d in range(len(w))
    ]
    states = [(h[:, d],) for d in range(len(gates))]
    y, last = walk(x, gates, states, direction, gru_cell(linear_before_reset))
    return y, last
