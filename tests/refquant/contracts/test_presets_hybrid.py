"""Golden codes of this family, as in test_presets_tflite.py; its layers: ops/test_dynamic_range."""

from typing import Any

import pytest

from refquant.contracts.presets_hybrid import HYBRID
from refquant.ops.dynamic_range import ORDERS
from tests.refquant.contracts.preset_inputs import codes_of_ties

_TFLITE = [-128, -2, -1, 0, 2, 3, 4, 127, -128, -128, -128, -128, -128]
GOLDEN: dict[str, list[Any]] = {
    # x: -13, -0.25, -0.15, -0.05, 0.05, 0.15, 0.25, 12.65, 3e9, -3e9, inf, -inf, NaN
    "tflite_hybrid": _TFLITE,
    "tflite_hybrid_conv": _TFLITE,
    "tflite_hybrid_depthwise": _TFLITE,
    "xnnpack_hybrid": [-128, -1, -1, 1, 1, 3, 3, 127, 127, -128, 127, -128, 127],
}


def test_the_family() -> None:
    assert [entry.contract.name for entry in HYBRID] == list(GOLDEN), "these, in this order"
    assert sorted(e.contract.requantize for e in HYBRID) == sorted(ORDERS), "one each"


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_codes(name: str) -> None:
    assert codes_of_ties(name) == GOLDEN[name], "bit for bit"
