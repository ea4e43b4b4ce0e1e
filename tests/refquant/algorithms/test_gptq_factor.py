"""The triangle of the inverse Hessian: against exact fractions, and with one set of bits."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.gptq_factor import inverse_factor

F64 = NDArray[np.float64]


def correlated(seed: int, k: int, tokens: int) -> F64:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((tokens, k)) @ (np.eye(k) + 0.3 * rng.standard_normal((k, k)))
    h: F64 = np.asarray(2 / tokens * (x.T @ x))
    return np.asarray((h + h.T) / 2)


def test_u_times_h_times_its_transpose_is_one_exactly_computed() -> None:
    h = correlated(1, 6, 50)
    u, damp = inverse_factor(h, damp=0.01, damp_increment=0.0)
    assert damp == 0.01, "the first damping does"
    lift = Fraction(0.01) * sum(Fraction(float(v)) for v in np.diag(h)) / 6
    exact = [[Fraction(float(v)) for v in row] for row in h]
    for j in range(6):
        exact[j][j] = exact[j][j] + lift
    rows = [[Fraction(float(v)) for v in row] for row in u]
    # U (H + lambda I) U^T = I. The condition number is below 2^10; each of the about 3 k^2 = 108
    # roundings costs at most 2^-53 times it: below 2^-36.
    for i in range(6):
        for j in range(6):
            value = Fraction(0) + sum(
                rows[i][a] * exact[a][b] * rows[j][b] for a in range(6) for b in range(6)
            )
            assert abs(value - (i == j)) < Fraction(1, 2**36), f"({i}, {j}): {float(value)}"
    assert not np.tril(u, -1).any(), "exactly triangular"
    assert (np.diag(u) > 0).all(), "with a positive diagonal"


@pytest.mark.parametrize("k", [127, 128, 129, 300, 385])
def test_blocks_are_seamless(k: int) -> None:
    h = correlated(2, k, 4 * k)
    u, damp = inverse_factor(h, damp=0.01, damp_increment=0.0)
    lifted = h + damp * float(np.mean(np.diag(h))) * np.eye(k)
    # All eigenvalues are below the trace and not below the damping, so the condition is below
    # 101 k < 2^16. Sliced products keep 2 * 21 bits of a row's largest, their sums have at most
    # 2^9 terms: 2^(-42 + 16 + 9).
    worst = float(np.abs(u @ lifted @ u.T - np.eye(k)).max())
    assert worst < 2.0**-17, f"{worst} at k = {k}"


def test_it_is_the_factor_of_the_published_code() -> None:
    h = correlated(3, 40, 200)
    u, _ = inverse_factor(h, damp=0.01, damp_increment=0.0)
    lifted = h + 0.01 * float(np.mean(np.diag(h))) * np.eye(40)
    published = np.linalg.cholesky(np.linalg.inv(lifted)).T
    assert float(np.abs(u - published).max()) < 2.0**-36, "two Cholesky factorizations, and one"


def test_damping_grows_until_it_does() -> None:
    h = np.array([[1.0, 1.02], [1.02, 1.0]])  # eigenvalues 2.02 and -0.02
    with pytest.raises(ValueError, match=r"damp 0.01 .* after 1 attempts"):
        inverse_factor(h, damp=0.01, damp_increment=0.0)
    _, damp = inverse_factor(h, damp=0.01, damp_increment=0.01)
    assert damp == 0.03, f"0.02 makes it singular, 0.03 definite: {damp}"


def test_a_matrix_that_no_damping_mends_is_refused() -> None:
    h = np.array([[1.0, 5.0], [5.0, 1.0]])
    with pytest.raises(ValueError, match="positive definite after damping"):
        inverse_factor(h, damp=0.01, damp_increment=0.1)
    with pytest.raises(ValueError, match="after 1 attempts"):
        inverse_factor(np.zeros((2, 2)), damp=0.5, damp_increment=0.0)


def test_a_singular_hessian_needs_its_damping() -> None:
    h = correlated(4, 12, 5)  # 5 tokens, 12 columns
    u, damp = inverse_factor(h, damp=0.01, damp_increment=0.0)
    assert damp == 0.01, "that is what damping is for"
    assert np.isfinite(u).all(), "and it suffices"


def test_options_out_of_range_are_refused() -> None:
    for damp, step in ((-0.1, 0.0), (1.0, 0.0), (float("nan"), 0.0), (0.1, -1.0), (0.1, 1e-9)):
        with pytest.raises(ValueError, match="damp must be in"):
            inverse_factor(np.eye(2), damp=damp, damp_increment=step)
