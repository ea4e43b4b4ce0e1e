"""From bytes to data: inputs, attributes, branches, external data; and what is no model."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from refquant.model.importers.onnx_model import OnnxGraph, OnnxInput, Opaque, Tensor
from refquant.model.importers.onnx_read import read_onnx
from refquant.model.importers.onnx_wire import OnnxFormatError
from tests.refquant.model.importers.onnx_models import model, node


def test_what_a_file_says(tmp_path: Path) -> None:
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    made = model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": ["batch", 2], "t": (["?", 0, -1], TensorProto.INT64), "w": [2, 3]},
        ["y"],
        {"w": w},
    )
    made.producer_name = "a test"
    onnx.save(made, tmp_path / "m.onnx")
    read = read_onnx(tmp_path / "m.onnx")
    assert read.graph.inputs == (
        OnnxInput("x", "float32", ("batch", 2)),
        OnnxInput("t", "int64", (None, None, None)),
    ), "0, -1 and ? are sizes nobody knows; a constant is no input"
    held = read.graph.constants["w"]
    assert isinstance(held, Tensor), "an array"
    assert held.array.tobytes() == w.tobytes(), "the same bits"
    assert (read.opset, read.producer, len(read.digest)) == (17, "a test", 64), "about the file"
    assert read_onnx((tmp_path / "m.onnx").read_bytes()).digest == read.digest, "bytes will do"


def test_every_kind_of_attribute() -> None:
    inner = helper.make_graph([node("Relu", ["x"], ["z"])], "inner", [], [])
    made = node(
        "Some", ["x"], ["y"], i=3, f=0.5, s="text", ints=[1, 2], floats=[0.5], strings=["a"],
        t=helper.make_tensor("t", TensorProto.FLOAT, [1], [2.0]), g=inner,
        types=[onnx.TypeProto()],
    )  # fmt: skip
    attributes = dict(read_onnx(model([made], {"x": [1]}, ["y"]).SerializeToString())
                      .graph.nodes[0].attributes)  # fmt: skip
    tensor, graph = attributes.pop("t"), attributes.pop("g")
    assert tensor.array.tolist() == [2.0], "a tensor"
    assert isinstance(graph, OnnxGraph), "a graph"
    assert graph.nodes[0].op == "Relu", "with its nodes"
    assert isinstance(attributes.pop("types"), Opaque), "what nobody takes"
    assert attributes == {
        "i": 3, "f": 0.5, "s": "text", "ints": (1, 2), "floats": (0.5,), "strings": ("a",),
    }  # fmt: skip


def test_external_data(tmp_path: Path) -> None:
    w = np.arange(64, dtype=np.float32).reshape(8, 8)
    made = model([node("MatMul", ["x", "w"], ["y"])], {"x": [1, 8]}, ["y"], {"w": w})
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin",
              size_threshold=0)  # fmt: skip
    read = read_onnx(tmp_path / "m.onnx")
    held = read.graph.constants["w"]
    assert isinstance(held, Tensor), "an array"
    assert held.array.tobytes() == w.tobytes(), "from the file beside it"
    assert read.size == (tmp_path / "m.onnx").stat().st_size + 256, "both files are the model"
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(OnnxFormatError, match=r"bytes 0 to 256 of 'w\.bin', which has 5"):
        read_onnx(tmp_path / "m.onnx")


def twice() -> Any:
    return model([node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"])


def sparse() -> Any:
    made = model([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"])
    made.graph.sparse_initializer.add()
    return made


def double_constant() -> Any:
    made = model([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"], {"c": np.zeros(1, np.float32)})
    made.graph.initializer.append(made.graph.initializer[0])
    return made


def opsets(*versions: int) -> Any:
    made = model([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"])
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid("", v) for v in versions)
    return made


def no_tensor() -> Any:
    made = model([node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"])
    made.graph.input[0].type.Clear()
    return made


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (twice(), "the name 'y' stands for two values"),
        (sparse(), "sparse constants"),
        (double_constant(), "the constant 'c' is there twice"),
        (opsets(8), "opset 8 is not one of 9 to 25"),
        (opsets(26), "opset 26 is not one of 9 to 25"),
        (opsets(), "imports no opset"),
        (opsets(17, 18), "two versions of the domain ''"),
        (no_tensor(), "input 'x' is no tensor"),
    ],
)
def test_models_that_are_refused(made: Any, what: str) -> None:
    with pytest.raises(OnnxFormatError, match=what):
        read_onnx(made.SerializeToString())


def test_a_domain_that_nobody_knows() -> None:
    made = model([node("Relu", ["x"], ["y"], domain="my.own")], {"x": [1]}, ["y"])
    with pytest.raises(OnnxFormatError, match=r"domains \['my.own'\] are unknown.*n_y \(my.own"):
        read_onnx(made.SerializeToString())


def test_names_that_are_no_text() -> None:
    data = model([node("Relu", ["x"], ["yyyy"])], {"x": [1]}, ["yyyy"]).SerializeToString()
    with pytest.raises(OnnxFormatError, match="a name is no UTF-8"):
        read_onnx(data.replace(b"yyyy", b"\xff\xfe\xff\xfe"))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'refquant\[onnx\]'"):
        read_onnx(bytes([0x3A, 0]))
