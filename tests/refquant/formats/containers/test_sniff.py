"""Sniffers: right where they speak, silent where they cannot know, and as sure as they say."""

from typing import Any

import numpy as np
import pytest

from refquant.formats.containers import awq, compressed_tensors, gptq
from refquant.formats.containers.sniff import (
    CERTAIN,
    Verdict,
    compressed_tensors_layout,
    gptq_zero_rule,
    nvfp4_scale_direction,
    weight_layout,
)

Array = np.ndarray[Any, Any]


def stored(zeros: Array, rule: str, num_bits: int = 4) -> Array:
    return gptq.pack_zeros(zeros, num_bits=num_bits, rule=rule)


@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
@pytest.mark.parametrize("rule", ["v1", "v2"])
def test_symmetric_zeros_are_told_exactly(num_bits: int, rule: str) -> None:
    zeros = np.full((32, 2), 1 << num_bits - 1)
    told = gptq_zero_rule(stored(zeros, rule, num_bits), num_bits=num_bits, symmetric=True)
    assert (told.verdict, told.confidence) == (rule, 1.0), f"{told}"
    guess = gptq_zero_rule(stored(zeros, rule, num_bits), num_bits=num_bits)
    assert guess.verdict == rule, f"{guess}"
    # 64 equal fields of an asymmetric one: at most 2^-64, which float64 rounds away
    assert guess.confidence == 1 - 2.0**-53, f"possible, so not 1: {guess}"


def asymmetric_zeros(seed: int, num_bits: int, *, skew: float) -> Array:
    """Zero points as GPTQ finds them: of groups of 128 weights, the range with 0 in it."""
    rng = np.random.default_rng(seed)
    kind = (rng.normal, rng.laplace)[seed % 2]
    weights = kind(skew, 1, (256, 8, 128))
    low, high = np.minimum(weights.min(2), 0), np.maximum(weights.max(2), 0)
    top = (1 << num_bits) - 1
    return np.asarray(np.clip(np.round(-low * top / (high - low)), 1, top), np.int64)


@pytest.mark.parametrize("num_bits", [2, 3, 4])
@pytest.mark.parametrize("rule", ["v1", "v2"])
def test_asymmetric_zeros_are_told_by_their_mean(num_bits: int, rule: str) -> None:
    for seed in range(10):
        qzeros = stored(asymmetric_zeros(seed, num_bits, skew=0), rule, num_bits)
        told = gptq_zero_rule(qzeros, num_bits=num_bits, symmetric=False)
        assert told.verdict == rule, f"{seed}: {told}"
        assert CERTAIN <= told.confidence < 1, f"a likelihood is no proof: {told}"


@pytest.mark.parametrize("rule", ["v1", "v2"])
@pytest.mark.parametrize("skew", [-0.2, -0.05, 0.05, 0.2])
def test_skewed_weights_mislead_only_to_silence_or_truth(rule: str, skew: float) -> None:
    """A mean of 0.2 standard deviations over a whole layer moves zero points by half a step."""
    for seed in range(4):
        told = gptq_zero_rule(stored(asymmetric_zeros(seed, 4, skew=skew), rule), num_bits=4)
        assert told.verdict in (rule, "unknown"), f"{seed}: {told}"


def test_a_mean_beyond_the_assumption_misleads() -> None:
    """0.4 standard deviations: if this is no longer so, the table of the concept page is old."""
    told = [
        gptq_zero_rule(stored(asymmetric_zeros(seed, 4, skew=-0.4), "v1"), num_bits=4).verdict
        for seed in (0, 2, 4)
    ]
    assert "v2" in told, f"{told}"


def test_a_skew_of_half_a_step_defeats_the_mean_and_that_is_known() -> None:
    """v2 zeros one step low look like v1: the model says so, by its tau; no statistic can tell."""
    zeros = np.tile(np.array([[6, 7], [7, 6]]), (16, 1))  # mean 6.5
    told = gptq_zero_rule(stored(zeros, "v2"), num_bits=4)
    assert told.verdict == "v1", f"wrong, and it says why: {told}"
    assert "the mean" in told.reason, f"{told}"


