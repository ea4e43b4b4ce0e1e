"""The catalogue of operators with float32 results."""

from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.operators_floats import FLOAT_OPERATORS


def test_every_output_is_float32() -> None:
    for table in FLOAT_OPERATORS:
        (scheme,) = OPERATORS[table.name].schemes
        types = types_of(table.name, scheme)
        assert {types[name] for name in table.outputs} == {"float32"}, f"{table.name}: {types}"


def test_only_weights_of_matmul_nbits_are_codes() -> None:
    types = types_of("matmul_nbits", "f32_u4")
    assert {name for name, kind in types.items() if kind == "uint4"} == {"b", "b_zero_point"}, types
    assert OPERATORS["lstm"].outputs == ("y", "y_h", "y_c"), "two states"
