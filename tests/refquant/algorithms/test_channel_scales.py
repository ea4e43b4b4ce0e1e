"""Scales move from a layer to the one before, and the product stays."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.channel_scales import divide_norm, divide_rows, scale_columns

F32 = NDArray[np.float32]


def _f32(*values: float) -> F32:
    return np.array(values, np.float32)


def _product(x: F32, w: F32) -> list[list[Fraction]]:
    def exact(v: np.float32) -> Fraction:
        return Fraction(float(v))

    return [
        [sum((exact(a) * exact(b) for a, b in zip(r, c, strict=True)), Fraction(0)) for c in w]
        for r in x
    ]


def test_powers_of_two_change_no_bit_of_the_product() -> None:
    rng = np.random.default_rng(1)
    u, w = (rng.normal(size=s).astype(np.float32) for s in ((5, 4), (3, 4)))
    gain, bias = _f32(0.3, -7, 1.5, 1e-3), _f32(0.1, 2, -3, 4)
    s = _f32(2, 0.125, 1, 1024)
    g, b = divide_norm(gain, bias, s)
    assert b is not None, "there was a bias"
    before, after = _product(u * gain + bias, w), _product(u * g + b, scale_columns(w, s))
    assert before == after, "exact rationals: eq. (1) and (2)"


def test_a_producer_may_divide_its_last_rows_only() -> None:
    w, bias = np.arange(6, dtype=np.float32).reshape(3, 2) + 1, _f32(1, 2, 3)
    rows, b = divide_rows(w, bias, _f32(2, 4))
    assert rows.tolist() == [[1, 2], [1.5, 2], [1.25, 1.5]], "the first row is not the values'"
    assert b is not None, "there was a bias"
    assert b.tolist() == [1, 1, 0.75], "nor is the bias"
    assert divide_rows(w, None, _f32(2, 4))[1] is None, "no bias stays none"


def test_each_element_is_rounded_once() -> None:
    w, s = _f32(0.1, 1 / 3, 7e-39)[None, :], _f32(0.7, 1.1, 3)
    for column in range(3):
        exact = Fraction(float(w[0, column])) * Fraction(float(s[column]))
        assert scale_columns(w, s)[0, column] == np.float32(float(exact)), f"column {column}"


def test_arguments_are_not_changed() -> None:
    w, s = np.ones((2, 2), np.float32), _f32(2, 2)
    scale_columns(w, s), divide_norm(w[0], w[0], s), divide_rows(w, w[0], s)
    assert w.tolist() == [[1, 1], [1, 1]], "pure functions"


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_scales_are_positive_numbers(bad: float) -> None:
    w, s = np.ones((2, 2), np.float32), _f32(1, bad)
    for call in (
        lambda: scale_columns(w, s),
        lambda: divide_norm(w[0], None, s),
        lambda: divide_rows(w, None, s),
    ):
        with pytest.raises(ValueError, match="scale must be positive and finite"):
            call()


def test_what_does_not_fit_or_leaves_float32_is_refused() -> None:
    w, big = np.ones((2, 2), np.float32), np.full((1, 2), 3e38, np.float32)
    for call, words in (
        (lambda: scale_columns(w, _f32(1)), r"as many elements as w must be \(n, k\): k \(2\)"),
        (lambda: scale_columns(w[0], _f32(1, 1)), "as many elements"),
        (lambda: scale_columns(big, _f32(2, 2)), "w must be finite, also after scaling"),
        (lambda: divide_norm(w, None, _f32(1, 1, 1, 1)), "one number a channel"),
        (lambda: divide_norm(w[0], _f32(1), _f32(1, 1)), r"bias must have shape \(2,\)"),
        (lambda: divide_norm(big[0], None, _f32(0.1, 1)), "weight must be finite"),
        (lambda: divide_rows(w, None, _f32(1, 1, 1)), "at least a row a scale"),
        (lambda: divide_rows(w[0], None, _f32(1)), "at least a row a scale"),
        (lambda: divide_rows(w, _f32(1), _f32(1)), r"bias must have shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
