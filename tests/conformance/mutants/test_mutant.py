"""What a planted bug is: honest unless it says otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.mutants import MUTANTS, by_name
from refquant_conformance.mutants.mutant import Mutant
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Case, Result


def test_without_a_change_a_mutant_is_honest() -> None:
    made = Result({"y": np.zeros(1)})
    mutant = Mutant("none", "no bug", "-", "X-01", "quantize_linear", ("f32_u8",))
    assert mutant.run(Case("quantize_linear", "f32_u8", {}), lambda case: made) is made, "changed"


def test_every_mutant_is_of_cells_that_exist_and_names_one_property() -> None:
    for name, mutant in MUTANTS.items():
        assert name == mutant.name, f"{name} is listed under another name"
        assert mutant.sentence, f"{name} does not say what is wrong"
        assert mutant.schemes, f"{name} is of no cell"
        for scheme in mutant.schemes:
            types_of(mutant.op, scheme)  # raises for what the catalogue does not have


def test_a_name_is_of_one_mutant() -> None:
    one, other = (MUTANTS[name] for name in ("half_away", "first_term"))
    assert by_name([one, other, one]) == {one.name: one, other.name: other}, "the same one is one"
    with pytest.raises(ValueError, match="two mutants are called 'half_away'"):
        by_name([one, replace(other, name="half_away")])
