r"""Negative log likelihood: how surprised a model is by each token of a text that is given.

A model of sequences makes, from the tokens before, a score (logit) for each of V tokens. With
:math:`z_t` the scores after :math:`x_0 \ldots x_{t-1}`,

.. math::

    -\log p(x_t \mid x_{<t}) = \log \sum_v e^{z_{tv} - m_t} - (z_{t x_t} - m_t),
    \qquad m_t = \max_v z_{tv}                                                            \tag{1}

in nats. The tokens before are those of the **text**, not those that the model would have said:
one run sees the whole text (teacher forcing), and an error does not feed the next. ::

    position   0        1      2      3
    sees       begin    he     was    not
    scored     -------> he     was    not  <end>     first = 1: what is given is not scored

(1) is evaluated in float64: of 49,152 float32 scores the float32 sum alone loses the fourth digit
of a small surprise. Sums over tokens are `math.fsum`, rounded once, whatever their order.

References
----------
Goodfellow, Bengio, Courville, "Deep Learning", 2016, sections 4.1 (the maximum) and 10.2.1
(teacher forcing).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.ends import from_outputs
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.samples import token_inputs
from refquant.model.loaders.samples_text import check_rows

__all__ = ["log_softmax", "scores_output", "sequence_nll", "token_nll"]

_ROWS = 64  # in float64 at a time: 64 x 49,152 scores are 25 MB


def token_nll(scores: NDArray[np.float32], targets: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return eq. (1), float64 (n,), of ``scores`` (n, V) and the tokens ``targets`` (n,).

    A token whose score is -inf has probability 0 and surprise ``inf``. `ValueError` for a score
    that is NaN or +inf: then no token has a probability.

    >>> token_nll(np.float32([[0, 0], [0, -np.inf]]), np.array([1, 0])).round(4).tolist()
    [0.6931, 0.0]
    """
    if scores.ndim != 2 or targets.shape != scores.shape[:1] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"scores must be (n, V) and targets n integers, got {scores.shape} and "
            f"{targets.shape} of {targets.dtype}"
        )
    if targets.size and not 0 <= targets.min() <= targets.max() < scores.shape[1]:
        raise ValueError(
            f"targets must be from 0 to {scores.shape[1] - 1}, the scores that there are, got "
            f"{targets.min()} to {targets.max()}; the tokenizer is another model's"
        )
    result = np.empty(len(targets))
    for i in range(0, len(targets), _ROWS):
        log_p = log_softmax(scores[i : i + _ROWS], i, "model")
        wanted = targets[i : i + _ROWS]
        result[i : i + _ROWS] = 0.0 - log_p[np.arange(len(wanted)), wanted]  # of 0, 0: not -0
    return result


def log_softmax(scores: NDArray[Any], first: int, whose: str) -> NDArray[np.float64]:
    """Return the logarithms of the probabilities that ``scores`` (n, V) give, float64 (n, V).

    ``first`` is the position of the first row and ``whose`` the model, as the error names them:
    `ValueError` for a row whose largest score is NaN or infinite.

    >>> log_softmax(np.float32([[0, 0], [0, -np.inf]]), 0, "model").round(4).tolist()
    [[-0.6931, -0.6931], [0.0, -inf]]
    """
    rows = scores.astype(np.float64)
    top = rows.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        bad = int(np.flatnonzero(~np.isfinite(top[:, 0]))[0])
        raise ValueError(
            f"scores of the {whose} must be numbers, but of position {first + bad} the largest is "
            f"{top[bad, 0]}: it computes NaN or infinity there; look where it begins with "
            "--layers, or quantize with more bits"
        )
    rows -= top
    logarithms: NDArray[np.float64] = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return logarithms


def sequence_nll(
    graph: Graph,
    ids: NDArray[np.int32],
    *,
    first: int = 1,
    given: Mapping[str, NDArray[Any]] | None = None,
    sums: str = "ordered",
) -> NDArray[Any]:
    """Return eq. (1) of the tokens ``ids[first:]``, float64 (len(ids) - first,).

    ``graph`` makes scores (N, T, V) of the tokens ``ids`` (t,); ``given`` are those of its inputs
    that do not follow from tokens (the sound, for Whisper's decoder), with one sample each.
    `ValueError` for tokens, or a length, that the graph's tables do not have.

    >>> from refquant.model.build import Builder
    >>> b = Builder("next")
    >>> table = b.constant("table", np.float32([[0, 0], [0, 1]]))
    >>> y = b.node("Gather", [table, b.input("tokens", ("N", "T"), dtype="int32")], name="logits")
    >>> sequence_nll(b.graph([y]), np.array([0, 1, 1], np.int32)).round(4).tolist()
    [0.6931, 0.3133]
    """
    name = scores_output(graph)
    if ids.ndim != 1 or not 1 <= first < len(ids):
        raise ValueError(
            f"ids must be one text with 1 <= first < its length, got {ids.shape}, {first}"
        )
    tokens = token_inputs(graph, ids[None])
    check_rows(graph, tokens)
    outputs = run(graph, {**tokens, **(given or {})}, sums=sums)
    scores = from_outputs(graph, {name: outputs[name]})[name]
    return token_nll(scores[0, first - 1 : -1], ids[first:])


def scores_output(graph: Graph) -> str:
    """Return the name of the output (N, T, V): a score for each token, after each token.

    >>> from refquant.model.graph import Value
    >>> x = Value("float32", ("N", "T", 7))
    >>> scores_output(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}))
    'x'
    """
    shapes = {name: graph.values[name].shape for name in graph.outputs}
    found = [name for name, shape in shapes.items() if len(shape) == 3 and shape[:2] == ("N", "T")]
    if len(found) != 1:
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(
            f"the model must have one output [N, T, tokens] of scores, and it has {listed}; "
            "give a language model or a decoder"
        )
    return found[0]
