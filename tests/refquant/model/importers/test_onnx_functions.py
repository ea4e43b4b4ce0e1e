"""Functions of the model's own: what they compute is onnxruntime's business, too."""

import time
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from refquant.model.execute import run
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.importers.onnx_wire import OnnxFormatError
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals

F = np.float32
OWN = "own"


def function(
    name: str, inputs: list[str], outputs: list[str], nodes: list[Any], *, opset: int = 17,
    attributes: tuple[str, ...] = (), defaults: tuple[Any, ...] = (), domain: str = OWN,
) -> Any:  # fmt: skip
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(OWN, 1)]
    return helper.make_function(
        domain, name, inputs, outputs, nodes, imports, list(attributes), list(defaults)
    )


def refer(made: Any, name: str, source: str, kind: Any) -> Any:
    """Let an attribute of a function's node be the call's."""
    made.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=source, type=kind))
    return made


def calling(functions: list[Any], *nodes: Any, outputs: tuple[str, ...] = ("y",)) -> Any:
    made = model(list(nodes), {"x": ["N", 4]}, list(outputs), domains=[OWN])
    made.functions.extend(functions)
    return made


def agree(made: Any) -> None:
    x = {"x": reals(0, 3, 4)}
    graph = import_onnx(made.SerializeToString())
    for ours, theirs in zip(run(graph, x).values(), ask_ort(made, x), strict=True):
        assert np.array_equal(ours, theirs), f"{[n.op for n in graph.nodes]}"


def leaky(alpha: str = "alpha", **given: Any) -> Any:
    inner = refer(node("LeakyRelu", ["a"], ["b"]), "alpha", alpha, onnx.AttributeProto.FLOAT)
    return function("leaky", ["a"], ["b"], [inner], **given)


def test_attributes_of_the_call_and_their_defaults() -> None:
    made = calling(
        [leaky(defaults=(helper.make_attribute("alpha", 0.25),))],
        node("leaky", ["x"], ["h"], domain=OWN),
        node("leaky", ["h"], ["y"], domain=OWN, alpha=0.5),
    )
    graph = import_onnx(made.SerializeToString())
    assert [dict(n.attributes)["alpha"] for n in graph.nodes] == [0.25, 0.5], "by the call"
    agree(made)


def test_an_attribute_that_nobody_gives_is_absent() -> None:
    made = calling([leaky(attributes=("alpha",))], node("leaky", ["x"], ["y"], domain=OWN))
    graph = import_onnx(made.SerializeToString())
    assert dict(graph.nodes[0].attributes)["alpha"] == F(0.01), "ONNX's default of LeakyRelu"
    agree(made)


def test_functions_of_functions_have_names_of_their_own() -> None:
    inner = function(
        "inner", ["a"], ["b"], [node("Abs", ["a"], ["t"]), node("Add", ["t", "a"], ["b"])]
    )
    outer = function(
        "outer", ["a", "gone"], ["b", "c"],
        [
            node("inner", ["a"], ["t"], domain=OWN),
            node("inner", ["t"], ["b"], domain=OWN),
            node("Neg", ["t"], ["c"]),
        ],
    )  # fmt: skip
    agree(
        calling(
            [inner, outer],
            node("outer", ["x"], ["t", "b"], domain=OWN),  # names that the bodies have, too
            node("outer", ["t"], ["", "u"], domain=OWN),
            node("Add", ["u", "b"], ["y"]),
        )
    )


def test_a_branch_in_a_body_sees_the_body() -> None:
    then, other = (
        helper.make_graph([node(op, ["a"], ["r"])], op, [], [
            helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None)])
        for op in ("Abs", "Neg")
    )  # fmt: skip
    body = [
        refer(node("Constant", [], ["k"]), "value_int", "way", onnx.AttributeProto.INT),
        node("Cast", ["k"], ["cond"], to=onnx.TensorProto.BOOL),
        node("If", ["cond"], ["b"], then_branch=then, else_branch=other),
    ]
    chosen = function("choose", ["a"], ["b"], body, attributes=("way",))
    for way, op in ((1, "Abs"), (0, "Neg")):
        made = calling([chosen], node("choose", ["x"], ["y"], domain=OWN, way=way))
        assert op in [n.op for n in import_onnx(made.SerializeToString()).nodes], f"way {way}"
        agree(made)


def test_an_output_that_is_an_input() -> None:
    same = function("same", ["a"], ["a"], [])
    made = calling([same], node("same", ["x"], ["h"], domain=OWN), node("Abs", ["h"], ["y"]))
    ours = run(import_onnx(made.SerializeToString()), {"x": -np.ones((1, 4), F)})["y"]
    assert ours.tolist() == [[1, 1, 1, 1]], "itself"


def ladder(rungs: int, calls: int) -> Any:
    """``f0`` is a node; each next function calls the one before ``calls`` times."""
    functions = [function("f0", ["a"], ["b"], [node("Abs", ["a"], ["b"])])]
    for i in range(1, rungs):
        names = ["a", *(f"t{k}" for k in range(calls - 1)), "b"]
        nodes = [
            node(f"f{i - 1}", [names[k]], [names[k + 1]], domain=OWN) for k in range(calls)
        ]  # fmt: skip
        functions.append(function(f"f{i}", ["a"], ["b"], nodes))
    return calling(functions, node(f"f{rungs - 1}", ["x"], ["y"], domain=OWN))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            calling([function("f", ["a"], ["b"], [node("f", ["a"], ["b"], domain=OWN)])],
                    node("f", ["x"], ["y"], domain=OWN)),
            "function 'f' calls itself",
        ),
        (
            calling([function("f", ["a"], ["b"], [node("g", ["a"], ["b"], domain=OWN)]),
                     function("g", ["a"], ["b"], [node("f", ["a"], ["b"], domain=OWN)])],
                    node("f", ["x"], ["y"], domain=OWN)),
            "function 'f' calls itself",
        ),
        (ladder(25, 3), "functions become more than 32768 nodes"),
        (
            calling([function("f", ["a"], ["b"], [
                node("Abs", ["a"], ["n" * 100_000]), node("Neg", ["n" * 100_000], ["b"])])],
                *[node("f", ["x"], [f"y{i}"], domain=OWN) for i in range(400)], outputs=("y0",)),
            "functions become more than",
        ),
        (ladder(40, 1), "is called 32 deep"),
        (calling([leaky(opset=16)], node("leaky", ["x"], ["y"], domain=OWN)),
         "function 'leaky' has opset 16 of 'ONNX', the model 17"),
        (calling([leaky()], node("leaky", ["x", "x"], ["y"], domain=OWN)), "has 1 inputs and 1"),
        (calling([leaky(), leaky()], node("leaky", ["x"], ["y"], domain=OWN)), "is there twice"),
        (calling([], node("leaky", ["x"], ["y"], domain=OWN)), r"n_y \(own.leaky\)"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_at_once(made: Any, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(OnnxFormatError, match=reason):
        import_onnx(made.SerializeToString())
    assert time.perf_counter() - began < 20, "a bound, not the end of the ladder"
