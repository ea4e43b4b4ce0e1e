"""JSON to graph and back: each field of section 2 missing, unknown and of another type."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from refquant.model.graph import Graph
from refquant.model.rq_graph import FieldError, graph_from_json, graph_to_json
from refquant.model.rq_json import dumps, loads


def test_writing_and_reading_are_inverse(graph: Graph) -> None:
    tree = loads(dumps(graph_to_json(graph)))
    assert graph_from_json(tree, graph.constants) == graph, "graph -> JSON -> graph"
    assert graph_to_json(graph_from_json(tree, {})) == tree, "JSON -> graph -> JSON"


def _set(tree: Any, path: list[Any], value: Any) -> Any:
    """Return a copy of ``tree`` with another ``value`` at ``path``."""
    tree = copy.deepcopy(tree)
    at = tree
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return tree


NODE = ["nodes", 1]  # the Conv of quantized_cnn
QUANT = ["values", "w1", "quant"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["name"], 1, r"graph\.name is a string"),
        (["inputs"], "x", r"graph\.inputs is a list"),
        (["inputs", 0], None, r"graph\.inputs\[0\] is a string"),
        (["outputs"], {}, r"graph\.outputs is a list"),
        (["values"], [], r"graph\.values is an object"),
        (["nodes"], {}, r"graph\.nodes is a list"),
        (["meta"], [], r"graph\.meta is an object"),
        (["contracts"], [], r"graph\.contracts is an object"),
        (["more"], 1, "unknown key 'more'"),
        (["values", "x"], [], r"values\['x'\] is an object"),
        (["values", "x", "more"], 1, r"values\['x'\] has the unknown key 'more'"),
        (["values", "x", "dtype"], 8, "dtype is a string"),
        (["values", "x", "shape"], 8, "shape is a list"),
        (["values", "x", "shape", 0], "M", "shape is a list of integers, or 'N'"),
        (["values", "x", "shape", 0], 1.0, "shape is a list of integers"),
        (["values", "x", "shape", 0], True, "shape is a list of integers"),
        (["values", "x", "quant"], None, "quant is an object"),
        ([*QUANT, "more"], 1, "unknown key 'more'"),
        ([*QUANT, "scale"], True, r"quant\.scale is a number or"),
        ([*QUANT, "scale"], [1], r"quant\.scale is a number or"),
        ([*QUANT, "zero_point"], 0.0, r"quant\.zero_point is an integer or"),
        ([*QUANT, "zero_point"], None, r"quant\.zero_point is an integer or"),
        ([*QUANT, "block_shape"], 3, r"quant\.block_shape is a list of integers"),
        ([*QUANT, "block_shape"], [1.5], r"quant\.block_shape is a list of integers"),
        (NODE, 3, r"nodes\[1\] is an object"),
        ([*NODE, "more"], 1, r"nodes\[1\] has the unknown key 'more'"),
        ([*NODE, "name"], None, r"nodes\[1\]\.name is a string"),
        ([*NODE, "op"], 3, r"nodes\[1\]\.op is a string"),
        ([*NODE, "inputs"], "x", r"nodes\[1\]\.inputs is a list"),
        ([*NODE, "outputs"], [3], r"nodes\[1\]\.outputs\[0\] is a string"),
        ([*NODE, "contract"], None, r"nodes\[1\]\.contract is a string"),
        ([*NODE, "attributes"], [], r"nodes\[1\]\.attributes is an object"),
        ([*NODE, "attributes", "pads"], [1.0], r"attributes\.pads is a list of integers"),
        ([*NODE, "attributes", "pads"], None, r"attributes\.pads is a list of integers"),
        ([*NODE, "attributes", "pads"], True, r"attributes\.pads is a list of integers"),
        ([*NODE, "attributes", "pads"], {"a": 1}, r"attributes\.pads is a list of integers"),
        (["contracts", "onnx"], 1, r"contracts\['onnx'\] is an object"),
        (["contracts", "onnx", "more"], 1, "unknown axis 'more'"),
        (["contracts", "onnx", "rounding"], "nearest", "unknown value 'nearest'"),
        (["contracts", "onnx", "negative_scale"], 0, "must be a bool"),
        (["contracts", "onnx", "rounding"], ["half_even"], "must be a str"),
        (["contracts", "onnx", "zero_range_scale"], 10**18 + 1, "zero_range_scale"),
    ],
)
def test_a_field_of_another_type_or_unknown_is_refused_by_name(
    zoo: Mapping[str, Graph], path: list[Any], value: Any, message: str
) -> None:
    tree = loads(dumps(graph_to_json(zoo["quantized_cnn"])))
    with pytest.raises(FieldError, match=message):
        graph_from_json(_set(tree, path, value), {})


@pytest.mark.parametrize(
    "path",
    [
        *([key] for key in ("name", "inputs", "outputs", "values", "nodes", "contracts", "meta")),
        *(["values", "x", key] for key in ("dtype", "shape")),
        *([*QUANT, key] for key in ("scale", "zero_point")),
        *([*NODE, key] for key in ("name", "op", "inputs", "outputs", "attributes")),
        ["contracts", "onnx", "rounding"],
    ],
)
def test_a_missing_field_is_refused_by_name(zoo: Mapping[str, Graph], path: list[Any]) -> None:
    tree = loads(dumps(graph_to_json(zoo["quantized_cnn"])))
    at = tree
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    with pytest.raises(FieldError, match=f"(lacks the key|axis) '{path[-1]}'"):
        graph_from_json(tree, {})


def test_the_graph_is_an_object() -> None:
    with pytest.raises(FieldError, match="graph is an object"):
        graph_from_json([], {})
