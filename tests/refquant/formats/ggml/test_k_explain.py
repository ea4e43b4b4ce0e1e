"""The cards of K-quants: their steps are those of the encoder."""

import numpy as np
import pytest

from refquant.formats.ggml.blocks import from_half
from refquant.formats.ggml.types import ggml_type
from tests.refquant.formats.ggml.k_quants import HALVES, MODULES, corpus


@pytest.mark.parametrize("name", MODULES)
def test_every_kind_of_block_can_be_explained(name: str) -> None:
    card = MODULES[name].CARD
    for label, x in corpus(1).items():
        if np.abs(x).max() < 1e6:  # beyond, sums may overflow, which encode refuses
            steps = card.explain(x[0])
            assert len(steps) >= 256 + 4, f"{label}: {len(steps)} steps"
    with pytest.raises(ValueError, match="1 to 256 values"):
        card.explain(np.zeros(257, np.float32))


@pytest.mark.parametrize("name", MODULES)
def test_the_steps_hold_the_stored_scales(name: str) -> None:
    x = np.array([0.3, -1.2, 2.5], np.float32)
    data = MODULES[name].encode(np.concatenate([x, np.zeros(253, np.float32)]))
    steps = {step.what: step for step in MODULES[name].CARD.explain(x)}
    for what, at in zip(("d", "dmin"), HALVES[name], strict=False):
        stored = float(from_half(data[at : at + 2]))
        assert float(steps[what].result) == pytest.approx(stored, rel=1e-8, abs=0), (
            f"{what}: nine digits of {stored}"
        )
    scale, step = steps["s[0]"].result.split(": one step is ")
    exact = int(scale) * float(from_half(data[HALVES[name][0] :][:2]))
    assert float(step) == float(f"{exact:.9g}"), f"{scale} times d, nine digits of {exact}"
    assert "s[1]" not in steps, "padding is not explained"


@pytest.mark.parametrize("name", MODULES)
def test_a_card_says_the_sizes_of_the_type(name: str) -> None:
    card, kind = MODULES[name].CARD, ggml_type(name)
    assert (card.name, card.block_size) == (name, 256), "name and block"
    assert card.bits_per_value == kind.bits_per_weight, "bits a weight"
    assert f"..{kind.block_bytes - 1}: " in card.layout, "the layout ends where the block ends"
