"""The K-quant search: ggml's inner search bit for bit, its line exactly, its laws, bad input."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.kquant import (
    PLAIN,
    WEIGHTED,
    Search,
    error_weights,
    kquant,
    search,
)
from refquant.algorithms.weight import QuantizedWeight
from refquant.formats.ggml.k_affine import importance_weights
from refquant.formats.ggml.k_grids import Grids, fit_scale_min, rms_plus_magnitude
from refquant.formats.ggml.q4_k import KIND
from tests.refquant.formats.ggml.k_scalar import scale_min
from tests.refquant.formats.ggml.test_k_grids import hostile_columns
from tests.refquant.model.literals import f32

F32 = NDArray[np.float32]
RULERS = {"q2_k": (2, -0.5, 0.1, 15), "q4_k": (4, -1.0, 0.1, 20),
          "q4_k weighted": (4, -0.9, 0.05, 36), "q5_k": (5, -0.5, 0.1, 15)}  # fmt: skip


def heavy(seed: int, shape: tuple[int, int]) -> F32:
    return (np.random.default_rng(seed).standard_t(3, size=shape) / 20).astype(np.float32)


def weighted_error(w: F32, q: QuantizedWeight, h: F32) -> NDArray[np.float64]:
    """Return the sum of eq. (1) with v = h of each group, float64 (n, groups)."""
    off = (q.dequantize().astype(np.float64) - w) ** 2 * h
    return np.add.reduceat(off, np.arange(0, w.shape[1], w.shape[1] // q.scale.shape[1]), axis=1)


def min_max(w: F32, bits: int, size: int) -> QuantizedWeight:
    """Return the ruler from min to max with the nearest codes: what a search has to beat."""
    groups = w.reshape(-1, size)
    lo, hi = groups.min(1, keepdims=True), groups.max(1, keepdims=True)
    scale = (hi - lo) / np.float32(2**bits - 1)
    zero = -lo / scale
    codes = np.clip(np.rint(groups / scale + zero), 0, 2**bits - 1).astype(np.uint8)
    parts = scale.reshape(len(w), -1), zero.reshape(len(w), -1)
    g_idx = np.repeat(np.arange(w.shape[1] // size), size)
    return QuantizedWeight(codes.reshape(w.shape), *parts, g_idx, bits, signed=False)


@pytest.mark.parametrize("name", RULERS)
def test_scales_minima_and_codes_are_ggmls_before_it_rounds_the_scales(name: str) -> None:
    """Two opinions that share no code with it: a scalar program, and the formats' arrays."""
    bits, start, delta, steps = RULERS[name]
    settings = Search(start=start, delta=delta, steps=steps, minimum="not_positive")
    grids = Grids((1 << bits) - 1, start, delta, steps)
    rng = np.random.default_rng(3)
    for x in (hostile_columns(32), heavy(1, (16, 300)), np.abs(heavy(2, (32, 100)))):
        for v in (rms_plus_magnitude(x), x * x, rng.random(x.shape).astype(np.float32)):
            with np.errstate(all="ignore"):
                scale, minimum, codes = fit_scale_min(x, v, grids)
            got = search(x, v, num_bits=bits, settings=settings)
            assert np.array_equal(got[0], scale, equal_nan=True), "another scale"
            assert np.array_equal(-got[1], minimum, equal_nan=True), "another minimum"
            assert np.array_equal(got[2], codes), "other codes"
    x = heavy(4, (16, 20))
    scale, minimum, codes = search(x, x * x, num_bits=bits, settings=settings)
    for i in range(20):
        one = scale_min(x[:, i].tolist(), (x * x)[:, i].tolist(), nmax=grids.nmax,
                        start=start, delta=delta, steps=steps, absolute=False)  # fmt: skip
        got_one = (float(scale[i]), float(-minimum[i]), codes[:, i].tolist())
        assert got_one == one, f"column {i}: {got_one} is not {one}"


def test_weights_are_q4_ks_with_and_without_importance() -> None:
    x, h = heavy(5, (32, 8)), np.abs(heavy(6, (32, 8)))
    plain = error_weights(x, None, magnitude=False)
    assert np.array_equal(plain, KIND.plain_weights(x)), "Q4_K's without data"
    block = np.ascontiguousarray(x.T).reshape(1, 256)
    row = np.ascontiguousarray(h.T).reshape(1, 256)
    theirs = importance_weights(block, row, size=32, factor=KIND.sigma_factor)
    ours = error_weights(x, h, magnitude=True)
    # The one difference: sigma^2 is twice the mean square of 256 values there, of the group here.
    sigma = np.sqrt(2 * np.mean(block.astype(float) ** 2) + x.astype(float) ** 2)
    assert np.allclose(theirs / h, sigma, rtol=300 * 2.0**-24, atol=0), "256 float32 additions"
    here = np.sqrt(np.mean(x.astype(float) ** 2, axis=0) + x.astype(float) ** 2)
    assert np.allclose(ours / h, here, rtol=40 * 2.0**-24, atol=0), "32 float32 additions"
    assert error_weights(x, h, magnitude=False) is h, "alone, importance is all that counts"


