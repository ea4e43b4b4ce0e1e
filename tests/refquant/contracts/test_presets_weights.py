"""Golden codes of this family; what all presets have in common is in test_presets.py.

int8 codes of ``TIES`` with scale 0.1 and zero point 1 (0 where there is none); None: no code. Those
of measured presets were compared with the tool, in the version that PRESET_SOURCES names.
"""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.contracts.presets_weights import WEIGHTS
from refquant.formats.affine import choose_qparams, dequantize, quantize
from tests.refquant.contracts.preset_inputs import codes_of_ties

GOLDEN: dict[str, list[Any]] = {
    # x: -13, -0.25, -0.15, -0.05, 0.05, 0.15, 0.25, 12.65, 3e9, -3e9, inf, -inf, NaN
    "gptq": [-128, -1, -1, 1, 1, 3, 3, 127, 127, -128, 127, -128, None],
    "awq": [-128, -1, -1, 1, 1, 3, 3, 127, 127, -128, 127, -128, None],
    "hqq": [-128, -2, 0, 0, 2, 2, 4, 127, 127, -128, 127, -128, 0],
    "mlx": [-128, -1, -1, 1, 1, 3, 3, 127, 127, -128, 127, -128, 0],
    "ggml": [126, -3, -2, -1, 1, 2, 3, 127, 0, 0, 0, 0, 0],
}  # fmt: skip


def test_the_family() -> None:
    assert [entry.contract.name for entry in WEIGHTS] == list(GOLDEN), "these, in this order"


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_codes(name: str) -> None:
    assert codes_of_ties(name) == GOLDEN[name], "bit for bit"


def test_ggml_is_q8_0_of_gguf() -> None:
    """gguf 0.19, NumPy: codes, the stored scale, and reals, around every tie of random blocks."""
    quants = pytest.importorskip("gguf.quants", reason="the outsider")
    q8_0 = pytest.importorskip("gguf", reason="the outsider").GGMLQuantizationType.Q8_0
    rng = np.random.default_rng(0)
    for power in rng.uniform(-4, 4, 200):
        amax = np.float32(10.0**power)
        inner = (rng.integers(-127, 127, 31) + 0.5) * (amax / np.float32(127))
        x = np.append(inner, amax).astype(np.float32)
        block = quants.quantize(x[None], q8_0)
        p = choose_qparams(x.min(), x.max(), dtype="int8", symmetric=True, contract=preset("ggml"))
        codes = quantize(x, p, contract=preset("ggml"))
        assert block[0, :2].view(np.float16)[0] == np.float16(p.scale), "d, stored as float16"
        assert codes.tolist() == block[0, 2:].view(np.int8).tolist(), f"codes with d {p.scale}"
        reals = quants.dequantize(block, q8_0)[0]
        np.testing.assert_array_equal(dequantize(codes, p), reals, err_msg="reals")


NUDGED = [
    # x0, x1: range; then scale, zero point, codes of [x0, x1, 0.05]: llm-awq and gptq, run once
    ("awq", 1.0, 2.0, 1 / 15, 0, [15, 15, 1]),
    ("awq", 5.0, 5.0, 1e-5 / 15, 0, [15, 15, 15]),
    ("awq", -2.0, -1.0, 1 / 15, 15, [0, 0, 15]),
    ("gptq", 1.0, 2.0, 2 / 15, 0, [7, 15, 0]),
    ("gptq", -1.0, 0.5, 1.5 / 15, 10, [0, 15, 10]),
]


@pytest.mark.parametrize(("name", "lo", "hi", "scale", "zero_point", "codes"), NUDGED)
def test_ranges_without_zero(
    name: str, lo: float, hi: float, scale: float, zero_point: int, codes: list[int]
) -> None:
    """AWQ loses a group that does not hold zero; GPTQ widens it."""
    p = choose_qparams(
        np.float32(lo), np.float32(hi), dtype="uint4", symmetric=False, contract=preset(name)
    )
    assert abs(float(p.scale) - scale) <= scale * 2.0**-23, "two roundings of float32 at most"
    assert int(p.zero_point) == zero_point, "the zero point"
    x = np.array([lo, hi, 0.05], np.float32)
    assert quantize(x, p, contract=preset(name)).tolist() == codes, "the codes"
