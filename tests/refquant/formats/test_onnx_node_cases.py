"""Every QuantizeLinear and DequantizeLinear node test of ONNX, run through refquant: equal codes.

Integers go through ``affine``, small floats through ``fp8``. A case that differs is named in
``DISAGREE`` with the reason; the table is checked for what is no longer needed.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats import affine, fp8
from refquant.numerics.blocks import parameter_shape, per_channel, per_tensor

onnx = pytest.importorskip("onnx")
node_cases = pytest.importorskip("onnx.backend.test.case.node")
Array = np.ndarray[Any, Any]

FLOATS = {  # types of ONNX: formats of refquant
    "FLOAT8E4M3FN": "e4m3fn",
    "FLOAT8E4M3FNUZ": "e4m3fnuz",
    "FLOAT8E5M2": "e5m2",
    "FLOAT8E5M2FNUZ": "e5m2fnuz",
    "FLOAT4E2M1": "e2m1",
}
DISAGREE: dict[str, str] = {}


def cases() -> list[Any]:
    """The node tests of the two operators, as ONNX builds them."""
    # Importing a module of cases makes them; collect_testcases imports those of all operators.
    for module in ("quantizelinear", "dequantizelinear"):
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    every = node_cases._NodeTestCases
    operators = (["QuantizeLinear"], ["DequantizeLinear"])
    return [
        pytest.param(case, id=case.name)
        for case in every
        if [node.op_type for node in case.model.graph.node] in operators
    ]


def type_of(value: Any) -> str:
    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def array(value: Any) -> Array:
    """A tensor of a case; those of types that NumPy has not are still messages."""
    is_message = isinstance(value, onnx.TensorProto)
    return np.asarray(onnx.numpy_helper.to_array(value) if is_message else value)


def attributes(case: Any) -> dict[str, Any]:
    node = case.model.graph.node[0]
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def block_shape(shape: tuple[int, ...], scale: Array, attrs: dict[str, Any]) -> tuple[int, ...]:
    """The blocks of a tensor, from the shape of its scale: tensor, axis or blocked."""
    axis = attrs.get("axis", 1) % max(1, len(shape))
    size = attrs.get("block_size", 0)
    if size:
        return tuple(size if i == axis else 1 for i in range(len(shape)))
    return per_tensor(shape) if scale.size == 1 else per_channel(shape, axis)


def bits(codes: Array) -> list[Any]:
    """Codes as integers; ml_dtypes' small floats by their bits."""
    if codes.dtype.kind in "iu":
        return list(codes.tolist())
    if codes.dtype.name.startswith(("int", "uint")):
        return list(codes.astype(np.int64).tolist())
    return list(codes.view(np.uint8).tolist())


def run(case: Any) -> Iterator[tuple[Array, list[Any], list[Any]]]:
    """What refquant makes of each data set: (x, got, expected)."""
    graph, attrs = case.model.graph, attributes(case)
    quantizes = graph.node[0].op_type == "QuantizeLinear"
    code_type = type_of(graph.output[0] if quantizes else graph.input[0])
    for inputs, outputs in case.data_sets:
        x, scale, expected = array(inputs[0]), array(inputs[1]), array(outputs[0])
        blocks = block_shape(x.shape, scale, attrs)
        parameters = parameter_shape(x.shape, blocks)
        s = scale.astype(np.float32).reshape(parameters)
        if code_type in FLOATS:
            zeros = [] if len(inputs) < 3 else bits(array(inputs[2]))
            assert not np.any(zeros), "the zero point of a float type carries its type only"
            name = FLOATS[code_type]
            if quantizes:
                saturate = bool(attrs.get("saturate", 1))
                q = fp8.quantize_linear(x, s, format=name, block_shape=blocks, saturate=saturate)
                yield x, bits(q.codes), bits(expected)
            else:
                codes = x.view(np.uint8) if x.dtype.itemsize == 1 else x.astype(np.uint8)
                back = fp8.dequantize(fp8.ScaledFloat(name, codes, s, blocks))
                yield x, back.astype(expected.dtype).tolist(), expected.tolist()
            continue
        zero = np.zeros(parameters, np.int32)
        if len(inputs) > 2:
            zero = array(inputs[2]).astype(np.int32).reshape(parameters)
        params = affine.QParams(s, zero, blocks, code_type.lower())
        if quantizes:
            got = affine.quantize(x, params, contract=preset("onnx"))
            yield x, got.tolist(), bits(expected)
        else:
            back = affine.dequantize(np.asarray(bits(x)), params)
            yield x, back.astype(expected.dtype).tolist(), expected.tolist()


CASES = cases()


def test_the_cases_are_all_there() -> None:
    names = {str(case.id) for case in CASES}
    for kind in ("int2", "uint2", "int4", "uint4", "int16", "uint16", "e4m3fn", "e5m2",
                 "float4e2m1"):  # fmt: skip
        assert any(kind in name and "dequantize" not in name for name in names), f"Q: {kind}"
    assert sum("dequantize" in name for name in names) >= 10, f"DequantizeLinear: {names}"
    assert sum("blocked" in name for name in names) >= 3, f"blocked: {names}"
    assert set(DISAGREE) <= names, "a disagreement about a case that is gone"


@pytest.mark.parametrize("case", CASES)
def test_a_node_case_has_equal_codes_or_reals(case: Any) -> None:
    results = list(run(case))
    assert results, "a case without data"
    equal = all(got == want for _, got, want in results)
    if case.name in DISAGREE:
        assert not equal, f"{case.name} agrees now; take it off the table"
        return
    assert equal, f"{case.name}: {results}"
