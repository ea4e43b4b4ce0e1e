"""The pieces of Softmax in fixed point against the reference; whole rows: test_equivalence.py."""

import numpy as np

from refquant.numerics.fixedpoint import srdhm
from refquant.numerics.gemmlowp import one_over_one_plus_x
from refquant_runtime.kernels.statistics import high_product, reciprocal, saturated

RNG = np.random.default_rng(3)


def test_the_high_product_rounds_ties_up() -> None:
    a = np.concatenate([RNG.integers(-(2**31), 2**31, 300), [-3, -1, 0, 1, 3]])
    for b in (1 << 30, -(1 << 30), 12345, -(2**31) + 1):
        got = [int(high_product(np.int64(v), np.int64(b))) for v in a]
        assert got == srdhm(a, b).tolist(), f"times {b}"


def test_the_reciprocal_is_the_references() -> None:
    x = np.concatenate([RNG.integers(0, 2**31, 300), [0, 1, 2**30, 2**31 - 1]])
    got = [int(reciprocal(np.int64(v))) for v in x]
    assert got == one_over_one_plus_x(x).tolist(), "bit for bit"


def test_it_saturates() -> None:
    got = [int(saturated(np.int64(v))) for v in (-(2**40), -5, 2**31)]
    assert got == [-(2**31), -5, 2**31 - 1], "int32"
