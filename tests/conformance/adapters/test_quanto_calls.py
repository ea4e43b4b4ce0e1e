"""The calls of optimum-quanto stand alone: a program that repeats a case is that file."""

from refquant_conformance.adapters import quanto_calls
from tests.conformance.adapters.standing import foreign_imports


def test_it_imports_nothing_but_numpy() -> None:
    assert foreign_imports(quanto_calls) == set(), "a program needs more"
