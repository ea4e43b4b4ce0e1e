r"""Divergence: how differently two models expect the next token, along a text that both are given.

With :math:`p_t` and :math:`q_t` the probabilities that the reference and the model give to each of
V tokens after :math:`x_0 \ldots x_{t-1}`,

.. math::

    D_t = \sum_v p_{tv} (\log p_{tv} - \log q_{tv}) \ge 0,
    \qquad \log p_{tv} = z_{tv} - m_t - \log \sum_u e^{z_{tu} - m_t}                      \tag{1}

in nats, the Kullback-Leibler divergence of q from p. It is 0 only where the model expects what the
reference does. That is what quantization is to keep, and what perplexity and surprise do not say: a
damaged model is now and then *less* surprised, by luck, and a mean over few tokens is mostly such
luck. Each :math:`D_t` counts against the model, so that its mean settles with few tokens. ::

    reference   he .7  she .2  it .1      after the same tokens
    model       he .6  she .3  it .1      D = .7 log(7/6) + .2 log(2/3) = 0.0268 nats
    text        "she"                     surprise 1.61 against 1.20: the damaged model "wins"

A token that the reference gives no probability (score -inf) adds nothing; one that only the model
gives none makes the divergence infinite. (1) is evaluated in float64, as in
`refquant.evaluation.nll`; of equal scores it is exactly 0. **Agreement** is the part of the places
where the same token is the likeliest (ties: the first).

References
----------
Kullback, Leibler, "On information and sufficiency", 1951; llama.cpp ``tools/perplexity``
(``--kl-divergence``), which compares quantized models with the original in this way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.nll import log_softmax

__all__ = ["Divergence", "divergence"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_ROWS = 64  # in float64 at a time: 64 x 49,152 scores are 25 MB, twice


@dataclass(frozen=True, slots=True)
class Divergence:
    """Eq. (1) of each place, float64 (n,), and whether the likeliest token is the ``same``, (n,).

    >>> Divergence(np.array([0.0, 0.5]), np.array([True, False])).mean
    0.25
    """

    nats: F64
    same: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """The mean of eq. (1); ``inf`` if one is."""
        return float(self.nats.mean())

    @property
    def agreement(self) -> float:
        """Percent of the places where both find the same token the likeliest."""
        return 100 * float(self.same.mean())


def divergence(reference: F32, scores: F32) -> Divergence:
    """Return eq. (1) of the ``scores`` (n, V) of a model beside those of its ``reference``.

    `ValueError` for shapes that differ, none, and scores that are NaN or +inf (or all -inf): then
    no token has a probability.

    >>> found = divergence(np.float32([[0, 0], [1, 2]]), np.log(np.float32([[1, 3], [1, np.e]])))
    >>> found.nats.round(4).tolist(), found.same.tolist()
    ([0.1438, 0.0], [False, True])
    """
    if reference.ndim != 2 or reference.shape != scores.shape or not reference.size:
        raise ValueError(
            f"scores must be two arrays (n, V), not empty, got {reference.shape} and {scores.shape}"
        )
    nats = np.empty(len(scores))
    for i in range(0, len(scores), _ROWS):
        z, y = reference[i : i + _ROWS], scores[i : i + _ROWS]
        log_p, log_q = log_softmax(z, i, "reference"), log_softmax(y, i, "model")
        p = np.exp(log_p)
        # Where p is 0 the product is 0, whatever the logarithms are.
        apart = np.subtract(log_p, log_q, out=np.zeros_like(p), where=p > 0)
        nats[i : i + _ROWS] = np.maximum((p * apart).sum(axis=1), 0.0)
    same = np.asarray(reference.argmax(axis=1) == scores.argmax(axis=1))
    return Divergence(nats, same)
