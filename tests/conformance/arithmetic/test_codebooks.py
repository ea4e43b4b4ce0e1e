"""Codebooks: the ends of levels (test_layers holds them against the oracle)."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.codebooks import CODEBOOKS, codebook_case, cuts_of


@pytest.mark.parametrize(("scheme", "cut"), [("nf4", 15), ("bnb_fp4", 15)])
def test_levels_have_two_ends_each_by_two_rules(scheme: str, cut: int) -> None:
    cuts = cuts_of(scheme)
    assert cuts.dtype == np.float32, "compared in float32"
    assert np.unique(cuts).size > cut, "both rules agree everywhere: nothing to tell apart"
    assert (np.diff(cuts) >= 0).all(), "ascending"


def test_a_value_at_the_end_of_a_level_belongs_to_it() -> None:
    x = np.zeros(64, np.float32)
    x[:3] = 1.0, 0.8614783883094788, np.nextafter(np.float32(0.8614783883094788), np.float32(1))
    made = CODEBOOKS.compute(codebook_case("nf4", x), {"cuts": "literals"})
    assert made is not None, "refused"
    assert made["y"][:3].tolist() == [15, 14, 15], "0.861478388 is the last of level 14"
