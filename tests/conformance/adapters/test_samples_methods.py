"""Samples of methods: the arrays that the catalogue names, in the types of the scheme."""

from refquant_conformance.adapters.samples_methods import OF_METHODS, of_method
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.types import storage


def test_samples_have_the_inputs_and_types_of_the_catalogue() -> None:
    for op in OF_METHODS:
        for scheme in OPERATORS[op].schemes:
            case, types = of_method(op, scheme), types_of(op, scheme)
            assert set(case.inputs) == set(OPERATORS[op].inputs), f"{op} {scheme}"
            for name, array in case.inputs.items():
                assert array.dtype == storage(types[name]), f"{op} {scheme} {name}: {array.dtype}"
