"""The catalogue of movement: two widths each, one rule for all but the operands of a concat."""

from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.operators_movement import MOVEMENT


def test_cells_are_of_eight_bits() -> None:
    for table in MOVEMENT:
        assert set(OPERATORS[table.name].schemes) == {"u8", "i8"}, table.name
        types = types_of(table.name, "i8")
        assert types["y"] == "int8", f"{table.name}: {types}"
        rules = {name for name in types if name.endswith("scale")}
        wanted = {"scale"} if table.name != "qlinear_concat" else {"a_scale", "b_scale", "y_scale"}
        assert rules == wanted, f"{table.name}: {rules}"
