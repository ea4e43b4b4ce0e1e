r"""Perplexity: among how many equally likely tokens a model chooses, on average, in a text.

.. math::

    \mathrm{PPL} = \exp\Bigl(\frac{1}{n} \sum_{w} \sum_{t=1}^{C-1}
        -\log p(x^w_t \mid x^w_0 \ldots x^w_{t-1})\Bigr), \qquad n = W (C - 1)           \tag{1}

over W windows of C tokens, which do not overlap. The first token of a window is given, not scored.
What is left at the end of the text, less than a window, is left out. ::

    no BOS     | x0  x1 .. x511 | x512 .. x1023 | rest        C = 512: 511 scored, 512 on
    BOS        | B  x0 .. x510  | B  x511 ..    | rest        C = 512: 511 scored, 511 on

The number depends on all of it. A short context knows little and is surprised more; a window whose
first tokens are scored, too; a tokenizer with longer tokens has fewer, harder ones. So (1) is
reported with C, the tokenizer, BOS and its id, the stride and n, and compared only where they are
the same. The others:

==================  ============================================================================
GPTQ and its kin    (1) without BOS: the mean of windows' means, which are of as many tokens each
llama.cpp           windows as in (1), but only the second half of each is scored: the last
                    C - 1 - floor(C/2) tokens; BOS, for models that have one, replaces the first
                    token of a window, which is then never seen
lm-eval-harness     every token is scored: a window's first token is given the last one of the
                    window before, the text's first one BOS or EOS; the last window may be short
transformers        windows overlap, by a stride of choice; scored is what is new to a window
==================  ============================================================================

Left out: overlapping windows, bits a byte.

References
----------
Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks", 1977;
llama.cpp ``tools/perplexity/perplexity.cpp``; lm-evaluation-harness ``lm_eval/utils.py``
(``get_rolling_token_windows``); IST-DASLab/gptq ``llama.py``; huggingface.co/docs/transformers,
"Perplexity of fixed-length models".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.nll import sequence_nll
from refquant.model.graph import Graph
from refquant.model.loaders.samples import text_windows

__all__ = ["Perplexity", "perplexity", "windows"]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Eq. (1) and what it depends on: ``nll`` in nats a token, ``scored`` tokens, ``bos`` an id."""

    nll: float
    context: int
    stride: int
    bos: int | None
    windows: int
    scored: int

    @property
    def value(self) -> float:
        """Eq. (1); ``inf`` if a token had probability 0, or beyond float64.

        >>> Perplexity(math.log(2), 512, 512, None, 1, 511).value
        2.0
        """
        return math.exp(self.nll) if self.nll < 709 else math.inf


def windows(
    ids: Sequence[int], *, context: int, bos: int | None, samples: int | None = None
) -> NDArray[np.int32]:
    """Return the first ``samples`` windows of ``context`` tokens, (W, context); None: all.

    `ValueError` where the text has fewer.

    >>> windows(range(8), context=3, bos=None).tolist()
    [[0, 1, 2], [3, 4, 5]]
    >>> windows(range(8), context=3, bos=9).tolist()
    [[9, 0, 1], [9, 2, 3], [9, 4, 5], [9, 6, 7]]
    """
    if context < 2:
        raise ValueError(f"context must be at least 2, one token to see and one to say: {context}")
    if samples is not None and samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    pieces = text_windows(ids, context=context - (bos is not None), samples=None)
    if samples is not None and len(pieces) < samples:
        raise ValueError(
            f"the text has {len(pieces)} windows of {context} tokens, and samples = {samples}; "
            "give a longer text or fewer samples"
        )
    pieces = pieces[:samples]
    if bos is None:
        return pieces
    return np.concatenate([np.full((len(pieces), 1), bos, np.int32), pieces], axis=1)


def perplexity(
    graph: Graph,
    ids: Sequence[int],
    *,
    context: int,
    bos: int | None = None,
    samples: int | None = None,
    sums: str = "ordered",
    advance: Callable[[int], None] = lambda done: None,
) -> Perplexity:
    """Return the perplexity of ``graph``, tokens to scores (N, T, V), on a text: eq. (1).

    ``samples`` None takes every window; ``advance(1)`` is called after each. `ValueError` for a
    text shorter than a window, tokens that the model does not have, and scores that are NaN.

    >>> from refquant.model.build import Builder
    >>> b = Builder("four")
    >>> table = b.constant("table", np.zeros((4, 4), np.float32))
    >>> y = b.node("Gather", [table, b.input("tokens", ("N", "T"), dtype="int32")], name="logits")
    >>> found = perplexity(b.graph([y]), [0, 1, 2, 3, 3, 3], context=3)
    >>> found.value, found.scored
    (4.0, 4)
    """
    pieces = windows(ids, context=context, bos=bos, samples=samples)
    surprise = []
    for piece in pieces:
        surprise.append(math.fsum(sequence_nll(graph, piece, sums=sums)))
        advance(1)
    scored = len(pieces) * (context - 1)
    return Perplexity(
        nll=math.fsum(surprise) / scored,
        context=context,
        stride=context - (bos is not None),
        bos=bos,
        windows=len(pieces),
        scored=scored,
    )