def test_what_cannot_be_told_is_unknown() -> None:
    eight = asymmetric_zeros(0, 8, skew=0)
    cases = [
        (stored(eight, "v1", 8), 8, None, "only 0.5"),
        (stored(np.tile([[7], [8]], (16, 1)), "v2"), 4, None, ""),  # mean 7.5: v2
        (stored(np.full((32, 1), 3), "v2"), 4, None, "neither 7 nor 8"),
        (stored(np.tile([[7], [8]], (16, 1)), "v2"), 4, True, "said to be symmetric, but"),
        (np.zeros((0, 4), np.int32), 4, None, "there are no zeros"),
    ]
    for qzeros, num_bits, symmetric, reason in cases:
        told = gptq_zero_rule(qzeros, num_bits=num_bits, symmetric=symmetric)
        if not reason:
            assert told.verdict == "v2", f"{told}"
            continue
        assert (told.verdict, told.confidence) == ("unknown", 0.0), f"{told}"
        assert reason in told.reason, f"{told}"


def test_equal_zeros_that_are_said_to_be_asymmetric_are_judged_by_their_mean() -> None:
    told = gptq_zero_rule(stored(np.full((32, 1), 8), "v2"), num_bits=4, symmetric=False)
    assert told.verdict == "v2", f"8 is nearer to 7.5 than to 6.5: {told}"
    assert told.confidence < 1, f"and that is no proof: {told}"


@pytest.mark.parametrize("num_bits", range(1, 9))
@pytest.mark.parametrize("axis", [-1, -2])
def test_layouts_are_told_for_every_length(num_bits: int, axis: int) -> None:
    """Never the wrong one; ``same`` only where the words are the same."""
    rng = np.random.default_rng(num_bits)
    half = 1 << num_bits - 1
    for count in range(1, 100):
        shape = (3, count) if axis == -1 else (count, 3)
        codes = rng.integers(-half, half, shape)
        words = {
            layout: compressed_tensors.pack(codes, num_bits=num_bits, layout=layout, axis=axis)
            for layout in ("dense", "padded")
        }
        equal = words["dense"].tolist() == words["padded"].tolist()
        for layout, packed in words.items():
            told = compressed_tensors_layout(packed, num_bits=num_bits, shape=shape, axis=axis)
            right = {"same"} if equal else {layout, "unknown"}
            assert told.verdict in right, f"{count} codes, {layout}: {told}"
            assert told.confidence == (told.verdict != "unknown"), f"exact or nothing: {told}"
            other = len({w.shape for w in words.values()}) > 1
            assert not other or told.verdict == layout, f"the shape tells: {told}"


def test_short_rows_are_told_by_bits_that_must_be_zero() -> None:
    codes = np.full((1, 12), 3)
    for layout in ("dense", "padded"):
        packed = compressed_tensors.pack(codes, num_bits=3, layout=layout)
        told = compressed_tensors_layout(packed, num_bits=3, shape=(1, 12))
        assert told.verdict == layout, f"{told}"
    nothing = np.zeros((1, 2), np.int32)
    told = compressed_tensors_layout(nothing, num_bits=3, shape=(1, 12))
    assert told.verdict == "unknown", f"all zero: {told}"
    both = np.full((1, 2), -1, np.int32)
    told = compressed_tensors_layout(both, num_bits=3, shape=(1, 12))
    assert "neither leaves the bits zero" in told.reason, f"{told}"
    told = compressed_tensors_layout(nothing, num_bits=3, shape=(1, 100))
    assert told == Verdict(
        "unknown", 0.0, "100 codes of 3 bits are 10 words dense, 10 padded; there are 2"
    ), f"{told}"
    with pytest.raises(ValueError, match="packed must be int32 with the axes of"):
        compressed_tensors_layout(nothing[0], num_bits=3, shape=(1, 12))


