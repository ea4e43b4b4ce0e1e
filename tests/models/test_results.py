"""Cheap cells of the results page are measured again: the numbers there are the code's."""

import json
from pathlib import Path

import pytest

from examples.results.measure import measure
from examples.results.prepare import prepare
from examples.results.subjects import SUBJECTS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.models

CELLS = [
    ("fashion_cnn", "int4_gptq"), ("fashion_cnn", "w4a8_rotated"), ("fashion_cnn", "llm_int8"),
    ("fashion_cnn", "int8_cle"), ("g2p", "int4_hqq"),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "recipe"), CELLS)
def test_a_cell_is_what_it_was(subject: str, recipe: str) -> None:
    prepare([subject])
    known = json.loads((ROOT / "docs/concepts/results.json").read_text())["cells"]
    cell = measure(next(s for s in SUBJECTS if s.name == subject), recipe)
    then = known[subject][recipe]
    for key in ("bits", "metrics"):
        assert cell[key] == then[key], f"{key}: {cell[key]}, on the page {then[key]}"
