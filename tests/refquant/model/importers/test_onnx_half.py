"""Models of 16-bit floats: what is widened is exact, and what is not rounded is said."""

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from refquant.model.execute import run
from refquant.model.importers.onnx_half import rounded_to_half
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals

F = np.float32
KINDS = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
TYPES: dict[str, Any] = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def network(kind: str, w: Any, b: Any, *, typed: bool = False) -> Any:
    """A layer; the model's ends in ``kind``, and one constant cast to it by a node."""
    number = KINDS.get(kind, TensorProto.FLOAT)
    nodes = [
        node("Cast", ["b"], ["b16"], to=number),
        node("MatMul", ["x", "w"], ["h"]),
        node("Add", ["h", "b16"], ["s"]),
        node("Relu", ["s"], ["r"]),
        node("Cast", ["r"], ["c"], to=number),
        node("Identity", ["c"], ["y"]),
    ]
    made = model(nodes, {"x": (["N", 8], number)}, ["y"], {"b": b}, kinds={"y": number})
    array = w.astype(TYPES.get(kind, F))
    held = numpy_helper.from_array(array, "w")
    if kind == "bfloat16":
        bits = array.view(np.uint16)
        held = onnx.TensorProto(name="w", data_type=number, dims=w.shape)
        if typed:
            held.int32_data.extend(bits.ravel().astype(int).tolist())
        else:
            held.raw_data = bits.tobytes()
    made.graph.initializer.append(held)
    return made


@pytest.mark.parametrize(("kind", "typed"), [("float16", False), ("bfloat16", False),
                                             ("bfloat16", True)])  # fmt: skip
def test_it_is_the_model_of_the_rounded_weights(kind: str, typed: bool) -> None:
    w, b = reals(0, 8, 5), reals(1, 5)
    graph = import_onnx(network(kind, w, b, typed=typed).SerializeToString())
    plain = network("float32", w.astype(TYPES[kind]).astype(F), b.astype(TYPES[kind]).astype(F))
    x = {"x": reals(2, 7, 8).astype(TYPES[kind]).astype(F)}
    ours, wanted = run(graph, x)["y"], run(import_onnx(plain.SerializeToString()), x)["y"]
    assert np.array_equal(ours, wanted), "the same weights, in float32"
    told = graph.meta["import"]["widened"]
    assert (told["from"], told["inputs"], told["constants"]) == ([kind], ["x"], 1), f"{told}"
    assert told["casts"] == 2, f"{told}"
    assert "computed in float32" in told["note"], f"{told}"
    assert graph.values["x"].dtype == "float32", "the input is wider now"


def test_onnxruntime_rounds_after_every_operator() -> None:
    made = network("float16", reals(0, 8, 5), reals(1, 5))
    x = reals(2, 7, 8).astype(np.float16)
    ours = run(import_onnx(made.SerializeToString()), {"x": x.astype(F)})["y"]
    (theirs,) = ask_ort(made, {"x": x})
    size = np.abs(x.astype(F)) @ np.abs(reals(0, 8, 5)) + np.abs(reals(1, 5))
    # Its product, sum and output are float16: half an ulp of 2^-10 each, of at most `size`;
    # the product may be summed in float16, too: 8 roundings more.
    assert (np.abs(ours - theirs.astype(F)) <= 11 * 2.0**-11 * size).all(), "eq. (1)"
    assert (ours.astype(np.float16) != theirs).any(), "it does not agree bit for bit"


@pytest.mark.parametrize("kind", TYPES)
def test_rounding_is_that_of_ml_dtypes(kind: str) -> None:
    every = np.arange(1 << 16, dtype=np.uint32) << 16
    bits = np.concatenate([every + low for low in (0, 0x7FFF, 0x8000, 0x8001, 0x1000, 0x1001)])
    x = bits.astype(np.uint32).view(F)
    with np.errstate(all="ignore"):
        theirs = x.astype(TYPES[kind]).astype(F)
    ours = rounded_to_half(x, kind)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all(), f"{x[~same][:4]}: {ours[~same][:4]}, {theirs[~same][:4]}"


def test_a_branch_is_widened_too() -> None:
    value = numpy_helper.from_array(np.array([0.5], np.float16))
    branch = helper.make_graph([node("Constant", [], ["k"], value=value)], "g", [], [
        helper.make_tensor_value_info("k", TensorProto.FLOAT16, None)])  # fmt: skip
    nodes = [
        node("If", ["t"], ["h"], then_branch=branch, else_branch=branch),
        node("Mul", ["x", "h"], ["y"]),
    ]
    half = TensorProto.FLOAT16
    made = model(nodes, {"x": (["N", 2], half)}, ["y"], {"t": np.array(True)}, kinds={"y": half})
    ours = run(import_onnx(made.SerializeToString()), {"x": np.ones((1, 2), F)})["y"]
    assert ours.tolist() == [[0.5, 0.5]], "computed"


def test_float64_is_refused_by_name() -> None:
    made = model(
        [node("Mul", ["x", "w"], ["y"])], {"x": ["N", 2]}, ["y"], {"w": np.ones(2, np.float64)}
    )
    with pytest.raises(OnnxUnsupportedError, match=r"n_y \(Mul\): input 1 is float64; only float"):
        import_onnx(made.SerializeToString())
