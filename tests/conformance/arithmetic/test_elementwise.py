"""Sums and products of codes: the oracle counts the same, probes tell every value."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Arithmetic
from refquant_conformance.arithmetic.elementwise import (
    QLINEAR_ADD,
    QLINEAR_MUL,
    all_pairs,
    binary_case,
    real_quantized,
)
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
@pytest.mark.parametrize("arithmetic", [QLINEAR_ADD, QLINEAR_MUL])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    assert_counted_again(arithmetic, scheme)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_sum(scheme: str) -> None:
    assert_told_apart(QLINEAR_ADD, scheme, "add", {})


def test_probes_tell_the_products_that_backends_have() -> None:
    modes = ("float_rne", "gemmlowp_double_f32", "float_zp_before_round_f32", "dequantize")
    found = []
    for mode in modes:
        axes = {"requantize": mode, "multiplier": "product_f32"}
        made = [QLINEAR_MUL.compute(case, axes) for case in QLINEAR_MUL.probes("u8")]
        found.append(b"".join(m["y"].tobytes() for m in made if m))
    assert len(set(found)) == len(modes), "two modes have the same codes"


@pytest.mark.parametrize("arithmetic", [QLINEAR_ADD, QLINEAR_MUL])
def test_an_element_alone_is_the_element(arithmetic: Arithmetic) -> None:
    axes = {"add": "scale_ratios", "requantize": "float_rne", "multiplier": "product_f32"}
    assert_alone(arithmetic, "i8", axes)


def test_a_sum_in_lanes_depends_on_the_place() -> None:
    """Seventeen equal pairs: sixteen in a vector, one after it."""
    rules = ((0.1, 3), (0.0375, -121), (0.05, -5))
    pairs = all_pairs("qlinear_add", "i8", rules)
    flat = {n: pairs.inputs[n].reshape(-1) for n in "ab"}
    plain, lanes = (
        computed(QLINEAR_ADD, pairs, {"add": how}).reshape(-1)
        for how in ("tflite_shift20", "tflite_shift20_shifted_first_by_sixteen")
    )
    where = np.flatnonzero(plain != lanes)
    if not where.size:
        pytest.fail("these scales have no pair that shows it")
    a, b = (np.full(17, flat[n][where[0]]) for n in "ab")
    case = binary_case("qlinear_add", "i8", a, b, rules)
    y = computed(QLINEAR_ADD, case, {"add": "tflite_shift20_shifted_first_by_sixteen"})
    assert y[0] != y[16], f"{y}"


def test_nan_has_the_smallest_code_and_infinity_the_largest() -> None:
    v = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert real_quantized(v, (1.0, 3), (0, 255)).tolist() == [0, 255, 0], "specials"
