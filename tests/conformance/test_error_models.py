"""Every bound has a line that says what it is, holds, and is nearly attained."""

from fractions import Fraction

import numpy as np
import pytest

from refquant_conformance.arithmetic.layer_norm import LAYER_NORM, norm_case
from refquant_conformance.error_models import (
    MODELS,
    em_dot_seq,
    em_layer_norm,
    em_lut,
    em_qdq,
    em_qps,
    em_softmax,
    em_weights,
)


def test_every_model_has_a_function_and_a_line() -> None:
    assert {"EM-QDQ", "EM-QPS"} <= set(MODELS), f"{sorted(MODELS)}"
    assert all(MODELS.values()), "a model says nothing"


@pytest.mark.parametrize("scale", [1.0, float(np.float32(1 / 3)), float(np.float32(0.003))])
def test_qdq_is_nearly_attained_at_a_tie_and_holds_for_a_reciprocal(scale: float) -> None:
    steps = np.arange(0.5, 250)
    x = (steps * scale).astype(np.float32)
    codes = np.rint(x * np.float32(np.float32(1) / np.float32(scale)))
    off = np.abs(codes.astype(np.float64) * scale - x.astype(np.float64))
    ratio = off / em_qdq(x.astype(np.float64), scale, 0)
    assert ratio.max() <= 1, f"the bound is exceeded: {ratio.max()}"
    assert ratio.max() >= 0.25, f"nothing comes near the bound: {ratio.max()}"


def test_qps_is_nearly_attained_by_a_range_whose_zero_is_a_tie() -> None:
    """[-2.5, 252.5] in 255 steps: the zero point 2 or 3 moves an end by half a scale."""
    loss = Fraction(1, 2)
    ratio = float(loss) / em_qps(252.5, 1.0)
    assert 0.25 <= ratio <= 1, f"{ratio}"


def test_a_dot_product_in_order_nears_its_bound_where_every_sum_is_rounded_one_way() -> None:
    """A large term first, then terms that each lose nearly half a unit in the last place."""
    products = np.array([1.0, *[2.0**-24 * (1 - 2.0**-20)] * 400])
    total = np.float32(0)
    for term in products:
        total = np.float32(total + np.float32(term))
    ratio = abs(float(total) - products.sum()) / float(em_dot_seq(products))
    assert 0.25 <= ratio <= 1, f"{ratio}"


def test_a_product_of_weights_nears_its_bound_where_every_sum_is_rounded_one_way() -> None:
    """Weight 1, then weights that each are nearly half a unit in the last place of the sum."""
    weights = np.array([1.0, *[2.0**-24 * (1 - 2.0**-20)] * 400])
    total = np.float32(0)
    for weight in weights:
        total = np.float32(total + np.float32(weight))
    ratio = abs(float(total) - weights.sum()) / float(em_weights(weights.sum(), len(weights)))
    assert 0.25 <= ratio <= 1, f"{ratio}"


def test_a_layer_norm_nears_its_bound_where_every_sum_of_the_mean_is_rounded_one_way() -> None:
    """A row of 1 and of what is lost in its sum: the mean is off, and all elements with it."""
    row = np.array([1.0, *[2.0**-24 * (1 - 2.0**-20)] * 63], np.float32)
    case = norm_case(row[None], np.ones(64), None, 1e-12)
    axes = {"sums": "ordered", "variance": "two_pass", "inverse": "reciprocal"}
    made = LAYER_NORM.compute(case, axes)
    assert made is not None, "refused"
    x = row.astype(np.float64)[None]
    true = (x - x.mean()) / np.sqrt(x.var() + 1e-12)
    ratio = np.abs(made["y"] - true) / em_layer_norm(x, np.ones(64), np.zeros(64), 1e-12)
    assert 0.25 <= ratio.max() <= 1, f"{ratio.max()}"


@pytest.mark.parametrize("model", ["EM-LUT", "EM-SOFTMAX"])
def test_half_a_step_is_nearly_all_of_the_bounds_of_codes(model: str) -> None:
    bound = (
        em_lut(np.array([0.5]), 1 / 256, 0)
        if model == "EM-LUT"
        else em_softmax(np.array([0.5]), 1 / 256, np.array([4.0]), 4)
    )
    ratio = 0.5 / float(bound.reshape(-1)[0])
    assert 0.99 <= ratio <= 1, f"a tie is {ratio} of the bound"
