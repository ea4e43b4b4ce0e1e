"""Hadamard matrices: orthogonal in integers; the transform: exact on integers."""

import hashlib
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.formats.affine import choose_qparams, fake_quantize
from refquant.numerics.hadamard import (
    BASES,
    hadamard_base,
    hadamard_matrix,
    random_signs,
    rotate,
    walsh_hadamard,
)

SIZES = (1, 2, 4, 64, *BASES, 24, 56, 72, 80, 104, 208, 216, 312, 344)
U = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def signs_of_rows(h: np.ndarray) -> list[int]:
    """Each row as one Python integer: bit j set where the element is -1."""
    return [int("".join("1" if v < 0 else "0" for v in row), 2) for row in h.tolist()]


@pytest.mark.parametrize("n", SIZES)
def test_rows_are_orthogonal(n: int) -> None:
    """In Python integers: two rows of signs are orthogonal if they differ in n / 2 places."""
    h = hadamard_matrix(n)
    assert h.shape == (n, n), h.shape
    assert h.dtype == np.int8, h.dtype
    assert set(np.unique(h).tolist()) <= {-1, 1}, "signs"
    rows = signs_of_rows(h)
    for i, a in enumerate(rows):
        for j, b in enumerate(rows[:i]):
            assert 2 * (a ^ b).bit_count() == n, f"rows {j} and {i} of {n}"


def test_the_matrices_of_the_published_code() -> None:
    """SHA-256 of the rows, made once from the tables of QuaRot's hadamard_utils at 5008669b."""
    golden = {
        12: "67507aecbe2abee5",
        20: "f54960fecf1ccf70",
        28: "a6cb994c78f9acd4",
        36: "d674d8240e6b622b",
        40: "b36c95bcae918f98",
        52: "9ee082772819b105",
        60: "091e76fba0aef583",
        108: "690a34c6c9ed2f0e",
        140: "b9ff01506ffe4db5",
        156: "99a1b852ce559ffd",
        172: "378ef12c7cc31f3e",
    }
    for k, digest in golden.items():
        ours = hashlib.sha256(hadamard_matrix(k).tobytes()).hexdigest()[:16]
        assert ours == digest, f"the matrix of order {k} is another one"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
def test_the_transform_of_integers_is_the_product(n: int, dtype: Any) -> None:
    """All sums are integers below 2**24, so no addition rounds: equal to int64, bit for bit."""
    x = np.random.default_rng(n).integers(-1000, 1001, (2, 3, n))
    h = hadamard_matrix(n).astype(np.int64)
    for transpose, matrix in ((False, h), (True, h.T)):
        y = walsh_hadamard(x.astype(dtype), transpose=transpose)
        assert y.dtype == dtype, y.dtype
        assert y.tolist() == (x @ matrix.T).tolist(), f"transpose {transpose}"


