"""X-19: enough elements of each cell, on several references; one bug that no other finds."""

import pytest

from refquant_conformance.bulk import GROWN
from refquant_conformance.properties import PROPERTIES as KNOWN
from refquant_conformance.properties.many import ENOUGH
from tests.conformance.planted import assert_killed, cell, cells_of_mutant

SOME = (
    *(("quantize_linear", "f32_u8"), ("quantize_linear", "f32_i4_channel")),
    *(("quantize_linear", "f32_i8_block"), ("dequantize_linear", "i8_f32")),
    *(("matmul_integer", "u8_i8"), ("qlinear_conv", "u8_i8_channel"), ("qlinear_add", "u8")),
    *(("qlinear_average_pool", "u8"), ("cast", "f32_e4m3fn"), ("unpack", "u3")),
    *(("block_dequantize", "q4_0"), ("dynamic_quantize_linear", "f32_u8")),
)


@pytest.mark.parametrize(("op", "scheme"), SOME, ids=lambda name: str(name))
def test_a_hundred_thousand_elements_are_those_of_the_reference(op: str, scheme: str) -> None:
    row = cell("reference:onnx", KNOWN["X-19"], op, scheme, "onnx", seed=1)
    assert row is not None, "the property says nothing"
    assert row.verdict in ("BIT_EXACT", "BIT_EXACT_CONTRACT"), f"{row.verdict}: {row.detail}"
    assert row.compared >= ENOUGH, f"{row.compared} elements were compared"


def test_it_speaks_of_every_operator_that_grows() -> None:
    assert KNOWN["X-19"].ops == tuple(GROWN), "an operator is left out"


def test_a_counter_of_16_bits_is_found() -> None:
    assert_killed("X-19")
    (row, *_) = cells_of_mutant("short_counter", "X-19")
    assert row.mismatches > 0, "nothing differs"
