"""The reference's methods behind the protocol: what is listed is computed."""

import pytest

from refquant_conformance.adapters.reference import Reference
from refquant_conformance.adapters.reference_methods import METHODS, method_cells, saved
from refquant_conformance.adapters.samples import sample
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.answers import well_formed
from refquant_conformance.conversation import answer
from refquant_conformance.protocol import Unsupported


def test_what_is_listed_is_computed_in_the_types_of_the_catalogue() -> None:
    assert {cell.op for cell in method_cells()} == set(METHODS), "an operator of no scheme"
    for cell in method_cells():
        case = sample(cell.op, cell.scheme)
        found = well_formed(case, answer(Reference().run, case))
        assert found.kind == "result", f"{cell}: {found.reason}"


def test_what_is_not_listed_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="writes rq and gguf, not onnx"):
        Reference().run(sample("save", "onnx"))


@pytest.mark.parametrize("name", ["rq", "gguf"])
def test_a_file_that_is_written_again_is_the_same(name: str) -> None:
    assert saved(name, seed_file(name)) == seed_file(name), f"{name} has another canonical form"
