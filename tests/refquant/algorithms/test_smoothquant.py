"""SmoothQuant: the scale, what it changes, what it gains, and what it refuses."""

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.smoothquant import quantize_absmax, smooth, smoothing_scale

F32 = NDArray[np.float32]


def _f32(*values: float) -> F32:
    return np.array(values, np.float32)


def _w8a8_error(x: F32, w: F32, wanted: NDArray[np.float64], per: str) -> float:
    qx = quantize_absmax(x, num_bits=8, per=per).dequantize().astype(np.float64)
    qw = quantize_absmax(w, num_bits=8, per="row").dequantize().astype(np.float64)
    return float(((qx @ qw.T - wanted) ** 2).mean())


@pytest.mark.parametrize("per", ["row", "tensor"])
def test_outlier_channels_make_smoothing_better_than_plain_w8a8(per: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        u = rng.normal(size=(64, 48)).astype(np.float32)
        w = (rng.normal(size=(32, 48)) / 7).astype(np.float32)
        gain, bias = np.ones(48, np.float32), np.zeros(48, np.float32)
        gain[[5, 30]] = 60  # the norm makes two channels 60 times larger, for every token
        x = u * gain
        wanted = x.astype(np.float64) @ w.T.astype(np.float64)
        plain = _w8a8_error(x, w, wanted, per)
        for alpha, most in ((0.5, 0.1), (0.85, 0.5)):
            s = smooth(gain, bias, [w], np.abs(x).max(axis=0), alpha=alpha)
            smoothed = _w8a8_error(u * s.norm_weight, s.weights[0], wanted, per)
            assert smoothed < most * plain, f"seed {seed}, alpha {alpha}: {smoothed} of {plain}"


def test_without_outliers_nothing_much_is_gained() -> None:
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=s).astype(np.float32) for s in ((64, 48), (32, 48)))
    wanted = x.astype(np.float64) @ w.T.astype(np.float64)
    s = smooth(np.ones(48, np.float32), None, [w], np.abs(x).max(axis=0), alpha=0.5)
    ratio = _w8a8_error(x * s.norm_weight, s.weights[0], wanted, "row")
    ratio /= _w8a8_error(x, w, wanted, "row")
    assert 0.6 < ratio < 1.2, f"ratio {ratio}: the witness above is about the outliers"


def test_the_scale_is_the_papers_to_the_last_bit() -> None:
    x = _f32(0, 1e-30, 0.3, 1, 77, 3e38)
    w, v = _f32(1, 0, 2, 1e-9, 0.1, 5)[None, :], _f32(-3, 0, 1, 0, -0.7, 2)[None, :]
    largest = np.maximum(np.abs(np.concatenate([w, v])).max(axis=0), np.float32(1e-5)).tolist()
    for alpha in (0.0, 0.25, 0.5, 0.85, 1.0):
        got = smoothing_scale(x, [w, v], alpha=alpha)
        for j in range(6):
            with localcontext() as context:
                context.prec = 60
                zero = Decimal(int(alpha == 0))
                top = Decimal(float(x[j])) ** Decimal(alpha) if x[j] else zero
                below = Decimal(largest[j]) ** Decimal(1 - alpha)
            ratio = np.float32(float(top)) / np.float32(float(below))
            expected = max(ratio, np.float32(1e-5))
            assert got[j] == expected, f"alpha {alpha}, channel {j}: {got[j]} for {expected}"


def test_at_one_half_both_sides_have_the_same_maxima() -> None:
    """Powers of four make every step exact: max |x_j| = max |w_j| = sqrt of the product."""
    x, w = _f32(64, 4, 1, 0.25), np.array([[1, 16, 4, 1 / 64], [0.5, -1, 2, 0]], np.float32)
    s = smooth(np.ones(4, np.float32), None, [w], x, alpha=0.5)
    assert (x * s.norm_weight).tolist() == [8, 8, 2, 0.0625], "the activations"
    assert np.abs(s.weights[0]).max(axis=0).tolist() == [8, 8, 2, 0.0625], "and the weights"


def test_the_ends_of_alpha() -> None:
    x, w = _f32(8, 2, 0.5), np.array([[4, 1, 0.25]], np.float32)
    one = np.ones(3, np.float32)
    all_to_weights = smooth(one, None, [w], x, alpha=1.0)
    assert (x * all_to_weights.norm_weight).tolist() == [1, 1, 1], "alpha = 1 flattens x"
    all_to_inputs = smooth(one, None, [w], x, alpha=0.0)
    assert all_to_inputs.weights[0].tolist() == [[1, 1, 1]], "alpha = 0 flattens w"


