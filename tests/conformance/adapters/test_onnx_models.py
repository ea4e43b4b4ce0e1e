"""Models as data: packing as ONNX packs, files that ONNX accepts, programs that make the same."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters.onnx_cases import fed, model_of
from refquant_conformance.adapters.onnx_models import (
    ELEMENT_TYPES,
    packed,
    program,
    serialized,
    unpacked,
)
from refquant_conformance.adapters.samples import sample
from refquant_conformance.types import INTEGERS, code_range, storage

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("logical", ["int2", "uint2", "int4", "uint4", "int8", "uint16"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 8, 33])
def test_packing_goes_there_and_back_and_is_onnx_s(logical: str, length: int) -> None:
    qmin, qmax = code_range(logical)
    codes = (np.arange(length) * 7 % (qmax - qmin + 1) + qmin).astype(storage(logical))
    data = packed(codes, logical)
    assert np.array_equal(unpacked(data, logical, (length,)), codes), "not there and back"
    tensor = onnx.helper.make_tensor("t", ELEMENT_TYPES[logical], (length,), data, raw=True)
    theirs: Any = onnx.numpy_helper.to_array(tensor)
    assert theirs.astype(int).tolist() == codes.tolist(), "ONNX reads other codes"


def test_the_numbers_of_types_are_onnx_s() -> None:
    for logical, number in ELEMENT_TYPES.items():
        name = onnx.TensorProto.DataType.Name(number)
        plain = logical.upper().replace("_", "")
        known = {
            **{"FLOAT32": "FLOAT", "FLOAT64": "DOUBLE"},
            **{"FLOAT8E8M0FNU": "FLOAT8E8M0", "FLOAT4E2M1FN": "FLOAT4E2M1"},
        }.get(plain, plain)
        assert name == known, f"{logical} is {name}"


@pytest.mark.parametrize("style", ["direct", "pairs"])
@pytest.mark.parametrize("cell", [("qlinear_matmul", "u8_i8"), ("qlinear_mean", "u8")])
def test_the_program_makes_the_same_file(style: str, cell: tuple[str, str]) -> None:
    case = sample(*cell)
    model = model_of(case, style=style)
    shapes = {name: case.inputs[name].shape for name in model.feeds}
    told: dict[str, Any] = {}
    exec(program(model, fed(model, case), title="t", engine=""), told)
    assert told["model"].SerializeToString() == serialized(onnx, model, shapes), "another file"
    for name, (kind, shape, data) in told["feeds"].items():
        assert kind == ELEMENT_TYPES[case.types[name]], f"{name}"
        assert unpacked(data, case.types[name], shape).tolist() == case.inputs[name].tolist(), name


def test_every_integer_type_has_a_number() -> None:
    assert set(INTEGERS) <= set(ELEMENT_TYPES), "a type is missing"