def test_the_line_is_the_least_squares_of_its_codes() -> None:
    """Eq. (2) in fractions: no other scale and minimum of these codes has less error."""
    x = f32([[0], [1], [3], [4.5]])
    v = f32([[1], [2], [1], [4]])
    only = Search(start=0.0, delta=0.0, steps=0)  # one ruler: min-max's own
    scale, minimum, codes = search(x, v, num_bits=2, settings=only)
    points = [
        (Fraction(float(a)), Fraction(float(b)), Fraction(int(c)))
        for a, b, c in zip(v[:, 0], x[:, 0], codes[:, 0], strict=True)
    ]

    def total(p: int, q: int) -> Fraction:
        return sum((a * b**p * c**q for a, b, c in points), Fraction(0))

    d = total(0, 0) * total(0, 2) - total(0, 1) ** 2
    exact = (
        (total(0, 0) * total(1, 1) - total(1, 0) * total(0, 1)) / d,
        (total(0, 2) * total(1, 0) - total(0, 1) * total(1, 1)) / d,
    )
    assert codes[:, 0].tolist() == [0, 1, 2, 3], "the codes of min-max"
    for got, want in zip((scale[0], minimum[0]), exact, strict=True):
        # sums of small integers and halves are exact in float32: one division is left
        assert abs(Fraction(float(got)) - want) <= abs(want) * Fraction(1, 2**24), f"{got}, {want}"


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [16, 32, 96])
def test_it_is_never_worse_than_min_max_by_its_own_measure(bits: int, size: int) -> None:
    w = heavy(bits, (24, 96))
    h = np.asarray(np.random.default_rng(size).random(96) ** 4, np.float32)
    found = kquant(w, num_bits=bits, group_size=size, importance=h, settings=WEIGHTED)
    before, after = weighted_error(w, min_max(w, bits, size), h), weighted_error(w, found, h)
    # Both sums were compared in float32: size additions and three operations a term, each 2^-24.
    assert (after <= before * (1 + 2 * (size + 4) * 2.0**-24)).all(), "a group got worse"
    assert after.sum() < (0.98 if bits < 8 else 1) * before.sum(), "and most get better"


def test_importance_helps_the_error_that_it_weighs() -> None:
    """The witness: the same bits, less error where the inputs are loud."""
    w, h = heavy(7, (64, 128)), np.ones(128, np.float32)
    h[::8] = 100  # a few loud inputs
    blind = kquant(w, num_bits=3, group_size=32, importance=None, settings=PLAIN)
    told = kquant(w, num_bits=3, group_size=32, importance=h, settings=WEIGHTED)
    loud = weighted_error(w, told, h).sum() / weighted_error(w, blind, h).sum()
    quiet = weighted_error(w, told, np.ones_like(h)).sum()
    assert loud < 0.75, f"the weighted error falls by a quarter: {loud}"
    assert quiet > weighted_error(w, blind, np.ones_like(h)).sum(), "others pay for it"


def test_minima_may_be_positive_here() -> None:
    w = f32([[10, 10.5, 11, 11.5]])
    free = kquant(w, num_bits=2, group_size=4, importance=None, settings=PLAIN)
    assert free.dequantize().tolist() == w.tolist(), "four marks, four weights"
    bound = replace(PLAIN, minimum="not_positive")
    held = kquant(w, num_bits=2, group_size=4, importance=None, settings=bound)
    start = min_max(w, 2, 4).dequantize().tolist()
    assert held.dequantize().tolist() == start, "from 0 up is worse, so min-max stays"


