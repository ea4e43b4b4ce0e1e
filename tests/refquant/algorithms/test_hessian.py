"""One Hessian for a data set, however it is cut: bits, bounds and limits."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms import hessian
from refquant.algorithms.hessian import Hessian

F32 = NDArray[np.float32]


def tokens(seed: int, n: int = 300, k: int = 9) -> F32:
    """Tokens of very different size, with zeros, a dead column and ties of the grid."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, k)) * np.exp2(rng.integers(-12, 13, (n, 1)))
    x[rng.random((n, k)) < 0.1] = 0.0
    x[7] = 0.0
    x[8] = np.exp2(np.arange(k) - 24.0)  # the small ones are half a unit of the grid, and less
    x[:, 4] = 0.0
    return x.astype(np.float32)


def test_any_split_in_any_order_gives_the_same_bits() -> None:
    x = tokens(1)
    whole = Hessian(9).update(x)
    rng = np.random.default_rng(2)
    assert len(whole.sums) > 5, "the witness: tokens of many sizes"
    for trial in range(10):
        mixed = x[rng.permutation(len(x))]
        cuts = np.sort(rng.choice(np.arange(1, len(x)), trial, replace=False))
        states = [Hessian(9).update(part) for part in np.split(mixed, cuts)]
        folded = Hessian(9)
        for part in np.split(mixed, cuts):
            folded = folded.update(part)
        while len(states) > 1:  # a tree that no two trials share
            i = int(rng.integers(len(states) - 1))
            states[i : i + 2] = [states[i + 1].merge(states[i])]
        assert states[0] == whole == folded, f"{trial} cuts"
        assert states[0].matrix().tobytes() == whole.matrix().tobytes(), f"{trial} cuts: bits"


def test_more_tokens_than_one_exact_product_holds() -> None:
    assert hessian.CHUNK * 4**hessian.BITS <= 2**53, "float64 holds a chunk's sum"
    unit = 2**hessian.BITS - 1  # odd: a sum beyond 2^53 would be rounded
    count = 3 * hessian.CHUNK + 1
    x = np.full((count, 1), unit * 2.0 ** (2 - hessian.BITS), np.float32)
    ((c, total),) = Hessian(1).update(x).sums
    assert (c, int(total[0, 0])) == (2, count * unit**2), "not one unit is lost"


def test_the_error_stays_below_equation_4() -> None:
    x = tokens(3, n=40)
    h = Hessian(9).update(x).matrix()
    bound = Fraction(0)
    for row in x.tolist():
        c = -400
        while max(abs(v) for v in row) >= 2.0**c:
            c += 2
        bound += Fraction(4) ** c if any(row) else 0
    bound *= Fraction(2, 40) / 2**20
    exact = [[Fraction(float(v)) for v in row] for row in x]
    for i in range(9):
        for j in range(9):
            value = Fraction(2, 40) * sum(r[i] * r[j] for r in exact)
            assert abs(Fraction(float(h[i, j])) - value) <= bound, f"H[{i}, {j}]"
    assert h[4].tolist() == [0.0] * 9, "a dead column is exactly dead"
    assert np.array_equal(h, h.T), "and H exactly symmetric"


def test_numbers_on_the_grid_are_summed_exactly() -> None:
    x = np.array([[3, -1, 0], [0.5, 7, 2], [-64, 0.25, 1], [0, 0, 0]], np.float32)
    exact = [[float(a @ b) / 2 for b in x.T.astype(float)] for a in x.T.astype(float)]
    assert Hessian(3).update(x).matrix().tolist() == exact, "of 4 tokens, 2/n is a power of two"


def test_leading_axes_are_tokens() -> None:
    x = tokens(4, n=24)
    assert Hessian(9).update(x.reshape(2, 3, 4, 9)) == Hessian(9).update(x), "(batch, time, k)"
    assert Hessian(9).update(x[0]).count == 1, "one token"


def test_zeros_count_and_add_nothing() -> None:
    state = Hessian(2).update(np.zeros((5, 2), np.float32))
    assert (state.count, state.sums) == (5, ()), "no exponent occurs"
    assert state.matrix().tolist() == [[0.0, 0.0], [0.0, 0.0]], "H is zero"


def test_subnormal_and_largest_tokens() -> None:
    x = np.array([[1e-45, 0.0], [0.0, 3e38]], np.float32)
    h = Hessian(2).update(x).matrix()
    exact = [float(Fraction(float(v)) ** 2) for v in (x[0, 0], x[1, 1])]
    assert h[0, 0] == exact[0], "2**-149 squared is no problem for float64"
    assert abs(h[1, 1] - exact[1]) <= 2.0**-20 * 4.0**128, "eq. (4) with c = 128"


def test_bad_batches_are_refused() -> None:
    state = Hessian(3)
    bad: tuple[Any, ...] = (
        np.zeros((2, 3)),
        np.zeros((2, 4), np.float32),
        np.zeros((0, 3), np.float32),
        np.float32(1),
    )
    for batch in bad:
        with pytest.raises(ValueError, match=r"float32 \(\.\.\., 3\)"):
            state.update(batch)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="1 NaN or infinity in 6"):
            state.update(np.array([[0, 0, 0], [0, value, 0]], np.float32))
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        Hessian(0)
    with pytest.raises(ValueError, match="of 3 columns, got Hessian of 4"):
        state.merge(Hessian(4))
    with pytest.raises(ValueError, match="call update"):
        state.matrix()


def test_a_state_knows_when_it_is_full() -> None:
    nearly = Hessian(1, hessian.LARGEST_COUNT - 1)
    assert nearly.update(np.ones((1, 1), np.float32)).count == hessian.LARGEST_COUNT, "full"
    with pytest.raises(ValueError, match="at most 2097151 tokens"):
        nearly.update(np.ones((2, 1), np.float32))
    assert hessian.LARGEST_COUNT * 4**hessian.BITS < 2**63, "int64 holds the largest sum"


def test_equality_is_of_values() -> None:
    x = tokens(5)
    state = Hessian(9).update(x)
    assert state == Hessian(9).update(x), "the same data"
    assert state != Hessian(9).update(x[:-1]), "a token less"
    assert state != Hessian(9), "no data"
    assert state != 3, "no state"
