"""Small ONNX models for tests, made by the library's own helper, and onnxruntime's opinion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), list(outputs), name=f"n_{outputs[0]}", **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[Sequence[Any], int] | Sequence[Any]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
    kinds: Mapping[str, int] | None = None,
) -> Any:
    """Return a model; an input is its sizes, or sizes and a dtype."""
    described = []
    for name, given in inputs.items():
        sizes, kind = given if isinstance(given, tuple) else (given, TensorProto.FLOAT)
        described.append(helper.make_tensor_value_info(name, kind, list(sizes)))
    ends = [
        helper.make_tensor_value_info(name, (kinds or {}).get(name, TensorProto.FLOAT), None)
        for name in outputs
    ]
    held = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    graph = helper.make_graph(list(nodes), "g", described, ends, held)
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def ask_ort(
    made: Any, feeds: Mapping[str, Array], *, optimized: bool = False, outputs: Any = None
) -> list[Array]:
    """Return what onnxruntime computes, one thread."""
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        made if isinstance(made, str) else made.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    result: list[Array] = session.run(outputs, dict(feeds))
    return result


def reals(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


__all__ = ["ask_ort", "model", "node", "onnx", "reals"]