@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize(("n", "k"), [(512, 512), (1024, 256), (256, 1024), (4096, 11008)])
def test_whose_weight_it_is_by_its_shape(n: int, k: int, group_size: int) -> None:
    groups = k // group_size
    width = awq.pack_zeros(np.zeros((1, groups), int), layout="gemv", group_size=group_size).size
    for verdict, weight, scales in (
        ("gptq", (k // 8, n), (groups, n)),
        ("awq_gemm", (k, n // 8), (groups, n)),
        ("awq_gemv", (n, k // 8), (n, 8 * width)),
    ):
        told = weight_layout(weight, scales)
        assert told.verdict in (verdict, "unknown"), f"({n}, {k}), {group_size}: {told}"
        assert told.verdict == verdict or " and " in told.reason.split("fit")[1], f"{told}"
        assert (n, k) != (4096, 11008) or told.verdict == verdict, f"a real layer: {told}"
    assert "fit no layout" in weight_layout((5, 7), (3, 11)).reason, "none"


def test_verdicts_are_right_as_often_as_they_say() -> None:
    """Data drawn from the very models: of the claims, at most one in twenty is wrong."""
    rng = np.random.default_rng(11)
    claims, errors = 0, 0
    for _ in range(300):
        pull, rule = rng.normal(0, 16 / 64), ("v1", "v2")[rng.integers(2)]
        zeros = np.clip(np.round(rng.normal(7.5 + pull, 1.5, (32, 8))), 1, 15).astype(int)
        told = gptq_zero_rule(stored(zeros, rule), num_bits=4, symmetric=False)
        claims += told.verdict != "unknown"
        errors += told.verdict not in (rule, "unknown")
    for _ in range(300):
        amax, inverse = np.exp(rng.normal(0, 3)), rng.integers(2)
        g = 2688 / amax if inverse else amax / 2688
        told = nvfp4_scale_direction(g, block_scales=np.array([448.0], np.float32))
        claims += told.verdict != "unknown"
        errors += told.verdict not in (("multiplier", "inverse")[inverse], "unknown")
    assert claims > 400, f"mostly they know: {claims}"
    assert errors <= claims / 20, f"{errors} of {claims} are wrong"


@pytest.mark.parametrize("amax", [0.01, 0.1, 1.0, 8.0, 100.0])
def test_the_direction_of_nvfp4_scales(amax: float) -> None:
    """Both producers of one tensor: g = amax / 2688 multiplies, 2688 / amax divides."""
    scales = np.array([448.0, 30.0, 0.0], np.float32)
    g = amax / (448 * 6)
    for told, direction in (
        (nvfp4_scale_direction(g, block_scales=scales), "multiplier"),
        (nvfp4_scale_direction(1 / g, block_scales=scales), "inverse"),
    ):
        assert told.verdict == direction, f"{amax}: {told}"
        assert CERTAIN <= told.confidence < 1, f"a likelihood is no proof: {told}"
    known = nvfp4_scale_direction(1 / g, block_scales=scales, amax=amax)
    assert (known.verdict, known.confidence) == ("inverse", 1.0), f"{known}"


def test_a_scale_near_one_tells_nothing() -> None:
    scales = np.array([448.0], np.float32)
    assert nvfp4_scale_direction(1.0, block_scales=scales).verdict == "unknown", "exactly one"
    for g in (0.6, 1.6):
        told = nvfp4_scale_direction(g, block_scales=scales)
        assert (told.verdict, told.confidence) == ("unknown", 0.0), f"{g}: {told}"
    told = nvfp4_scale_direction(1.0, block_scales=scales, amax=2688.0)
    assert "fits both" in told.reason, f"{told}"
    told = nvfp4_scale_direction(1.0, block_scales=scales, amax=1.0)
    assert "fits neither" in told.reason, f"{told}"


def test_what_is_no_scale_is_refused() -> None:
    scales = np.array([448.0], np.float32)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="global_scale must be positive and finite"):
            nvfp4_scale_direction(bad, block_scales=scales)
        with pytest.raises(ValueError, match="the largest must be positive and finite"):
            nvfp4_scale_direction(1.0, block_scales=np.array([bad], np.float32))


def test_a_verdict_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Verdict("v1", 1.0, "").verdict = "v2"  # type: ignore[misc]  # that is what is tested
