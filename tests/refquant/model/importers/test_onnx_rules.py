"""What a node must have, asked of ONNX's own schemas, opset by opset."""

from typing import Any

import numpy as np
import onnx.defs
import pytest
from onnx.defs import OpSchema

from refquant.model.importers.onnx_control import CONTROL
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from refquant.model.importers.onnx_items import Unsupported
from refquant.model.importers.onnx_lower import LOWER
from refquant.model.importers.onnx_model import OPSETS, OnnxGraph, OnnxNode, Tensor
from refquant.model.importers.onnx_rules import check_rules, reason_of
from tests.refquant.model.importers.onnx_models import model, node

KINDS = OpSchema.AttrType
VALUES = {
    KINDS.INT: 1, KINDS.FLOAT: 1.0, KINDS.STRING: "a", KINDS.INTS: (1,), KINDS.FLOATS: (1.0,),
    KINDS.STRINGS: ("a",), KINDS.GRAPH: OnnxGraph("g", (), (), (), {}), KINDS.TENSOR: Tensor,
}  # fmt: skip
# Required by an old schema, and absent in files that exporters wrote and onnxruntime runs.
GENTLE = {("Gemm", 2), ("Loop", 2), ("Resize", 1), ("Resize", 2)}


def schemas() -> list[tuple[int, Any]]:
    """Return each version of an operator that is imported, with the first of our opsets it has."""
    found: dict[tuple[str, int], tuple[int, Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain and schema.name in {*LOWER, *CONTROL} and not schema.deprecated:
            for opset in OPSETS:
                if schema.since_version <= opset:
                    now = onnx.defs.get_schema(schema.name, opset)
                    if not now.deprecated:
                        found.setdefault((now.name, now.since_version), (opset, now))
    return list(found.values())


SCHEMAS = schemas()


def value(kind: Any) -> Any:
    made = VALUES[kind]
    return object.__new__(Tensor) if made is Tensor else made


def whole(schema: Any) -> OnnxNode:
    """Return a node with all inputs and attributes that the schema has."""
    names = tuple(f"i{i}" for i in range(len(schema.inputs)))
    held = {
        n: value(a.type)
        for n, a in schema.attributes.items()
        if a.type in VALUES  # sparse values are refused when they are read
    }
    return OnnxNode("n", schema.name, names, ("y",), held)


def test_what_a_schema_has_is_right() -> None:
    assert len({s.name for _, s in SCHEMAS}) > 90, "the operators that are claimed"
    for opset, schema in SCHEMAS:
        check_rules(whole(schema), opset)


def test_another_kind_is_refused() -> None:
    for opset, schema in SCHEMAS:
        full = whole(schema)
        for name, made in full.attributes.items():
            other = "a" if not isinstance(made, str) else 1
            bent = OnnxNode("n", full.op, full.inputs, ("y",), {**full.attributes, name: other})
            with pytest.raises(Unsupported, match=f"'{name}' must be "):
                check_rules(bent, opset)


def test_what_a_schema_requires_is_required() -> None:
    for opset, schema in SCHEMAS:
        full = whole(schema)
        for name, told in schema.attributes.items():
            rest = {k: v for k, v in full.attributes.items() if k != name}
            bent = OnnxNode("n", full.op, full.inputs, ("y",), rest)
            if told.required:
                with pytest.raises(Unsupported, match=f"needs the attribute '{name}'"):
                    check_rules(bent, opset)
            else:
                check_rules(bent, opset)
        for place in range(schema.min_input):
            names = tuple("" if i == place else n for i, n in enumerate(full.inputs))
            bent = OnnxNode("n", full.op, names, ("y",), full.attributes)
            optional = schema.inputs[place].option == OpSchema.FormalParameterOption.Optional
            if not optional and (full.op, place) not in GENTLE:
                with pytest.raises(Unsupported, match=f"needs the input {place}"):
                    check_rules(bent, opset)


def test_optional_inputs_stay_optional() -> None:
    for opset, schema in SCHEMAS:
        full = whole(schema)
        optional = OpSchema.FormalParameterOption.Optional
        names = tuple(
            "" if told.option == optional else n
            for n, told in zip(full.inputs, schema.inputs, strict=True)
        )
        check_rules(OnnxNode("n", full.op, names, ("y",), full.attributes), opset)


@pytest.mark.parametrize(("op", "places"), [
    ("QLinearAdd", (0, 1, 3, 4, 6)), ("QLinearSigmoid", (0, 1, 3)), ("QGemm", range(6)),
    ("MatMulNBits", range(3)), ("DynamicQuantizeLSTM", (0, 1, 2, 8, 9, 10, 11)),
])  # fmt: skip
def test_operators_of_onnxruntime(op: str, places: Any) -> None:
    names = tuple("x" if i in places else "" for i in range(12))
    told = {"K": 1, "N": 1, "block_size": 16}  # what MatMulNBits cannot do without
    check_rules(OnnxNode("n", op, names, ("y",), told, "com.microsoft"), 17)
    for place in places:
        bent = tuple("" if i == place else n for i, n in enumerate(names))
        with pytest.raises(Unsupported, match=f"{op} needs the input {place}"):
            check_rules(OnnxNode("n", op, bent, ("y",), told, "com.microsoft"), 17)


def test_a_long_value_is_cut() -> None:
    bent = OnnxNode("n", "Relu", ("x",), ("y",), {"axis": tuple(range(99))})
    with pytest.raises(Unsupported, match=r"must be an integer, got \(0, 1, .*\.\.\.$"):
        check_rules(bent, 17)


def test_no_lowering_sees_them() -> None:
    nodes = [
        node("Transpose", ["x"], ["a"], perm=1),
        node("Cast", ["x"], ["b"]),
        node("Gemm", ["x", ""], ["c"]),
    ]
    made = model(nodes, {"x": ["N", 3]}, ["a", "b", "c"])
    with pytest.raises(OnnxUnsupportedError) as caught:
        import_onnx(made.SerializeToString())
    assert str(caught.value).splitlines()[1:] == [
        "  n_a (Transpose): the attribute 'perm' must be integers, got 1",
        "  n_b (Cast): Cast needs the attribute 'to'",
        "  n_c (Gemm): Gemm needs the input 1",
    ], "one line each, and no word of Python's"


def test_what_only_the_middle_of_a_node_finds() -> None:
    nodes = [
        node("Slice", ["k"], ["a"], starts=[0], ends=[1], axes=[3]),
        node("Unsqueeze", ["k"], ["b"], axes=[2**62]),
        node("Gather", ["x", "k"], ["c"], axis=9),
    ]
    made = model(nodes, {"x": ["N", 3]}, ["a", "b", "c"], {"k": np.array([0, 1])}, opset=9)
    with pytest.raises(OnnxUnsupportedError) as caught:
        import_onnx(made.SerializeToString())
    lines = str(caught.value).splitlines()[1:]
    assert lines[0] == "  n_a (Slice): axis is in [-1, 0], got 3", "what is known is asked, too"
    assert lines[1].startswith("  n_b (Unsqueeze): numbers that nothing is made of ("), "too large"
    assert lines[2] == "  n_c (Gather): axis is in [-2, 1], got 9", "no other one"
    assert reason_of(TypeError("odd")) == "malformed (odd); export the model again", "what is left"
    missing = "an axis, a place or an input that is not there; export the model again"
    assert reason_of(KeyError("")) == missing, "no word of Python's"
