"""Ranges that are no ranges: each rule at its limit and beside it."""

from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import AXES, PRESETS, Contract, preset
from refquant.formats.affine import QParams, choose_qparams, fake_quantize
from refquant.formats.parameters import refusal

ONNX = preset("onnx")


def choose(lo: float, hi: float, dtype: str, contract: Contract, *, symmetric: bool) -> QParams:
    return choose_qparams(
        np.float32(lo), np.float32(hi), dtype=dtype, symmetric=symmetric, contract=contract
    )


def scale_of(lo: float, hi: float, rule: str, given: float = 1.0) -> float:
    contract = replace(ONNX, small_range=rule, zero_range_scale=float(np.float32(given)))
    return float(choose(lo, hi, "uint8", contract, symmetric=False).scale)


def above(x: float) -> float:
    return float(np.nextafter(np.float32(x), np.float32(np.inf)))


ZEROS = {
    "onnx": (1.0, 0), "ort": (1.0, 0), "tflite_reference": (1.0, 0), "torch": (2.0**-23, -128),
    "torchao": (2.0**-126, -128), "compressed_tensors": (2.0**-23, 0), "qwix": (1.0, -128),
    "fbgemm": (float(np.float32(0.1)), 127), "aimet": (float(np.float32(1e-5 / 255)), -128),
    "awq": (float(np.float32(1e-5) / np.float32(255)), -128),
}  # fmt: skip
"""int8 parameters of [0, 0], where zero has a code."""


@pytest.mark.parametrize("name", ZEROS)
def test_parameters_of_zeros_only(name: str) -> None:
    p = choose(0.0, 0.0, "int8", preset(name), symmetric=False)
    assert (float(p.scale), int(p.zero_point)) == ZEROS[name], "as the tool chooses"
    assert fake_quantize(np.float32(0), p, contract=preset(name)) == 0, "zero survives"


def test_gptq_takes_minus_one_to_one() -> None:
    """As for [-1, 1]; in uint4 -round(-1 / (2/15)): f32(2/15) is above, so 7 and not 8."""
    zeros = choose(0.0, 0.0, "uint4", preset("gptq"), symmetric=False)
    assert zeros == choose(-1.0, 1.0, "uint4", preset("gptq"), symmetric=False), "that range"
    assert (float(zeros.scale), int(zeros.zero_point)) == (float(np.float32(2 / 15)), 7), "by hand"


@pytest.mark.parametrize("name", PRESETS)
def test_no_range_is_too_small_for_a_ruler(name: str) -> None:
    for lo, hi in ((0.0, 0.0), (0.0, 1e-45), (-1e-40, 0.0), (5.0, 5.0), (-5.0, -5.0), (0.0, 1e-30)):
        for dtype in ("int8", "uint8"):
            for symmetric in (False, True):
                if refusal(dtype=dtype, symmetric=symmetric, contract=preset(name)):
                    continue
                p = choose(lo, hi, dtype, preset(name), symmetric=symmetric)
                assert np.isfinite(p.scale), f"[{lo}, {hi}]"
                assert np.abs(np.float32(p.scale)) >= 2.0**-126, f"[{lo}, {hi}]"


def test_the_limits_of_each_rule() -> None:
    """At the limit, and one float beside it; 255 steps from 0 to hi."""
    tiny, half = 255 * 2.0**-126, 2.0**-63
    assert scale_of(0, tiny, "replace") == 2.0**-126, "normal"
    assert scale_of(0, 254 * 2.0**-126, "replace") == 1.0, "subnormal"
    assert scale_of(0, 255, "floor_scale", 1.0) == 1.0, "the floor itself"
    assert scale_of(0, 254, "floor_scale", 1.0) == 1.0, "below"
    assert scale_of(0, 510, "floor_scale", 1.0) == 2.0, "above"
    assert scale_of(0, 255, "floor_width", 510.0) == 2.0, "the width is raised, not the scale"
    assert scale_of(0, 0, "unit_range") == float(np.float32(2 / 255)), "[-1, 1]"
    assert scale_of(0, 255 * half, "below_sqrt_tiny") == half, "the limit stays"
    assert scale_of(0, 254 * half, "below_sqrt_tiny") == 1.0, "below it"
    assert scale_of(0, 2.0**-24, "amax_to_2_24") == 1.0, "up to 2^-24"
    assert scale_of(0, above(2.0**-24), "amax_to_2_24") < 2.0**-24, "not beyond"
    small = float(np.float32(6.1e-5))
    assert scale_of(0, 255 * 2.0**-14, "fbgemm_limits") == 2.0**-14, "6.1035e-5 is above 6.1e-5"
    assert scale_of(0, 255 * 2.0**-15, "fbgemm_limits") == small, "raised"
    assert scale_of(0, 0, "fbgemm_limits") == 1.0, "zero_range_scale"


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 1e-9), (-1e-9, 0.0), (-1e-9, 3e-9), (-2e-9, 2e-9)])
def test_fbgemm_moves_the_ends_with_the_scale(lo: float, hi: float) -> None:
    """So zero keeps its place in the range."""
    p = choose(lo, hi, "uint8", preset("fbgemm"), symmetric=False)
    share = -lo / (hi - lo)
    assert float(p.scale) == float(np.float32(6.1e-5)), "the floor"
    assert abs(int(p.zero_point) - 255 * share) <= 0.5 + 255 * 2.0**-20, "where it was"


def test_fbgemm_does_not_move_the_ends_of_a_range_that_it_calls_zero() -> None:
    """Measured with torch 2.13.0, whose copy of the function this is: uint8, zero point 0."""
    p = choose(-1e-40, 0.0, "uint8", preset("fbgemm"), symmetric=False)
    assert (float(p.scale), int(p.zero_point)) == (float(np.float32(0.1)), 0), "only the scale"


def test_hqq_has_two_limits() -> None:
    hqq = preset("hqq")
    assert float(choose(3, 3.0000001, "uint4", hqq, symmetric=False).scale) == 1.0, "width <= 1e-4"
    p = choose(0, 2e-4, "uint4", hqq, symmetric=False)
    assert p.inverse is not None, "kept"
    assert float(p.inverse) == 2e4, "the inverse is at most 2e4"
    assert float(p.scale) == float(np.float32(5e-5)), "so the scale is at least 5e-5"


def test_every_rule_has_a_preset() -> None:
    used = {contract.small_range for contract in PRESETS.values()}
    assert used == set(AXES["small_range"]), "a rule is somebody's"
