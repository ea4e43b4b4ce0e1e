"""The calls of PyTorch stand alone: a program that repeats a case is these four files."""

import pytest

from refquant_conformance.adapters import (
    library,
    torch,
    torch_calls,
    torch_kernels,
    torch_quantizers,
    torch_tensors,
)
from tests.conformance.adapters.standing import foreign_imports

PARTS = (torch_tensors, torch_quantizers, torch_kernels)


@pytest.mark.parametrize("part", [*PARTS, torch_calls], ids=lambda part: part.__name__)
def test_it_imports_nothing_but_numpy_and_its_parts(part) -> None:  # type: ignore[no-untyped-def]  # parametrized
    assert foreign_imports(part) <= {"refquant_conformance"}, "a program needs more"
    for name in vars(part):
        home = getattr(getattr(part, name), "__module__", part.__name__)
        if home.startswith("refquant_conformance"):
            assert home in {one.__name__ for one in (*PARTS, torch_calls)}, f"{name} of {home}"


def test_the_sheet_names_the_parts_in_the_order_of_their_needs() -> None:
    assert torch._SHEET.parts == tuple(part.__name__ for part in PARTS), "as they stand here"


def test_a_program_of_the_parts_needs_nothing_of_ours() -> None:
    text = "\n".join(library._standing(part.__name__) for part in (*PARTS, torch_calls))
    assert "refquant" not in text, "an import is left"
    compile(text, "program", "exec")
    assert "def compute(" in text, "the calls themselves"
