"""How the tests ask LiteRT: one model, one of its three ways to resolve operators."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

__all__ = ["ask", "interpreter"]


def interpreter(data: bytes, tool: str) -> Any:
    """Return LiteRT's interpreter of a model, its tensors allocated."""
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="asks its kernels; see `make outsiders`"
    )
    kinds = litert.OpResolverType
    resolver = {
        "xnnpack": kinds.AUTO,
        "tflite_reference": kinds.BUILTIN_REF,
        "tflite_builtin": kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }[tool]
    made = litert.Interpreter(
        model_content=data, experimental_op_resolver_type=resolver, num_threads=1
    )
    made.allocate_tensors()
    return made


def ask(data: bytes, tool: str, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the one output of every sample, one sample at a time."""
    it = interpreter(data, tool)
    (made,) = it.get_output_details()
    out = []
    for i in range(len(next(iter(feeds.values())))):
        for given in it.get_input_details():
            it.set_tensor(given["index"], feeds[given["name"]][i : i + 1])
        it.invoke()
        out.append(it.get_tensor(made["index"]).copy())
    return np.concatenate(out)
