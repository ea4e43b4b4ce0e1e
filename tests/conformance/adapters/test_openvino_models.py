"""What compiled models are kept by, and errors in one line."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from refquant_conformance.adapters.onnx_cases import fed, model_of
from refquant_conformance.adapters.openvino_models import kernels_of, key_of, last_line
from refquant_conformance.adapters.samples import sample


def test_a_key_is_the_model_and_the_shapes_and_the_data_if_asked() -> None:
    case = sample("qlinear_matmul", "u8_i8")
    model = model_of(case, style="pairs")
    feeds = fed(model, case)
    other = {name: array + np.uint8(1) for name, array in feeds.items()}
    longer = {name: np.concatenate([array, array]) for name, array in feeds.items()}
    assert key_of(model, feeds) == key_of(model, other), "data do not matter"
    assert key_of(model, feeds, of_data=True) != key_of(model, other, of_data=True), "they do"
    assert key_of(model, feeds) != key_of(model, longer), "shapes matter"


def test_kernels_are_told_once_without_the_ends() -> None:
    def node(layer: str, kernel: str) -> Any:
        about = {"layerType": layer, "primitiveType": kernel}
        said = {key: SimpleNamespace(astype=lambda _, v=v: v) for key, v in about.items()}
        return SimpleNamespace(get_rt_info=lambda: said)

    nodes = [node("Input", "unknown"), *[node("FullyConnected", "brgemm")] * 2, node("Const", "x")]
    graph = SimpleNamespace(get_ordered_ops=lambda: nodes)
    compiled = SimpleNamespace(get_runtime_model=lambda: graph)
    assert kernels_of(compiled) == "FullyConnected/brgemm", "each once"


def test_the_last_line_says_what_is_wrong() -> None:
    assert last_line(RuntimeError("at a.cpp:3\nno such layer\n\n")) == "no such layer", "the last"
    assert last_line(RuntimeError("")) == "RuntimeError", "nothing was said"
