"""Golden codes of this family; what all presets have in common is in test_presets.py.

int8 codes of ``TIES`` with scale 0.1 and zero point 1 (0 where there is none); None: no code. Those
of measured presets were compared with the tool, in the version that PRESET_SOURCES names.
"""

from typing import Any

import pytest

from refquant.contracts.presets_tflite import TFLITE
from tests.refquant.contracts.preset_inputs import codes_of_ties

GOLDEN: dict[str, list[Any]] = {
    # x: -13, -0.25, -0.15, -0.05, 0.05, 0.15, 0.25, 12.65, 3e9, -3e9, inf, -inf, NaN
    "xnnpack": [-128, -1, -1, 1, 1, 3, 3, 127, 127, -128, 127, -128, 127],
    "tflite_reference": [-128, -2, -1, 0, 2, 3, 4, 127, -128, -128, -128, -128, -128],
    "tflite_reference_fc": [-128, -2, -1, 0, 2, 3, 4, 127, -128, -128, -128, -128, -128],
    "tflite_int16": [-128, -2, -1, 0, 2, 3, 4, 127, -128, -128, -128, -128, -128],
    "tflite_mul": [-128, -2, -1, 0, 2, 3, 4, 127, -128, -128, -128, -128, -128],
    "tflite_builtin": [-128, -1, -1, 1, 1, 3, 3, 127, -128, -128, -128, -128, -128],
}  # fmt: skip


def test_the_family() -> None:
    assert [entry.contract.name for entry in TFLITE] == list(GOLDEN), "these, in this order"


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_codes(name: str) -> None:
    assert codes_of_ties(name) == GOLDEN[name], "bit for bit"
