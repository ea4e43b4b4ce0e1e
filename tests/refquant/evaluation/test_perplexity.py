"""Perplexity of a vocabulary of three, exactly; windows, BOS, and what is refused."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from refquant.evaluation.perplexity import perplexity, windows
from tests.refquant.evaluation.next_token import BOUND, next_token, surprise
from tests.refquant.model.literals import f32

TABLE = f32([[0.5, 1, -2], [4, -1, 0.125], [0.25, 0, 3]])
TEXT = [0, 1, 1, 2, 0, 2, 2, 1, 0, 0, 1]


@pytest.mark.parametrize("bos", [None, 2])
@pytest.mark.parametrize("context", [2, 3, 4, 11])
def test_it_is_the_exponential_of_the_mean_surprise(context: int, bos: int | None) -> None:
    found = perplexity(next_token(TABLE), TEXT, context=context, bos=bos)
    per = context - (bos is not None)
    nats = []
    for start in range(0, len(TEXT) - per + 1, per):  # windows, by the text of the docstring
        window = ([] if bos is None else [bos]) + TEXT[start : start + per]
        nats += [surprise(TABLE[a], b) for a, b in pairwise(window)]
    assert found.scored == len(nats), f"{found}"
    assert (found.context, found.stride, found.bos) == (context, per, bos), f"{found}"
    with localcontext(prec=50):
        exact = sum(nats, Decimal(0)) / len(nats)
        assert abs(Decimal(found.nll) - exact) <= 2 * BOUND, f"{found.nll}, {exact}"
        # e^x turns an absolute error of x into a relative one, and adds at most 2 roundings.
        assert abs(Decimal(found.value) / exact.exp() - 1) <= 3 * BOUND, f"{found.value}"


def test_equally_likely_tokens_have_their_number() -> None:
    found = perplexity(next_token(np.zeros((3, 3))), TEXT, context=4)
    assert abs(Fraction(found.value) - 3) <= 3 * Fraction(4, 2**53), "exp(log 3), 4 roundings"
    assert (found.windows, found.scored) == (2, 6), f"{found}"


def test_windows_by_hand() -> None:
    text = range(10)
    assert windows(text, context=4, bos=None).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert windows(text, context=4, bos=9).tolist() == [[9, 0, 1, 2], [9, 3, 4, 5], [9, 6, 7, 8]]
    assert windows(text, context=4, bos=None, samples=1).tolist() == [[0, 1, 2, 3]], "the first"
    assert len(windows(text, context=4, bos=None, samples=2)) == 2, "all that there are"
    with pytest.raises(ValueError, match="has 2 windows of 4 tokens, and samples = 3"):
        windows(text, context=4, bos=None, samples=3)
    assert len(windows(range(10), context=10, bos=None)) == 1, "just one"
    assert len(windows(range(10), context=11, bos=7)) == 1, "just one, with BOS"


def test_progress_is_told() -> None:
    told: list[int] = []
    perplexity(next_token(TABLE), TEXT, context=3, advance=told.append)
    assert told == [1, 1, 1], f"{told}"


def test_impossible_tokens_make_it_infinite() -> None:
    found = perplexity(next_token([[0, -np.inf], [0, 0]]), [0, 1], context=2)
    assert (found.nll, found.value) == (math.inf, math.inf), f"{found}"
    huge = perplexity(next_token([[0, -1e30], [0, 0]]), [0, 1], context=2)
    assert math.isfinite(huge.nll), "1e30 nats"
    assert huge.value == math.inf, "beyond float64"


def test_nan_is_no_perplexity() -> None:
    with pytest.raises(ValueError, match="of position 1 the largest is nan"):
        perplexity(next_token([[0, 0], [0, np.nan]]), [0, 1, 0], context=3)


def test_bad_arguments() -> None:
    graph = next_token(TABLE)
    with pytest.raises(ValueError, match="11 tokens: 0 whole pieces of 12"):
        perplexity(graph, TEXT, context=12)
    with pytest.raises(ValueError, match="context must be at least 2"):
        perplexity(graph, TEXT, context=1)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        perplexity(graph, TEXT, context=2, samples=0)
    with pytest.raises(ValueError, match="own tokenizer"):
        perplexity(graph, TEXT, context=2, bos=3)
