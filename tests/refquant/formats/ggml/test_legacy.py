"""The two rulers of Q4_0 to Q5_1, and what a fused multiply-add changes."""

import numpy as np
import pytest

from refquant.formats.ggml.legacy import (
    FLAVOURS,
    from_minimum,
    join_fifth,
    signed_extreme,
    split_fifth,
    truncated,
)
from tests.refquant.formats.ggml.simple import (
    corpus,
    ends,
    f32,
    first_largest,
    fused,
    int32,
    reciprocal,
    stacked,
    times,
)


def test_the_extreme_is_the_first_of_the_largest_and_never_minus_zero() -> None:
    rows = corpus(32)
    for name, row, ours in zip(rows, rows.values(), signed_extreme(stacked(rows)), strict=True):
        best = first_largest(row.tolist())
        assert ours.tobytes() == np.float32(best).tobytes(), f"{name}: {ours} != {best}"


@pytest.mark.parametrize("qmax", [15, 31])
def test_the_minimum_is_the_first_and_the_step_of_a_constant_plus_zero(qmax: int) -> None:
    rows = corpus(32)
    d, low = from_minimum(stacked(rows), qmax=qmax)
    for k, (name, row) in enumerate(rows.items()):
        least, highest = ends(row.tolist())
        step = f32(f32(highest - least) / qmax)
        expected = np.array([step, least], np.float32)
        assert np.array([d[k, 0], low[k, 0]]).tobytes() == expected.tobytes(), f"{name}"


def near_ties(offset: float, qmax: int) -> tuple[np.ndarray, np.ndarray]:
    """For random d: the floats x around each code boundary, where x / d + offset is an integer."""
    rng = np.random.default_rng(3)
    x, d = np.empty((300, 9 * qmax), np.float32), np.empty((300, 1), np.float32)
    for row in range(len(d)):
        d[row] = step = rng.uniform(0.01, 100) * rng.choice([-1, 1])
        inverse = float(np.float32(1) / np.float32(step))
        boundary = ((np.arange(1, qmax + 1) - offset) / inverse).astype(np.float32)
        around = [boundary]
        for _ in range(4):
            around = [np.nextafter(around[0], np.float32(-9e9)), *around]
            around.append(np.nextafter(around[-1], np.float32(9e9)))
        x[row] = np.concatenate(around)
    return x, d


@pytest.mark.parametrize(("offset", "qmax"), [(8.5, 15), (16.5, 31), (0.5, 15), (0.5, 31)])
def test_both_flavours_are_exact_around_every_boundary_and_differ(offset: float, qmax: int) -> None:
    x, d = near_ties(offset, qmax)
    ours = {
        how: truncated(x, d, offset=offset, qmax=qmax, flavour=how).tolist() for how in FLAVOURS
    }
    for row in range(0, len(d), 10):
        inverse = reciprocal(float(d[row, 0]))
        plain = [min(int32(f32(times(v, inverse) + offset)), qmax) for v in x[row].tolist()]
        assert ours["reference"][row] == plain, f"reference, d = {d[row, 0]}"
        once = [min(int32(fused(v, inverse, offset)), qmax) for v in x[row].tolist()]
        assert ours["fma"][row] == once, f"fma, d = {d[row, 0]}"
    differ = np.not_equal(ours["reference"], ours["fma"]).sum()
    assert 0 < differ < x.size / 20, f"{differ} of {x.size} codes beside a boundary differ"


def test_a_witness_of_fused_multiply_add() -> None:
    """x / d + 8.5 is 10 - 5.4e-7: rounded twice it is 10, rounded once 10 - 9.5e-7."""
    x, d = np.array([[0.14999994635581970]], np.float32), np.array([[0.1]], np.float32)
    codes = [int(truncated(x, d, offset=8.5, qmax=15, flavour=how)[0, 0]) for how in FLAVOURS]
    assert codes == [10, 9], "reference and fma"
    inverse = reciprocal(float(d[0, 0]))
    twice, once = f32(times(float(x[0, 0]), inverse) + 8.5), fused(float(x[0, 0]), inverse, 8.5)
    assert [twice, once] == [10.0, 10 - 2.0**-20], "by the scalar program"


def test_fifth_bits_are_a_little_endian_word() -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 32, (50, 32)).astype(np.uint8)
    low, high = split_fifth(codes)
    for row, word in zip(codes.tolist(), high, strict=True):
        expected = sum((q >> 4) << i for i, q in enumerate(row))
        assert int.from_bytes(word.tobytes(), "little") == expected, "bit i belongs to element i"
    assert np.array_equal(low, codes % 16), "the rest"
    assert np.array_equal(join_fifth(low, high), codes), "and back"
