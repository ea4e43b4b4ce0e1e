"""What compiled models are kept by, and what can be read of them and of their errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refquant_conformance.adapters.onnx_models import Model
from refquant_conformance.protocol import Array

__all__ = ["Compiled", "kernels_of", "key_of", "last_line"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled model's request, and the kernels in it."""

    request: Any
    kernels: str


def key_of(model: Model, feeds: Mapping[str, Array], *, of_data: bool = False) -> tuple[Any, ...]:
    """Return what a compiled model is kept by; ``of_data``, what its answer is."""
    shapes = tuple((name, array.shape) for name, array in feeds.items())
    data = tuple(array.tobytes() for array in feeds.values()) if of_data else ()
    return model.key, shapes, data


def kernels_of(compiled: Any) -> str:
    """Return the kernels of a compiled model, each once, but for its ends and constants."""
    found: dict[str, None] = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        layer, kernel = (about[key].astype(str) for key in ("layerType", "primitiveType"))
        if layer not in ("Const", "Input", "Output"):
            found[f"{layer}/{kernel}"] = None
    return " ".join(found)


def last_line(error: Exception) -> str:
    """Return the last line of an error: the lines before are places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
