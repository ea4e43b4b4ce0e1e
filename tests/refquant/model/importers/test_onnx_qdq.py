"""QDQ models that onnxruntime's own quantizer made: our codes are its codes, layer by layer.

Every ``QuantizeLinear`` of the model becomes an output of the session. Each node of our graph gets
what onnxruntime computed before it, so that one difference is one, and not all that follow.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from refquant.model.execute import run
from refquant.model.execute_node import execute_node
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals


class Batches(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Any:
        return next(self.feeds, None)


def network() -> Any:
    """One of each: convolutions with ReLUs between, pools, tables, movement, products."""
    shapes = {
        "w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (8, 8, 1, 1),
        "b3": (8,), "wg": (10, 16), "bg": (10,), "wm": (10, 6),
    }  # fmt: skip
    constants: dict[str, Any] = {
        name: reals(i, *shape) * np.float32(0.3) for i, (name, shape) in enumerate(shapes.items())
    }
    constants |= {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1], group=8),
        node("Clip", ["c2", "zero", "six"], ["r2"]),
        node("Conv", ["r2", "w3", "b3"], ["c3"]),
        node("Add", ["r1", "c3"], ["a1"]),
        node("Relu", ["a1"], ["ra"]),
        node("MaxPool", ["ra"], ["m1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["m1"], ["ap"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["ap"], ["s1"]),
        node("Mul", ["ap", "s1"], ["m2"]),
        node("Concat", ["m1", "m2"], ["cc"], axis=1),
        node("LeakyRelu", ["cc"], ["lr"], alpha=0.1),
        node("GlobalAveragePool", ["lr"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "wg", "bg"], ["ge"], transB=1),
        node("MatMul", ["ge", "wm"], ["mm"]),
        node("Softmax", ["mm"], ["y"], axis=-1),
    ]
    return model(nodes, {"x": ["N", 3, 8, 8]}, ["y"], constants)


def quantized(made: Any, folder: Path, feeds: list[Any], **options: Any) -> Any:
    logging.disable(logging.WARNING)
    onnx.save(made, folder / "float.onnx")
    quantize_static(folder / "float.onnx", folder / "q.onnx", Batches(feeds), **options)
    logging.disable(logging.NOTSET)
    return onnx.load(folder / "q.onnx")


def layer_by_layer(graph: Graph, theirs: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return, for each operator that gives codes, how many differ, of how many."""
    arrays: dict[str, Any] = {**graph.constants, **theirs}
    found: dict[str, tuple[int, int]] = {}
    for each in graph.nodes:
        operands = [arrays[name] if name else None for name in each.inputs]
        for name, array in zip(each.outputs, execute_node(graph, each, operands), strict=True):
            if name in theirs and graph.values[name].quant is not None:
                differ, total = found.get(each.op, (0, 0))
                differ += int((array != theirs[name]).sum())
                found[each.op] = (differ, total + array.size)
            arrays.setdefault(name, array)
    return found


def with_codes(made: Any, feeds: Any) -> dict[str, Any]:
    """Return what onnxruntime computes, codes of all layers included, and the inputs."""
    codes = [n.output[0] for n in made.graph.node if n.op_type == "QuantizeLinear"]
    kept = type(made)()
    kept.CopyFrom(made)
    kept.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in codes)
    names = [value.name for value in kept.graph.output]
    return {**feeds, **dict(zip(names, ask_ort(kept, feeds, optimized=True), strict=True))}


