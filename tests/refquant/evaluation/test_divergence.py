"""Divergence beside the same sum in decimals, and what makes it none of a number."""

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.evaluation.divergence import Divergence, divergence

BOUND = Decimal(2048) / 2**53
r"""How far a float64 divergence may be from the exact one, for V <= 8 and scores of 16 at most that
differ by 6 at most between the two models.

In units of u = 2^-53: a logarithm of eq. (1) is below 35 in size and, as a surprise is
(``next_token``), off by less than 128 u. The difference d of two, |d| <= 12, is off by 256 u and a
rounding, 12 u. Each p is e^log p: off by (128 + 2) u of itself, and the product by one more. So
sum p d is off by sum p (268 + 12 * 131) u = 1840 u, and its 8 additions by 8 * 12 u. Together less
than 2048 u.
"""


def exact(reference: Any, other: Any) -> Decimal:
    """Eq. (1) of one place, to 40 digits, from exponentials alone."""
    with localcontext(prec=50):
        p, q = ([Decimal(float(z)).exp() for z in row] for row in (reference, other))
        total_p, total_q = sum(p, Decimal(0)), sum(q, Decimal(0))
        terms = (
            a / total_p * ((a / total_p) / (b / total_q)).ln() for a, b in zip(p, q, strict=True)
        )
        return sum(terms, Decimal(0))


def scores(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def test_it_is_the_sum_in_decimals() -> None:
    rng = np.random.default_rng(0)
    for scale in (0.01, 1.0, 8.0):
        z = np.clip(rng.normal(0, scale, (70, 8)), -16, 16).astype(np.float32)  # more than a block
        moved = np.clip(rng.normal(0, scale / 4, z.shape), -5.9, 5.9)
        y = np.clip(z + moved, -16, 16).astype(np.float32)
        found = divergence(z, y)
        for got, a, b in zip(found.nats, z, y, strict=True):
            wanted = exact(a, b)
            assert abs(Decimal(float(got)) - wanted) <= BOUND, f"{a}, {b}: {got}, {wanted}"


def test_it_is_of_the_model_from_the_reference_and_not_back() -> None:
    sure, unsure = scores([4, 0]), scores([0, 0])
    there, back = (divergence(a, b).mean for a, b in ((sure, unsure), (unsure, sure)))
    assert abs(Decimal(there) - exact(sure[0], unsure[0])) <= BOUND, f"{there}"
    assert there < 0.7 < 1.3 < back, f"ln 2 at most one way, any number the other: {there}, {back}"


def test_equal_expectations_are_exactly_nothing() -> None:
    z = np.random.default_rng(1).normal(0, 9, (65, 300)).astype(np.float32)
    assert divergence(z, z.copy()).nats.tolist() == [0.0] * 65, "not a rounding away"
    shifted = divergence(scores([1, 2, 3]), scores([5, 6, 7]))
    assert shifted.nats.tolist() == [0.0], "only differences of scores count"
    assert (divergence(z, z + np.float32(1e-6)).nats >= 0).all(), "never negative by a rounding"


def test_probability_zero() -> None:
    gone = -np.inf
    never = divergence(scores([0, gone]), scores([0, 0]))
    assert never.nats.tolist() == [np.log(2.0)], "the reference excludes it: it adds nothing"
    lost = divergence(scores([0, 0]), scores([0, gone]))
    assert lost.nats.tolist() == [np.inf], "the model excludes what may come"
    assert divergence(scores([0, gone]), scores([0, gone])).mean == 0, "both do"


def test_agreement_is_of_the_likeliest_tokens() -> None:
    z = np.array([[3, 1, 1], [0, 1, 1], [0, 0, 2], [1, 0, 0]], np.float32)
    y = np.array([[2, 1, 0], [0, 1, 1], [5, 0, 2], [1, 2, 3]], np.float32)
    found = divergence(z, y)
    assert found.same.tolist() == [True, True, False, False], "of ties, the first"
    assert found.agreement == 50, f"{found.agreement}"
    assert Divergence(np.array([np.inf, 0]), np.array([True, True])).mean == np.inf, "it is kept"


@pytest.mark.parametrize(
    ("reference", "other", "said"),
    [
        ([[0.0, 1.0]], [[0.0]], r"two arrays \(n, V\), not empty, got \(1, 2\) and \(1, 1\)"),
        ([0.0, 1.0], [0.0, 1.0], "two arrays"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "not empty"),
        ([[0.0, 1.0]] * 65, [[0.0, 1.0]] * 64 + [[0.0, np.nan]], "of the model .* position 64"),
        ([[0.0, np.inf]], [[0.0, 1.0]], "of the reference .* position 0 the largest is inf"),
        ([[0.0, 1.0]], [[-np.inf, -np.inf]], "of the model .* position 0 the largest is -inf"),
    ],
)
def test_what_has_no_probabilities_is_refused(reference: Any, other: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        divergence(np.array(reference, np.float32), np.array(other, np.float32))
