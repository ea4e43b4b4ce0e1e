"""The calls of gfloat stand alone: a program that repeats a case is that file."""

import pytest

from refquant_conformance.adapters import gfloat_calls
from tests.conformance.adapters.standing import foreign_imports


def test_it_imports_nothing_but_numpy() -> None:
    assert foreign_imports(gfloat_calls) == set(), "a program needs more"


def test_a_type_that_gfloat_has_not_is_said_before_it_is_imported() -> None:
    with pytest.raises(NotImplementedError, match="no float8_e4m3fnuz"):
        gfloat_calls.format_of("float8_e4m3fnuz")
