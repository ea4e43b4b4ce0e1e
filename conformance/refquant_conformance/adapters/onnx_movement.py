"""The nodes that move codes in ONNX, on codes (``MOVED``) and between pairs (``MOVED_PAIRS``).

Where elements go is said by constants of the model. On codes the padding of Pad is the zero point;
between pairs it is the real 0.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters.onnx_models import MICROSOFT, Node, Parts
from refquant_conformance.protocol import Array, Case, Unsupported

__all__ = ["MOVED", "MOVED_PAIRS"]

Constants = dict[str, tuple[str, Array]]


def _qlinear_concat(case: Case) -> Parts:
    rules = [(f"{name}_scale", f"{name}_zero_point") for name in ("y", "a", "b")]
    inputs = (*rules[0], "a", *rules[1], "b", *rules[2])
    attributes = {"axis": case.params["axis"]}
    return Parts((Node("QLinearConcat", inputs, ("y",), attributes, MICROSOFT),))


def _concat_of_reals(case: Case) -> Parts:
    first = [
        Node("DequantizeLinear", (name, f"{name}_scale", f"{name}_zero_point"), (f"real_{name}",))
        for name in ("a", "b")
    ]
    middle = Node("Concat", ("real_a", "real_b"), ("real_y",), {"axis": case.params["axis"]})
    return Parts((*first, middle, Node("QuantizeLinear", ("real_y", "y_scale", "y_zero_point"))))


def _window(case: Case) -> dict[str, Any]:
    return {
        "kernel_shape": case.params["kernel"],
        "strides": case.params["strides"],
        "pads": case.params["pads"],
    }


def _whole(*numbers: Any) -> tuple[str, Array]:
    return "int64", np.array(numbers, np.int64)


def _move(case: Case, x: str, y: str) -> tuple[Node, Constants]:
    """Return the node from ``x`` to ``y``, and its constants."""
    p: dict[str, Any] = dict(case.params)
    kind = p["kind"]
    if kind == "reshape":
        return Node("Reshape", (x, "shape"), (y,)), {"shape": _whole(*p["shape"])}
    if kind == "transpose":
        return Node("Transpose", (x,), (y,), {"perm": p["perm"]}), {}
    if kind == "slice":
        held = {"starts": _whole(*p["starts"]), "ends": _whole(*p["ends"])}
        return Node("Slice", (x, "starts", "ends"), (y,)), held
    if kind == "gather":
        held = {"indices": _whole(*p["indices"])}
        return Node("Gather", (x, "indices"), (y,), {"axis": p["axis"]}), held
    if kind == "pad":
        held = {"pads": _whole(*p["pads"])}
        inputs = (x, "pads") if x == "real_x" else (x, "pads", "fill")
        if x != "real_x":
            held["fill"] = (case.types["x"], case.inputs["zero_point"])
        return Node("Pad", inputs, (y,)), held
    if kind == "concat":
        return Node("Concat", (x, x), (y,), {"axis": p["axis"]}), {}
    raise Unsupported(f"ONNX does not move codes by {kind}")


def _max_pool(case: Case, x: str, y: str) -> tuple[Node, Constants]:
    return Node("MaxPool", (x,), (y,), _window(case)), {}


_NEAREST = {"asymmetric": "floor"}


def _resize(mode: str) -> "Step":
    def step(case: Case, x: str, y: str) -> tuple[Node, Constants]:
        p: dict[str, Any] = dict(case.params)
        attributes = {
            "mode": mode,
            "coordinate_transformation_mode": p["coordinates"],
            "nearest_mode": _NEAREST.get(p["coordinates"], "round_prefer_ceil"),
        }
        held = {"sizes": _whole(*case.inputs["x"].shape[:2], *p["size"])}
        return Node("Resize", (x, "", "", "sizes"), (y,), attributes), held

    return step


Step = Callable[[Case, str, str], tuple[Node, Constants]]


def _on_codes(step: Step) -> Callable[[Case], Parts]:
    def make(case: Case) -> Parts:
        node, held = step(case, "x", "y")
        return Parts((node,), held)

    return make


def _between(step: Step) -> Callable[[Case], Parts]:
    def make(case: Case) -> Parts:
        node, held = step(case, "real_x", "real_y")
        first = Node("DequantizeLinear", ("x", "scale", "zero_point"), ("real_x",))
        last = Node("QuantizeLinear", ("real_y", "scale", "zero_point"))
        return Parts((first, node, last), held)

    return make


MOVED: Mapping[str, Callable[[Case], Parts]] = MappingProxyType(
    {
        "qlinear_concat": _qlinear_concat,
        "max_pool": _on_codes(_max_pool),
        "move": _on_codes(_move),
        "resize_nearest": _on_codes(_resize("nearest")),
        "resize_bilinear": _on_codes(_resize("linear")),
    }
)
"""Operators on codes, by name."""

MOVED_PAIRS: Mapping[str, Callable[[Case], Parts]] = MappingProxyType(
    {
        "qlinear_concat": _concat_of_reals,
        "max_pool": _between(_max_pool),
        "move": _between(_move),
        "resize_nearest": _between(_resize("nearest")),
        "resize_bilinear": _between(_resize("linear")),
    }
)
"""Float operators between pairs, by name."""
