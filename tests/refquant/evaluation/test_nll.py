"""Surprise against 40 decimal digits."""

import math
from decimal import Decimal

import numpy as np
import pytest

from refquant.evaluation.nll import scores_output, sequence_nll, token_nll
from refquant.model.build import Builder
from tests.refquant.evaluation.next_token import BOUND, next_token, surprise
from tests.refquant.model.literals import f32, i32

RNG = np.random.default_rng(3)


def test_it_is_the_logarithm_of_the_softmax() -> None:
    for scores in (
        f32([[0.1, -3.0, 16.0], [-16, -16, 16], [5, 5, 5], [0.0, -0.0, 1e-40]]),
        RNG.uniform(-16, 16, (200, 8)).astype(np.float32),  # more rows than go at a time
    ):
        targets = np.arange(len(scores)) % scores.shape[1]
        got = token_nll(scores, targets)
        for row, target, nats in zip(scores, targets, got, strict=True):
            exact = surprise(row, int(target))
            assert abs(Decimal(float(nats)) - exact) <= BOUND, f"{row}, {target}: {nats} {exact}"


def test_large_scores_do_not_overflow() -> None:
    got = token_nll(f32([[3e38, -3e38], [3e38, 3e38]]), np.array([0, 1]))
    assert got.tolist() == [0.0, math.log(2)], f"{got}"


def test_probability_zero_is_infinite_surprise() -> None:
    got = token_nll(f32([[0, -np.inf]] * 2), np.array([0, 1]))
    assert got.tolist() == [0.0, math.inf], f"{got}"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_by_place(bad: float) -> None:
    scores = np.zeros((130, 3), np.float32)
    scores[100, 2] = bad
    with pytest.raises(ValueError, match="of position 100 the largest is"):
        token_nll(scores, np.zeros(130, int))
    with pytest.raises(ValueError, match="the largest is -inf"):
        token_nll(f32([[-np.inf, -np.inf]]), np.array([0]))


def test_targets_that_do_not_fit() -> None:
    for targets in (np.array([3]), np.array([-1])):
        with pytest.raises(ValueError, match="targets must be from 0 to 2"):
            token_nll(f32([[1, 2, 3]]), targets)
    with pytest.raises(ValueError, match="n integers"):
        token_nll(f32([[1, 2, 3]]), np.array([0.0]))
    with pytest.raises(ValueError, match="n integers"):
        token_nll(f32([[1, 2, 3]]), np.array([0, 1]))
    assert token_nll(np.zeros((0, 3), np.float32), np.zeros(0, int)).tolist() == [], "no tokens"


def test_each_token_is_scored_by_the_row_before_it() -> None:
    table = f32([[0, 1, 2], [4, -1, 0], [0.5, 0, 0.25]])
    ids = i32([2, 0, 1, 1])
    for first in (1, 2, 3):
        got = sequence_nll(next_token(table), ids, first=first)
        assert got.shape == (4 - first,), f"{got}"
        for t, nats in zip(range(first, 4), got, strict=True):
            exact = surprise(table[ids[t - 1]], int(ids[t]))
            assert abs(Decimal(float(nats)) - exact) <= BOUND, f"token {t}: {nats}"


def test_what_is_given_reaches_the_model() -> None:
    b = Builder("loud")
    rows = b.constant("table", f32([[0, 1], [1, 0]]))
    scores = b.node("Gather", [rows, b.input("tokens", ("N", "T"), dtype="int32")])
    graph = b.graph([b.node("Mul", [scores, b.input("audio", ("N", 1, 1))], name="logits")])
    quiet, loud = (
        sequence_nll(graph, i32([0, 1]), given={"audio": np.full((1, 1, 1), v, np.float32)})[0]
        for v in (0, 100)
    )
    assert (quiet, loud) == (math.log(2), 0.0), "e^-100 is lost beside 1"


def test_what_does_not_fit_is_refused() -> None:
    graph = next_token(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="own tokenizer"):
        sequence_nll(graph, i32([0, 3]))
    for ids, first in ((i32([0]), 1), (i32([0, 1]), 0), (i32([0, 1]), 2), (i32([[0, 1]]), 1)):
        with pytest.raises(ValueError, match="must be one text"):
            sequence_nll(graph, ids, first=first)
    b = Builder("classifier")
    with pytest.raises(ValueError, match=r"one output \[N, T, tokens\] of scores, and it has y"):
        scores_output(b.graph([b.node("Relu", [b.input("x", ("N", 3))], name="y")]))
