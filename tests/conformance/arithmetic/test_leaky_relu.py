"""Leaky ReLU: what needs no rounding, and the scale of x behind it."""

import numpy as np

from refquant_conformance.arithmetic.leaky_relu import SLOPES, leaky_codes, leaky_exactly
from refquant_conformance.arithmetic.rules import rule
from refquant_conformance.arithmetic.tables import TABLES
from refquant_conformance.arithmetic.unary import every_code
from refquant_conformance.protocol import Array, Case


def codes_of(case: Case, how: object) -> Array:
    sx, zx = rule(case, "x")
    offset = case.inputs["x"].astype(np.int64) - zx
    real = offset.astype(np.float32) * np.float32(sx)
    return leaky_codes(case, offset, real, how)  # type: ignore[arg-type]  # a name


def test_above_zero_nothing_is_changed() -> None:
    case = every_code("qlinear_leaky_relu", "i8", (0.25, 0), (0.25, 0))
    for how in (*TABLES, *SLOPES):
        assert codes_of(case, how)[128:].tolist() == list(range(128)), how


def test_a_range_is_divided_by_the_scale_of_x_without_a_zero_point() -> None:
    inside = 0
    for y in ((0.05, 0), (0.04, 3), (0.2, 7)):
        with_zero = every_code("qlinear_leaky_relu", "i8", (0.05, 0), y)
        codes, offset = codes_of(with_zero, "by_range"), np.arange(-128, 128)
        for k, code in zip(offset.tolist(), codes.tolist(), strict=True):
            real = float(np.float32(k) * np.float32(0.05))
            assert int(code) == leaky_exactly(with_zero, k, real, "by_range"), f"code {k}, {y}"
        reals = np.where(offset < 0, np.float32(0.1) * np.float32(0.05) * offset, 0.0)
        inside += int((np.abs(reals) > 0).sum())
    assert inside > 300, "no code below zero was computed"