def test_scales_of_two_change_nothing_but_scales() -> None:
    w, h = heavy(8, (6, 64)), np.random.default_rng(8).random(64).astype(np.float32)
    base = kquant(w, num_bits=4, group_size=32, importance=h, settings=WEIGHTED)
    for power in (-60, -3, 5, 100):
        factor = np.float32(2.0**power)
        scaled = np.asarray(w * factor, np.float32)
        got = kquant(scaled, num_bits=4, group_size=32, importance=h, settings=WEIGHTED)
        assert np.array_equal(got.codes, base.codes), f"2^{power}: other codes"
        assert np.array_equal(got.scale, base.scale * factor), f"2^{power}: other scales"
        again = kquant(
            w,
            num_bits=4,
            group_size=32,
            importance=np.asarray(h * factor, np.float32),
            settings=WEIGHTED,
        )
        assert np.array_equal(again.codes, base.codes), f"importance times 2^{power}"


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0, 1e-45, -1e-38, 3e38, -3e38])
def test_groups_without_a_range(value: float) -> None:
    w = np.full((2, 8), value, np.float32)
    q = kquant(w, num_bits=4, group_size=4, importance=None, settings=PLAIN)
    expected = np.zeros_like(w) if abs(value) < 2.0**-100 else w
    assert np.array_equal(q.dequantize(), expected), f"{value}: {q.dequantize()[0, 0]}"
    assert (np.isfinite(q.scale) & (q.scale > 0)).all(), f"{value}: scale {q.scale[0, 0]}"


def test_sizes_at_the_ends_of_float32_stay_finite() -> None:
    for size in (1e-30, 1e-25, 1e30, 1.7e38):
        w = np.asarray((heavy(9, (4, 32)) * 5).clip(-1, 1) * np.float32(size), np.float32)
        q = kquant(w, num_bits=4, group_size=32, importance=None, settings=PLAIN)
        off = np.abs(q.dequantize().astype(float) - w).max() / size
        assert np.isfinite(q.scale).all(), f"{size}: a scale is infinite"
        assert off < 2 / 15, f"{size}: {off}, more than a step of a range of 2"


def test_inputs_without_a_say_are_rounded_and_a_silent_group_keeps_min_max() -> None:
    w = heavy(10, (3, 64))
    h = np.zeros(64, np.float32)
    h[:32:2] = 1
    q = kquant(w, num_bits=4, group_size=32, importance=h, settings=WEIGHTED)
    start = min_max(w, 4, 32)
    assert np.array_equal(q.scale[:, 1], start.scale[:, 1]), "nothing is known of the second group"
    assert (np.abs(q.dequantize() - w)[:, 1:32:2] < 2 * q.scale[:, :1]).all(), "silent, not garbage"


def test_the_same_bytes_however_rows_come() -> None:
    w, h = heavy(11, (9, 64)), np.random.default_rng(11).random(64).astype(np.float32)
    whole = kquant(w, num_bits=3, group_size=16, importance=h, settings=WEIGHTED)
    for i in range(9):
        row = kquant(w[i : i + 1], num_bits=3, group_size=16, importance=h, settings=WEIGHTED)
        assert row.codes.tobytes() == whole.codes[i].tobytes(), f"row {i} by itself"
        assert row.scale.tobytes() == whole.scale[i].tobytes(), f"row {i}: scale"


def test_one_group_a_row() -> None:
    w = heavy(12, (3, 40))
    q = kquant(w, num_bits=4, group_size=None, importance=None, settings=PLAIN)
    assert q.scale.shape == (3, 1), "None is a row"


W, H = np.ones((2, 4), np.float32), np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"importance": -H}, r"importance must be finite and >= 0, got -1\.0 at column 0"),
        ({"importance": f32([1, np.nan, 1, 1])}, "got nan at column 1"),
        ({"importance": f32([1, 1, np.inf, 1])}, "got inf at column 2"),
        ({"importance": H[:3]}, r"importance must be float32 \(4,\), got float32 \(3,\)"),
        ({"importance": H.astype(float)}, r"importance must be float32 \(4,\), got float64"),
        ({"importance": 0 * H}, "importance is 0 everywhere: no input was ever nonzero"),
        ({"group_size": 3}, "group_size must divide the 4 columns of the weight, got 3"),
        ({"num_bits": 9}, "num_bits must be an integer from 1 to 8, got 9"),
        ({"num_bits": True}, "num_bits must be an integer from 1 to 8, got True"),
        ({"w": W * np.float32(np.nan)}, "w must be finite, got 8 NaN"),
        ({"w": W[:, :0]}, "w must be float32"),
    ],
)
def test_what_means_nothing_is_refused(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"w": W, "num_bits": 4, "group_size": 4, "importance": H,
                             "settings": WEIGHTED}  # fmt: skip
    given.update(changed)
    with pytest.raises(ValueError, match=message):
        kquant(given.pop("w"), **given)


@pytest.mark.parametrize(
    "wrong", [{"start": np.nan}, {"delta": np.inf}, {"steps": -1}, {"minimum": "positive"}]
)
def test_rulers_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="start and delta must be finite, steps >= 0 and minimum"):
        replace(PLAIN, **wrong)