def test_readers_of_one_input_share_the_scale() -> None:
    rng = np.random.default_rng(5)
    w, x = rng.normal(size=(9, 4)).astype(np.float32), _f32(1, 2, 3, 4)
    whole = smooth(x, x, [w], x, alpha=0.5)
    parts = smooth(x, x, [w[:2], w[2:5], w[5:]], x, alpha=0.5)
    assert np.array_equal(whole.scale, parts.scale), "the maximum is over all rows"
    assert np.array_equal(whole.weights[0], np.concatenate(parts.weights)), "as one matrix"


def test_a_channel_that_calibration_did_not_show_is_made_100000_times_larger() -> None:
    s = smooth(_f32(1, 1), None, [_f32(1, 1)[None, :]], _f32(0, 1), alpha=0.5)
    assert s.norm_weight[0] == np.float32(1) / np.float32(1e-5), "as the authors' code does"


def test_rounding_is_to_nearest_even_of_a_step_that_the_largest_defines() -> None:
    x = _f32(127, 0.5, 1.5, 2.5, -0.5, -126.5, 0)[None, :]
    assert quantize_absmax(x, num_bits=8, per="row").codes.tolist() == [
        [127, 0, 2, 2, 0, -126, 0]
    ], "ties go to the even code"
    rng = np.random.default_rng(6)
    for bits in range(2, 9):
        x = rng.normal(size=(4, 33)).astype(np.float32)
        q = quantize_absmax(x, num_bits=bits, per="row")
        top = 2 ** (bits - 1) - 1
        assert np.abs(q.codes).max(axis=1).tolist() == [top] * 4, "each row uses its ruler's end"
        for i in range(4):
            step = np.float32(float(Fraction(float(np.abs(x[i]).max())) / top))
            assert q.scale[i, 0] == step, f"row {i}"
            for j in range(33):
                v = float(np.float32(float(Fraction(float(x[i, j])) / Fraction(float(step)))))
                assert q.codes[i, j] == round(v), f"{bits} bits, {i}, {j}: round() is half to even"


def test_one_scale_for_all_is_the_largest_row() -> None:
    x = np.array([[1, 2], [127, 3]], np.float32)
    q = quantize_absmax(x, num_bits=8, per="tensor")
    assert q.codes.tolist() == [[1, 2], [127, 3]], "the codes of 127 / 127"
    assert q.scale.tolist() == [[1], [1]], "the same for every row"


def test_zeros_denormals_and_no_rows() -> None:
    x = np.array([[0, 0], [1e-40, -1e-42], [2e-6, -4e-6]], np.float32)
    q = quantize_absmax(x, num_bits=8, per="row")
    assert q.codes.tolist() == [[0, 0], [0, 0], [25, -51]], "the step is at least 1e-5 / 127"
    assert quantize_absmax(x[:0], num_bits=8, per="row").codes.shape == (0, 2), "no token"


def test_what_has_no_meaning_is_refused() -> None:
    w, x, nan = np.ones((2, 3), np.float32), _f32(1, 2, 3), _f32(1, np.nan, 1)
    kinds: dict[str, Any] = {"alpha": 0.5}
    for call, words in (
        (lambda: smoothing_scale(nan, [w], **kinds), "max_abs must be"),
        (lambda: smoothing_scale(-x, [w], **kinds), "max_abs must be"),
        (lambda: smoothing_scale(w, [w], **kinds), "max_abs must be"),
        (lambda: smoothing_scale(x, [], **kinds), "one or more"),
        (lambda: smoothing_scale(x, [w[:, :2]], **kinds), r"one or more \(n, 3\)"),
        (lambda: smoothing_scale(x, [nan[None, :]], **kinds), "weights must be finite"),
        (lambda: smoothing_scale(x, [w], alpha=1.5), r"alpha must be in \[0, 1\], got 1.5"),
        (lambda: smoothing_scale(x, [w], alpha=float("nan")), "alpha must be"),
        (lambda: smooth(x[:2], None, [w], x, **kinds), "as many elements"),
        (lambda: quantize_absmax(w, num_bits=8, per="group"), "per must be one of row, tensor"),
        (lambda: quantize_absmax(w, num_bits=1, per="row"), "num_bits must be in 2..8, got 1"),
        (lambda: quantize_absmax(nan[None, :], num_bits=8, per="row"), "x must be finite"),
        (lambda: quantize_absmax(x, num_bits=8, per="row"), "x must be finite float32"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