@pytest.mark.parametrize("n", [64, 80, 172])
def test_each_result_is_within_its_bound(n: int) -> None:
    """Equation (7), against float64, whose own error is 2**-29 of the bound."""
    x = np.random.default_rng(n).standard_normal((50, n)).astype(np.float32)
    x *= np.exp2(np.random.default_rng(1).integers(-20, 21, x.shape)).astype(np.float32)
    k = hadamard_base(n)
    steps = (n // k).bit_length() - 1 + k - 1
    gamma = steps * 2.0**-24 / (1 - steps * 2.0**-24)
    exact = x.astype(np.float64) @ hadamard_matrix(n).T.astype(np.float64)
    error = np.abs(walsh_hadamard(x, transpose=False) - exact)
    bound = gamma * np.abs(x).astype(np.float64).sum(axis=1, keepdims=True)
    assert (error <= bound * (1 + 2.0**-20)).all(), f"{(error / bound).max()}"


def test_the_order_of_additions_is_fixed() -> None:
    """h = 1: [2^24 + 1 -> 2^24, 2^24 - 1, 1 - 2^24, -2^24 - 1 -> -2^24]; h = 2 adds and subtracts.

    In the reals the first two are 2 and -2, and with h = 2 before h = 1 floats would say so, too.
    """
    x = f32([2**24, 1, -(2**24), 1])
    assert walsh_hadamard(x, transpose=False).tolist() == [1, -1, 2**25, 2**25], "h = 1 first"


@pytest.mark.parametrize("n", [4, 12, 16, 40, 64])
def test_a_rotation_and_its_inverse(n: int) -> None:
    """R^T R = I by equation (1); 2 (m + K) additions, 2 roots and 2 quotients away from exact."""
    rng = np.random.default_rng(n)
    signs = random_signs(n, rng)
    for dtype in (np.float32, np.float64):
        x: NDArray[Any] = rng.standard_normal((4, n)).astype(dtype)
        back = rotate(rotate(x, signs, inverse=False), signs, inverse=True)
        k = hadamard_base(n)
        steps = 2 * ((n // k).bit_length() + k + 2)
        # |H| |H| |x| / n <= sum |x|
        bound = steps * U[np.dtype(dtype)] * np.abs(x).sum(axis=1, keepdims=True) * 1.001
        assert (np.abs(back - x) <= bound).all(), f"{dtype.__name__}: {np.abs(back - x).max()}"


def test_powers_of_four_rotate_integers_exactly() -> None:
    """sqrt(16) = 4: lengths, products and the way back are equal, not nearly so."""
    rng = np.random.default_rng(2)
    signs = random_signs(16, rng)
    x, w = rng.integers(-50, 51, (2, 5, 16)).astype(np.float32)
    rx, rw = (rotate(v, signs, inverse=False) for v in (x, w))
    assert (rw @ rx.T).tolist() == (w @ x.T).tolist(), "products"
    assert (rx * rx).sum(axis=1).tolist() == (x * x).sum(axis=1).tolist(), "lengths"
    assert rotate(rx, signs, inverse=True).tolist() == x.tolist(), "the way back"


def test_one_outlier_is_spread_evenly() -> None:
    x = np.zeros(64, np.float32)
    x[17] = 100
    y = rotate(x, np.ones(64, np.int8), inverse=False)
    assert set(np.abs(y).tolist()) == {12.5}, "100 / sqrt(64)"


def kurtosis(x: np.ndarray) -> float:
    """E x^4 / (E x^2)^2: 3 for a normal distribution, more for outliers."""
    x = x.astype(np.float64)
    return float((x**4).mean() / (x**2).mean() ** 2)


def int4(x: np.ndarray) -> np.ndarray:
    """Four bits, symmetric, a scale for each row (a token of x, an output of w)."""
    contract = preset("onnx")
    top = np.abs(x).max(axis=1, keepdims=True)
    qparams = choose_qparams(-top, top, dtype="int4", symmetric=True, contract=contract,
                             block_shape=(1, x.shape[1]))  # fmt: skip
    return np.asarray(fake_quantize(x, qparams, contract=contract))


@pytest.mark.parametrize("n", [256, 192])
def test_rotation_lowers_kurtosis_and_the_error_of_4_bits(n: int) -> None:
    """QuaRot's claim, on activations of which 4 channels are 30 times as large as the others.

    Rotated, each element is a sum of n independent terms, nearly normal: kurtosis 3. Without,
    the outliers set the step of every token, and all other channels round to zero: the product
    keeps little but the outliers' part.
    """
    rng = np.random.default_rng(n)
    x = rng.standard_normal((64, n)).astype(np.float32)
    x[:, rng.choice(n, 4, replace=False)] *= 30
    w = rng.standard_normal((48, n)).astype(np.float32)
    exact = x.astype(np.float64) @ w.T.astype(np.float64)
    signs = random_signs(n, rng)
    error = []
    for a, b in ((x, w), tuple(rotate(v, signs, inverse=False) for v in (x, w))):
        y = int4(a).astype(np.float64) @ int4(b).T.astype(np.float64)
        error.append(((y - exact) ** 2).sum() / (exact**2).sum())
    before, after = kurtosis(x), kurtosis(rotate(x, signs, inverse=False))
    assert before > 40, f"outliers: {before}"
    assert after < 3.5, f"nearly normal: {after}"
    assert error[1] < error[0] / 2, f"W4A4 noise to signal: {error[0]:.4f} -> {error[1]:.4f}"


def test_nan_and_infinity_spread() -> None:
    x = np.zeros((3, 4), np.float32)
    x[1, 2], x[2, :2] = np.nan, np.inf
    y = walsh_hadamard(x, transpose=False)
    assert y[0].tolist() == [0, 0, 0, 0], "another vector"
    assert np.isnan(y[1]).all(), "NaN is in every sum"
    assert not np.isfinite(y[2]).any(), "inf + inf, inf - inf"


def test_signs_come_from_the_generator() -> None:
    a, b = (random_signs(100, np.random.default_rng(5)) for _ in range(2))
    assert a.tobytes() == b.tobytes(), "the same seed, the same signs"
    assert abs(int(a.astype(int).sum())) <= 40, "a fair coin: 4 sigma"


def test_empty_batches_and_arguments_that_stay() -> None:
    assert walsh_hadamard(np.zeros((0, 8), np.float32), transpose=False).shape == (0, 8), "none"
    x = np.ones(1, np.float32)
    assert walsh_hadamard(x, transpose=False) is not x, "a new array, even for n = 1"
    assert not np.shares_memory(walsh_hadamard(x, transpose=False), x), "that shares nothing"


def test_nonsense_is_refused() -> None:
    for n in (0, -4, 3, 44, 100, 5 * 12):
        if n != 60:
            with pytest.raises(ValueError, match=re.escape(f"got {n}; pad or split it")):
                hadamard_base(n)
    with pytest.raises(ValueError, match="x must be float32 or float64"):
        walsh_hadamard(np.ones(4, np.int64), transpose=False)  # type: ignore[type-var]  # the test
    with pytest.raises(ValueError, match="signs must be"):
        rotate(np.ones(4, np.float32), np.array([1, 1, 0, 1], np.int8), inverse=False)
    with pytest.raises(ValueError, match=r"signs must be .* \(4,\), got int8 \(2,\)"):
        rotate(np.ones(4, np.float32), np.array([1, 1], np.int8), inverse=False)
