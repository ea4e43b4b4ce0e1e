"""The MSE grid: the best of its candidates, by exact sums, and never worse than min-max."""

import functools
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.clipping import mse_grid, ordered_sum
from refquant.algorithms.rtn import min_max, rtn
from refquant.contracts import preset

F32 = NDArray[np.float32]
gptq_grid = functools.partial(mse_grid, contract=preset("gptq"))


def heavy(seed: int, m: int = 6, g: int = 24) -> F32:
    """Groups with one large element each: what clipping is for."""
    x = np.random.default_rng(seed).standard_normal((m, g)).astype(np.float32)
    x[:, 5] *= np.float32(4)
    return x


def cost(x: F32, lo: np.float32, hi: np.float32, *, bits: int, norm: int) -> Fraction:
    """J of one group by exact sums; the authors' asymmetric ruler."""
    qmax = 2**bits - 1
    scale = np.float32(np.float32(hi - lo) / np.float32(qmax))
    zero = -round(Fraction(float(np.float32(lo / scale))))
    total = Fraction(0)
    for v in x:
        code = min(max(round(Fraction(float(np.float32(v / scale)))) + zero, 0), qmax)
        total += abs((code - zero) * Fraction(float(scale)) - Fraction(float(v))) ** norm
    return total


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("norm", [1, 2, 4])
def test_it_is_the_best_candidate(bits: int, norm: int) -> None:
    x = heavy(1)
    lo, hi = gptq_grid(
        x, dtype=f"uint{bits}", symmetric=False, grid=20, max_shrink=0.8, norm=float(norm)
    )
    for row in range(len(x)):
        ends = min(np.float32(0), x[row].min()), max(np.float32(0), x[row].max())
        factors = [np.float32(1 - i / 20) for i in range(16)]
        costs = [cost(x[row], f * ends[0], f * ends[1], bits=bits, norm=norm) for f in factors]
        mine = cost(x[row], lo[row], hi[row], bits=bits, norm=norm)
        # Differences are float32 (2^-24 each), and exp and log cost norm * 2^-20 where norm is 4.
        assert mine <= min(costs) * (1 + Fraction(norm, 2**18)), f"row {row}"
    assert (hi < np.maximum(x.max(axis=1), 0)).any(), "the witness: clipping pays here"


def test_never_worse_than_min_max() -> None:
    x = np.random.default_rng(2).uniform(-1, 1, (8, 16)).astype(np.float32)  # nothing to clip
    lo, hi = gptq_grid(x, dtype="uint4", symmetric=False, grid=100, max_shrink=0.8, norm=2.0)
    for row in range(8):
        ends = min_max(x[row : row + 1])
        whole = cost(x[row], ends[0][0], ends[1][0], bits=4, norm=2)
        assert cost(x[row], lo[row], hi[row], bits=4, norm=2) <= whole * (1 + Fraction(1, 2**20))


def test_witness_fewer_bits_gain_more() -> None:
    w = heavy(3, m=32, g=64)
    gains = []
    for dtype in ("uint3", "uint4", "uint8"):
        errors = []
        clip = functools.partial(
            gptq_grid, dtype=dtype, symmetric=True, grid=100, max_shrink=0.8, norm=2.4
        )
        for chosen in (min_max, clip):
            q = rtn(w, group_size=None, dtype=dtype, symmetric=True, contract=preset("gptq"),
                    clip=chosen)  # fmt: skip
            errors.append(float(np.sum((q.dequantize().astype(np.float64) - w) ** 2)))
        gains.append(errors[0] / errors[1])
    assert gains[0] > gains[1] > gains[2] > 0.99, f"at 3, 4, 8 bits: {gains}"
    assert gains[0] > 1.3, f"a third less error at 3 bits: {gains}"


def test_the_unit_of_the_weights_does_not_matter() -> None:
    x = heavy(4)
    for norm in (2.0, 2.4):
        base = gptq_grid(x, dtype="uint3", symmetric=False, grid=50, max_shrink=0.8, norm=norm)
        for factor in (np.float32(2.0**-60), np.float32(2.0**60)):
            other = gptq_grid(
                x * factor, dtype="uint3", symmetric=False, grid=50, max_shrink=0.8, norm=norm
            )
            for a, b in zip(base, other, strict=True):
                assert np.array_equal(a * factor, b), f"norm {norm}, times {factor}"


def test_groups_of_zeros_and_equal_weights() -> None:
    x = np.array([[0.0, 0.0], [1.5, 1.5], [-2.0, -2.0]], np.float32)
    lo, hi = gptq_grid(x, dtype="uint4", symmetric=False, grid=10, max_shrink=0.5, norm=2.4)
    assert (lo[0], hi[0]) == (0.0, 0.0), "zeros have nothing to shrink"
    assert (lo.tolist(), hi.tolist()) == ([0.0, 1.5, -2.0], [0.0, 1.5, -2.0]), "the first of equals"


def test_sums_are_in_order() -> None:
    rows = np.array([[1.0], [2.0**-53], [2.0**-53]])
    assert ordered_sum(rows).tolist() == [1.0], "from the left: each small one is lost"
    assert ordered_sum(rows[::-1]).tolist() == [1.0 + 2.0**-52], "from the right: none is"


def test_options_out_of_range_are_refused() -> None:
    for grid, shrink, norm in ((0, 0.8, 2.0), (10, 0.0, 2.0), (10, 1.1, 2.0), (10, 0.8, 0.5)):
        with pytest.raises(ValueError, match="grid must be >= 1"):
            gptq_grid(
                heavy(5), dtype="uint4", symmetric=False, grid=grid, max_shrink=shrink, norm=norm
            )


def test_of_equal_costs_the_widest_wins() -> None:
    x = np.array([[2.0, 3.0]], np.float32)  # marks 0 and h: |2 - h| + |3 - h| = 1 for h in [2, 3]
    _, hi = gptq_grid(x, dtype="uint1", symmetric=False, grid=8, max_shrink=0.5, norm=1.0)
    assert hi.tolist() == [3.0], "of 3, 2.625 and 2.25"
