"""The catalogue: every cell has a type for every input it needs, and a sample of those types."""

import pytest

from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.types import storage


@pytest.mark.parametrize("op", OPERATORS)
def test_types_are_types_of_inputs_and_outputs(op: str) -> None:
    operator = OPERATORS[op]
    names = {*operator.inputs, *operator.outputs}
    assert operator.sentence, f"{op} has no sentence"
    for scheme, types in operator.schemes.items():
        assert set(types) <= names, f"{op} {scheme}: {set(types) - names} is no input or output"
        assert set(operator.outputs) <= set(types), f"{op} {scheme} lacks the type of an output"
        for name, array in sample(op, scheme).inputs.items():
            assert array.dtype == storage(types[name]), f"{op} {scheme}: {name} is {array.dtype}"


def test_every_family_is_of_cells_that_there_are() -> None:
    seen = set()
    for arithmetic in ARITHMETICS:
        for scheme in arithmetic.schemes:
            types_of(arithmetic.op, scheme)
            assert (arithmetic.op, scheme) not in seen, f"{arithmetic.op} {scheme} has two families"
            seen.add((arithmetic.op, scheme))


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(ValueError, match="unknown operator 'nop'; the catalogue has quantize_lin"):
        types_of("nop", "f32_u8")
    with pytest.raises(ValueError, match="quantize_linear has no scheme 'u9'; it has f32_u8"):
        types_of("quantize_linear", "u9")


def test_who_is_given_types_gets_a_copy() -> None:
    types_of("quantize_linear", "f32_u8")["y"] = "int64"
    assert types_of("quantize_linear", "f32_u8")["y"] == "uint8", "the catalogue was changed"