U8, S8 = QuantType.QUInt8, QuantType.QInt8


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("activation", "weight"), [(U8, S8), (S8, S8), (U8, U8)])
def test_every_layer_has_the_codes_of_onnxruntime(
    tmp_path: Path, activation: Any, weight: Any, per_channel: bool, symmetric: bool
) -> None:
    made = quantized(
        network(), tmp_path, [{"x": reals(100 + i, 4, 3, 8, 8)} for i in range(2)],
        quant_format=QuantFormat.QDQ, activation_type=activation, weight_type=weight,
        per_channel=per_channel, extra_options={"ActivationSymmetric": symmetric},
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    x = {"x": reals(7, 32, 3, 8, 8)}
    found = layer_by_layer(graph, with_codes(made, x))
    assert {"Conv", "Add", "Mul", "Gemm", "MatMul", "GlobalAveragePool", "Sigmoid"} <= set(found)
    wrong = {op: n for op, n in found.items() if n[0]}
    assert not wrong, f"operator: (codes that differ, of): {wrong}"
    averages = [told for told in graph.meta["import"]["unfused"] if "averages" in told["reason"]]
    assert len(averages) == len(graph.meta["import"]["unfused"]) == 2, "all else is on codes"


def test_softmax_is_another_arithmetic_when_nothing_is_fused(tmp_path: Path) -> None:
    """Our codes are those of the pair that is fused; as written they are the text's, half of them.

    Unfused, onnxruntime divides exponentials in float32 and quantizes; fused, it divides by an
    integer number of steps, floor(1 / scale). If both agree, one contract says both.
    """
    made = quantized(
        model([node("Softmax", ["x"], ["y"], axis=-1)], {"x": ["N", 6]}, ["y"]), tmp_path,
        [{"x": reals(1, 50, 6)}], quant_format=QuantFormat.QDQ, activation_type=U8, weight_type=S8,
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    assert [n.op for n in graph.nodes] == ["QuantizeLinear", "Softmax", "DequantizeLinear"]
    x = {"x": reals(2, 500, 6)}
    ours = run(graph, x)["y"]
    assert np.array_equal(ours, ask_ort(made, x, optimized=True)[0]), "fused"
    step = graph.values[graph.nodes[1].outputs[0]].quant
    assert step is not None, "codes"
    (theirs,) = ask_ort(made, x)
    apart = np.abs(
        np.rint(ours / np.float32(step.scale)) - np.rint(theirs / np.float32(step.scale))
    )
    assert 0 < apart.max() <= 1, f"a step, here and there: {apart.max()}"


def pairs(*between: Any, inputs: Any = None, **constants: Any) -> Any:
    """Return Q -> DQ -> ``between`` from ``a`` to ``b`` -> Q -> DQ."""
    held: dict[str, Any] = {"s": np.array(0.1, np.float32), "z": np.array(3, np.uint8)}
    held |= {name: np.asarray(array) for name, array in constants.items()}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        *between,
        node("QuantizeLinear", ["b", "s", "z"], ["p"]),
        node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    return model(nodes, inputs or {"x": ["N", 4]}, ["y"], held)


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ([node("Exp", ["a"], ["e"]), node("Exp", ["e"], ["b"])], "Exp 'n_b' reads its reals"),
        ([node("Softsign", ["a"], ["b"])], "Softsign has no form on codes"),
        (
            [node("Relu", ["a"], ["r"]), node("Add", ["r", "r"], ["b"])],
            "its reals are read 2 times",
        ),
        ([node("Add", ["a", "x"], ["b"])], "input 1 is float32"),
    ],
)
def test_what_cannot_be_fused_says_why(between: Any, reason: str) -> None:
    made = pairs(*between)
    graph = import_onnx(made.SerializeToString())
    told = graph.meta["import"]["unfused"]
    assert any(reason in entry["reason"] for entry in told), f"{told}"
    x = {"x": reals(0, 9, 4)}
    (theirs,) = ask_ort(made, x)
    assert np.abs(run(graph, x)["y"] - theirs).max() <= 0.1 + 1e-6, "within one step of it"


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_bias_on_another_ruler_is_not_added_to_products(factor: float) -> None:
    step = np.float32(0.1)
    between = [
        node("DequantizeLinear", ["w", "sw"], ["wf"]),
        node("DequantizeLinear", ["c", "sc"], ["cf"]),
        node("Gemm", ["a", "wf", "cf"], ["b"]),
    ]
    made = pairs(
        *between, w=np.ones((4, 2), np.int8), sw=step, c=np.array([5, -5], np.int32),
        sc=np.asarray(step * step * np.float32(factor)),
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    fused = [n.op for n in graph.nodes] == ["QuantizeLinear", "Gemm", "DequantizeLinear"]
    assert fused == (factor == 1.0), f"{[n.op for n in graph.nodes]}"
    x = {"x": reals(0, 9, 4)}
    assert np.abs(run(graph, x)["y"] - ask_ort(made, x)[0]).max() <= 0.1 + 1e-6, "a step"


def test_a_dead_channel_is_fused_as_others_are() -> None:
    """Its weights are 0 and their scale the least there is, so that of its bias is subnormal."""
    sx, scales = np.float32(0.01), np.array([0.02, 2.0**-124], np.float32)
    w = np.stack([np.full(4, 3), np.zeros(4)]).astype(np.int8)
    between = [
        node("DequantizeLinear", ["w", "sw"], ["wf"], axis=0),
        node("DequantizeLinear", ["c", "sc"], ["cf"], axis=0),
        node("Gemm", ["a", "wf", "cf"], ["b"], transB=1),
    ]
    made = pairs(
        *between, s=sx, w=w, sw=scales, c=np.array([7, 0], np.int32), sc=scales * sx,
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    assert [n.op for n in graph.nodes] == ["QuantizeLinear", "Gemm", "DequantizeLinear"], "fused"
    x = {"x": reals(0, 9, 4)}
    (theirs,) = ask_ort(made, x, optimized=True)
    assert np.array_equal(run(graph, x)["y"], theirs), "the codes of onnxruntime"


@pytest.mark.parametrize("zero", [0, 83])
def test_an_embedding_of_codes_is_a_table_of_codes(zero: int) -> None:
    """quantize_dynamic gathers rows of codes, and dequantizes what it has gathered."""
    table = np.arange(0, 240, 20, dtype=np.uint8).reshape(4, 3)
    nodes = [
        node("Gather", ["table", "ids"], ["rows"]),
        node("DequantizeLinear", ["rows", "s", "z"], ["y"]),
    ]
    held: dict[str, Any] = {
        "table": table,
        "s": np.array(0.3, np.float32),
        "z": np.array(zero, np.uint8),
    }
    made = model(nodes, {"ids": (["N", 2], onnx.TensorProto.INT64)}, ["y"], held)
    graph = import_onnx(made.SerializeToString())
    assert [n.op for n in graph.nodes] == ["Gather", "DequantizeLinear"], "no float32 table"
    assert graph.constants["table"].dtype == np.uint8, "the file's codes"
    ids = np.array([[0, 3], [-1, 1]])
    (theirs,) = ask_ort(made, {"ids": ids})
    assert np.array_equal(run(graph, {"ids": ids.astype(np.int32)})["y"], theirs), "codes, moved"


def test_what_is_fused_leaves_nothing_to_say() -> None:
    graph = import_onnx(pairs(node("Relu", ["a"], ["b"])).SerializeToString())
    assert [n.op for n in graph.nodes] == ["QuantizeLinear", "Relu", "DequantizeLinear"], "a table"
    assert "unfused" not in graph.meta["import"], "the doors of the model are no failures"


def test_movement_carries_codes() -> None:
    made = pairs(
        node("Reshape", ["a", "to"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        node("Slice", ["t", "one", "two", "one"], ["c"]), node("Flatten", ["c"], ["b"]),
        to=np.array([0, 2, 2]), one=np.array([1]), two=np.array([2]),
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    inner = [n.op for n in graph.nodes][1:-1]
    assert inner == ["Reshape", "Transpose", "Slice", "Flatten"], "no dequantization between"
    x = {"x": reals(0, 9, 4)}
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "nothing is computed"


def test_a_weight_of_codes_beside_floats_stays_codes() -> None:
    w = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    made = model(
        [node("DequantizeLinear", ["w", "s"], ["wf"], axis=1), node("MatMul", ["x", "wf"], ["y"])],
        {"x": ["N", 4]}, ["y"], {"w": w, "s": np.array([0.1, 0.2, 0.3], np.float32)},
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    assert [n.op for n in graph.nodes] == ["MatMul"], "weight only"
    assert graph.values["w"].dtype == "int8", "the file's codes"
    x = {"x": reals(0, 5, 4)}
    size = np.abs(x["x"]) @ (np.abs(w) * np.array([0.1, 0.2, 0.3]))
    apart = np.abs(run(graph, x)["y"] - ask_ort(made, x)[0])
    assert (apart <= 9 * 2.0**-24 * size).all(), "gamma_2K of four products, two engines"


@pytest.mark.parametrize("scale", [np.float32(0.5), np.array([[0.5, 0.25, 2.0]], np.float32)])
def test_cast_and_mul_of_codes_are_a_weight_of_codes(scale: Any) -> None:
    w = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    nodes = [
        node("Cast", ["w"], ["wf"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["wf", "s"], ["ws"]),
        node("MatMul", ["x", "ws"], ["y"]),
    ]
    made = model(nodes, {"x": ["N", 4]}, ["y"], {"w": w, "s": np.asarray(scale)})
    graph = import_onnx(made.SerializeToString())
    assert graph.values["w"].dtype == "int8", "the file's codes"
    x = {"x": np.eye(4, dtype=np.float32)}
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "one code, one real"


def test_four_bits_in_blocks() -> None:
    codes = np.arange(-8, 8, dtype=np.int8).reshape(8, 2)
    held = helper.make_tensor("w", onnx.TensorProto.INT4, [8, 2], codes.ravel())
    made = model(
        [
            node("DequantizeLinear", ["w", "s"], ["wf"], axis=0, block_size=4),
            node("MatMul", ["x", "wf"], ["y"]),
        ],
        {"x": ["N", 8]}, ["y"], {"s": np.array([[1, 2], [3, 4]], np.float32)}, opset=21,
    )  # fmt: skip
    made.graph.initializer.append(held)
    graph = import_onnx(made.SerializeToString())
    quant = graph.values["w"].quant
    assert graph.values["w"].dtype == "int4", "four bits"
    assert quant is not None, "with a meaning"
    assert quant.block_shape == (4, 1), "blocks along axis 0"
    x = {"x": np.eye(8, dtype=np.float32)}
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "each code is its real"
