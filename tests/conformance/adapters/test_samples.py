"""Samples: every cell of the catalogue has one, in the types and shapes that it says."""

import pytest

from refquant_conformance.adapters.samples import sample
from refquant_conformance.operators import OPERATORS
from refquant_conformance.types import INTEGERS, code_range, storage

CELLS = [(op, scheme) for op in OPERATORS for scheme in OPERATORS[op].schemes]


@pytest.mark.parametrize(("op", "scheme"), CELLS)
def test_every_cell_has_a_sample_in_its_types(op: str, scheme: str) -> None:
    case = sample(op, scheme)
    assert set(case.inputs) <= set(OPERATORS[op].inputs), "an input that it does not have"
    for name, array in case.inputs.items():
        logical = case.types[name]
        assert array.dtype == storage(logical), f"{name} is {array.dtype}"
        if logical in INTEGERS and logical != "int64":
            qmin, qmax = code_range(logical)
            assert qmin <= array.min() <= array.max() <= qmax, f"{name} is out of range"


def test_scales_are_as_fine_as_the_scheme_says() -> None:
    shapes = {
        ("quantize_linear", "f32_u8", "scale"): (),
        ("quantize_linear", "f32_u8_channel", "scale"): (2,),
        ("dequantize_linear", "u4_f32_block", "zero_point"): (2, 2),
        ("qlinear_matmul", "u8_i8_channel", "b_scale"): (3,),
        ("qlinear_matmul", "u8_i8_channel", "a_scale"): (),
        ("qlinear_conv", "i8_i8_channel", "w_zero_point"): (3,),
        ("qlinear_conv", "i8_i8_channel", "y_scale"): (),
    }
    for (op, scheme, name), shape in shapes.items():
        assert sample(op, scheme).inputs[name].shape == shape, f"{op} {scheme} {name}"
