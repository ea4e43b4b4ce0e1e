"""ACIQ: the tables solve their equations to the last digit, and moments are what they say."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from refquant.algorithms.aciq import GAUSS, LAPLACE, aciq

# int_quantizer.py of submission2019/cnn-quantization (2020-12-08), comments on its first lines:
# what scipy.optimize found for 2 to 8 bits.
THEIRS_GAUSS = (1.71063519, 2.15159277, 2.55913646, 2.93620062, 3.28691474, 3.6151146, 3.92403714)
THEIRS_LAPLACE = (
    *(2.83068299, 3.89722946, 5.02864014, 6.20476633, 7.41312622, 8.64561995, 9.89675982),
)


def erfc(x: Decimal) -> Decimal:
    """One minus the Taylor series of erf."""
    term, total, n = x, x, 0
    while abs(term) > Decimal(10) ** -45:
        n += 1
        term = -term * x * x / n
        total += term / (2 * n + 1)
    return Decimal(1 - total * 2 / PI.sqrt())


PI = Decimal("3.14159265358979323846264338327950288419716939937510582")


def slope(a: Decimal, bits: int, density: str) -> Decimal:
    """The derivative of J by alpha, up to a positive factor."""
    step = 1 / (Decimal(3) * 4**bits)
    if density == "laplace":
        return Decimal(a * step - (-a).exp())
    return Decimal(a * (erfc(a / Decimal(2).sqrt()) + step) - (2 / PI).sqrt() * (-a * a / 2).exp())


@pytest.mark.parametrize("density", ["laplace", "gauss"])
def test_each_constant_is_the_float64_next_to_the_root(density: str) -> None:
    table = LAPLACE if density == "laplace" else GAUSS
    with localcontext() as context:
        context.prec = 50
        for bits, value in enumerate(table, start=1):
            ulp = Decimal(float(np.spacing(value)))
            below, above = Decimal(value) - ulp / 2, Decimal(value) + ulp / 2
            assert slope(below, bits, density) <= 0 <= slope(above, bits, density), f"{bits} bits"


def test_the_authors_constants_are_ours_to_their_precision() -> None:
    for theirs, ours in ((THEIRS_GAUSS, GAUSS), (THEIRS_LAPLACE, LAPLACE)):
        for a, b in zip(theirs, ours[1:], strict=True):
            # They minimised J, whose values are known to 2^-53; its curvature is at least
            # 2 / (3 * 4^8) = 2^-16.6, so the place is known to (2^-52 * 2^16.6)^0.5 = 2^-17.7.
            assert abs(a - b) < 2.0**-17, f"{a} and {b}"


def test_ranges_are_mean_and_spread() -> None:
    x = np.array([[1, 2, 3, 4, 5, 6, 7, 100], [-8, 0, 0, 0, 0, 0, 0, 8]], np.float32)
    for density, table in (("laplace", LAPLACE), ("gauss", GAUSS)):
        lo, hi = aciq(x, num_bits=2, density=density)
        for row in range(2):
            values = [Fraction(float(v)) for v in x[row]]
            mean = sum(values, Fraction(0)) / 8
            if density == "laplace":
                spread = float(sum(abs(v - mean) for v in values) / 8)
            else:
                spread = float(sum((v - mean) ** 2 for v in values) / 8) ** 0.5
            alpha = spread * table[1]
            expected = (max(float(min(values)), float(mean) - alpha),
                        min(float(max(values)), float(mean) + alpha))  # fmt: skip
            for got, want in zip((lo[row], hi[row]), expected, strict=True):
                assert abs(float(got) - want) <= abs(want) * 2.0**-23, f"{density}, row {row}"
    assert float(hi[0]) < 100, "the witness: the outlier is cut"


def test_witness_each_density_is_best_on_its_own_data() -> None:
    rng = np.random.default_rng(3)
    data = {"gauss": rng.standard_normal((1, 20000)), "laplace": rng.laplace(size=(1, 20000))}
    for name, sample in data.items():
        x = sample.astype(np.float32)
        losses = {}
        for density in data:
            lo, hi = (float(end[0]) for end in aciq(x, num_bits=4, density=density))
            step = (hi - lo) / 16
            cells = np.clip(np.floor((x - lo) / step), 0, 15)
            losses[density] = float(np.mean((lo + (cells + 0.5) * step - x) ** 2))
        assert min(losses, key=losses.__getitem__) == name, f"{name} data: {losses}"


def test_equal_elements_keep_their_point() -> None:
    for density in ("laplace", "gauss"):
        lo, hi = aciq(np.full((1, 4), -0.7, np.float32), num_bits=4, density=density)
        assert (lo.tolist(), hi.tolist()) == ([np.float32(-0.7)] * 1, [np.float32(-0.7)] * 1)


def test_bad_arguments_are_refused() -> None:
    x = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match="density must be 'laplace' or 'gauss', got 'normal'"):
        aciq(x, num_bits=4, density="normal")
    for bits in (0, 9):
        with pytest.raises(ValueError, match=r"num_bits must be in \[1, 8\]"):
            aciq(x, num_bits=bits, density="gauss")
    for bad in (x * np.float32(np.nan), x[:, :0]):
        with pytest.raises(ValueError, match="finite and not empty"):
            aciq(bad, num_bits=4, density="gauss")
