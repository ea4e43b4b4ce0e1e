"""The operators of LiteRT that move codes, as models."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters.litert_models import IMAGES, Model, Tensor
from refquant_conformance.adapters.litert_sheet import Sheet, padded, pair_of
from refquant_conformance.protocol import Case, Unsupported

__all__ = ["MOVED"]


def _concat(case: Case) -> Model:
    sheet = Sheet(case)
    a, b = sheet.flowing("a"), sheet.flowing("b")
    axis = int(case.params["axis"])  # type: ignore[arg-type]  # an axis is a number
    shape = list(case.inputs["a"].shape)
    shape[axis] += case.inputs["b"].shape[axis]
    y = sheet.result(tuple(shape))
    sheet.op("CONCATENATION", (a, b), y, "ConcatenationOptions", axis=axis)
    return sheet.model(y)


def _of_one_rule(case: Case) -> Case:
    """Return the case with the rule of input and output under the names that a sheet looks for."""
    rule = {
        f"{name}_{part}": case.inputs[part] for name in "xy" for part in ("scale", "zero_point")
    }
    return replace(case, inputs={"x": case.inputs["x"], **rule})


def _max_pool(case: Case) -> Model:
    sheet = Sheet(_of_one_rule(case))
    x = sheet.flowing("x", order=IMAGES)
    kernel, strides = pair_of(case, "kernel", (1, 1)), pair_of(case, "strides", (1, 1))
    _, padding, out = padded(sheet, x, kernel, strides, (1, 1), may_pad=False)
    n, channels = case.inputs["x"].shape[:2]
    y = sheet.result((n, *out, channels), order=IMAGES)
    options = {
        "padding": padding,
        **{"strideH": strides[0], "strideW": strides[1]},
        **{"filterHeight": kernel[0], "filterWidth": kernel[1]},
    }
    sheet.op("MAX_POOL_2D", (x,), y, "Pool2DOptions", **options)
    return sheet.model(y)


def _move(case: Case) -> Model:
    sheet, p = Sheet(_of_one_rule(case)), dict[str, Any](case.params)
    shape, kind = case.inputs["x"].shape, p["kind"]
    x = sheet.flowing("x")
    inputs: tuple[int, ...]

    def held(name: str, numbers: Any) -> int:
        array = np.array(numbers, np.int32)
        return sheet.add(Tensor(name, array.shape, "int32", array))

    if kind == "reshape":
        inputs, to = (x, held("shape", p["shape"])), tuple(p["shape"])
        code, table, options = "RESHAPE", "ReshapeOptions", {"newShape": list(p["shape"])}
    elif kind == "transpose":
        inputs, to = (x, held("perm", p["perm"])), tuple(shape[axis] for axis in p["perm"])
        code, table, options = "TRANSPOSE", "TransposeOptions", {}
    elif kind == "slice":
        ends = np.minimum(p["ends"], shape)
        to = tuple(int(n) for n in ends - np.array(p["starts"]))
        inputs = (x, held("begin", p["starts"]), held("size", to))
        code, table, options = "SLICE", "SliceOptions", {}
    elif kind == "gather":
        axis = p["axis"]
        inputs = (x, held("indices", p["indices"]))
        to = (*shape[:axis], len(p["indices"]), *shape[axis + 1 :])
        code, table, options = "GATHER", "GatherOptions", {"axis": axis}
    elif kind == "pad":
        by = np.array(p["pads"]).reshape(2, -1).T
        inputs, to = (x, held("pads", by)), tuple(int(n) for n in np.array(shape) + by.sum(1))
        code, table, options = "PAD", "PadOptions", {}
    elif kind == "concat":
        axis = p["axis"]
        inputs, to = (x, x), (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
        code, table, options = "CONCATENATION", "ConcatenationOptions", {"axis": axis}
    else:
        raise Unsupported(f"LiteRT does not move codes by {kind}")
    y = sheet.result(to)
    sheet.op(code, inputs, y, table, **options)
    return sheet.model(y)


def _resize(code: str) -> Callable[[Case], Model]:
    def make(case: Case) -> Model:
        sheet, p = Sheet(_of_one_rule(case)), dict[str, Any](case.params)
        x = sheet.flowing("x", order=IMAGES)
        held = np.array(p["size"], np.int32)
        to = sheet.add(Tensor("size", (2,), "int32", held))
        n, channels = case.inputs["x"].shape[:2]
        y = sheet.result((n, *p["size"], channels), order=IMAGES)
        table = {"RESIZE_BILINEAR": "ResizeBilinear"}.get(code, "ResizeNearestNeighbor")
        options = {
            "alignCorners": p["coordinates"] == "align_corners",
            "halfPixelCenters": p["coordinates"] == "half_pixel",
        }
        sheet.op(code, (x, to), y, f"{table}Options", **options)
        return sheet.model(y)

    return make


MOVED: Mapping[str, Callable[[Case], Model]] = MappingProxyType(
    {
        "qlinear_concat": _concat,
        "max_pool": _max_pool,
        "move": _move,
        "resize_nearest": _resize("RESIZE_NEAREST_NEIGHBOR"),
        "resize_bilinear": _resize("RESIZE_BILINEAR"),
    }
)
"""The operators of this family that LiteRT has."""
