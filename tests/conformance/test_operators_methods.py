"""Operators of weights and methods: each has a sample of its own."""

from refquant_conformance.adapters.samples_methods import OF_METHODS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.operators_methods import METHODS


def test_every_operator_of_the_family_is_in_the_catalogue_and_has_a_sample() -> None:
    names = [table.name for table in METHODS]
    assert sorted(names) == sorted(OF_METHODS), "a sample is missing, or is of nothing"
    for name in names:
        assert OPERATORS[name].schemes, f"{name} has no scheme"
