"""Staircases: their steps against every float of a stretch, and against the exact oracle."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.atlas.stages import int8_codes
from refquant.atlas.staircase import NEVER, first_difference, gaussian_share, staircase
from refquant.contracts import PRESETS, preset
from refquant_conformance.oracle import quantize_exact

F32 = NDArray[np.float32]
Bits = NDArray[np.int64]
TENTH = float(np.float32(0.1))


def codes_of(name: str, scale: float, zero_point: int, x: F32) -> Bits:
    return int8_codes(x, scale=scale, zero_point=zero_point, contract=preset(name))


def stairs(name: str, scale: float, zero_point: int = 0) -> Bits:
    return staircase(
        lambda x: codes_of(name, scale, zero_point, x), scale=scale, qmin=-128, qmax=127
    )


@pytest.mark.parametrize("name", ["onnx", "torch", "tflite_reference", "stablehlo"])
@pytest.mark.parametrize("zero_point", [0, 3])
def test_each_code_begins_where_the_oracle_says(name: str, zero_point: int) -> None:
    axes = preset(name).to_json()
    steps = stairs(name, TENTH, zero_point)
    for side, sign in enumerate((1, -1)):
        for code in (-40, -1, 0, 1, 2, 40, 127):
            bits = int(steps[side, code + 128])
            if bits in (0, NEVER):
                continue
            pair = np.array([bits - 1, bits], np.int32).view(np.float32) * np.float32(sign)
            below, at = (
                quantize_exact(
                    float(x), scale=TENTH, zero_point=zero_point, qmin=-128, qmax=127, axes=axes
                )
                for x in pair
            )
            assert (below < code <= at) if sign > 0 else (below > code >= at), (
                f"{name}, zero point {zero_point}: T({code}) = {pair[1]!r} is no step: the oracle "
                f"has {below} just below and {at} there"
            )


def test_the_first_difference_is_the_first_of_all_floats() -> None:
    """Every float32 from 1.5 to 1.6, one by one: the bisection has jumped over none."""
    begin, end = np.array([1.5, 1.6], np.float32).view(np.int32)
    x = np.arange(begin, end, dtype=np.int32).view(np.float32)
    apart = codes_of("onnx", TENTH, 0, x) != codes_of("torch", TENTH, 0, x)
    first = first_difference(stairs("onnx", TENTH), stairs("torch", TENTH))
    assert first == float(x[apart][0]), f"{first} is not the first of {x[apart][:3]}"
    smaller = np.arange(0, begin, 97, dtype=np.int32).view(np.float32)
    same = codes_of("onnx", TENTH, 0, smaller) == codes_of("torch", TENTH, 0, smaller)
    assert same.all(), f"they differ before {first}: {smaller[~same][:3]}"


def test_the_positive_of_two_equal_magnitudes_comes_first() -> None:
    assert first_difference(stairs("onnx", 1.0), stairs("tflite_reference", 1.0)) == 0.5, "half"
    halves_down = staircase(
        lambda x: np.clip(np.ceil(x.astype(np.float64) - 0.5), -128, 127).astype(np.int64),
        scale=1.0, qmin=-128, qmax=127,
    )  # fmt: skip
    to_even = stairs("onnx", 1.0)
    assert first_difference(to_even, halves_down) == -0.5, "on 0.5 both are 0, on -0.5 -1 is lower"


def test_codes_that_nothing_reaches_are_never() -> None:
    steps = staircase(
        lambda x: np.clip(np.rint(x), -1, 1).astype(np.int64), scale=1.0, qmin=-2, qmax=2
    )
    assert steps[0].tolist()[-1] == NEVER, "no positive float has the code 2"
    assert steps[0].tolist()[:3] == [0, 0, 0], "codes to 0 are there from the start"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_monotone(name: str) -> None:
    """What bisection needs: random floats of all magnitudes, sorted, have sorted codes."""
    top = np.float32(126 if preset(name).overflow == "wrap" else 2.0**30)
    bits = np.random.default_rng(0).integers(0, top.view(np.int32), 20_000)
    x = np.sort(np.concatenate([s * bits.astype(np.int32).view(np.float32) for s in (1, -1)]))
    codes = codes_of(name, 1.0, 0, x.astype(np.float32))
    assert (np.diff(codes) >= 0).all(), f"{name}: a larger x has a smaller code"


def test_the_gaussian_share_is_the_measure_of_the_ties_interval() -> None:
    """Rounding against truncation: they differ on all [k + 1/2, k + 1), both sides."""
    cut = staircase(
        lambda x: np.clip(np.trunc(x), -128, 127).astype(np.int64), scale=1.0, qmin=-128, qmax=127
    )
    share = gaussian_share(stairs("tflite_reference", 1.0), cut)
    normal = NormalDist()
    expected = 2 * sum(normal.cdf(k + 1) - normal.cdf(k + 0.5) for k in range(40))
    # 40 differences of cdf, each to 2^-53 of a number below 1
    assert abs(share - expected) <= 2 * 40 * 2.0**-52, f"{share}, expected {expected}"
    assert gaussian_share(cut, cut) == 0, "nothing differs from itself"


def test_overlapping_intervals_count_once() -> None:
    """Codes two apart everywhere: every float above the first step differs, and P is below 1."""
    shifted = staircase(
        lambda x: np.clip(np.floor(x) + 2, -128, 127).astype(np.int64),
        scale=1.0, qmin=-128, qmax=127,
    )  # fmt: skip
    plain = staircase(
        lambda x: np.clip(np.floor(x), -128, 127).astype(np.int64), scale=1.0, qmin=-128, qmax=127
    )
    share = gaussian_share(plain, shifted)
    assert math.isclose(share, 1.0, rel_tol=0, abs_tol=1e-12), (
        f"they differ on all of the line, the share is {share}; 512 terms of 2^-53 are below 1e-12"
    )
