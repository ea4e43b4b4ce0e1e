"""Means, and Softmax of codes: what the runtime refuses before it runs, by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.model.rq import write_rq
from refquant.ops.softmax import softmax_table
from refquant_runtime import Session
from refquant_runtime.errors import FormatError, UnsupportedError
from tests.runtime.zoo import graph_of, with_graph

Q = Quant(0.5, 3)
UNIT = Quant(2.0**-8, -128)


def mean(axes: tuple[int, ...], shape: tuple[int, ...] = (3, 4, 5)) -> Graph:
    b = Builder("mean")
    x = b.input("x", ("N", *shape), dtype="int8", quant=Q)
    y = b.node("ReduceMean", [x], attributes={"axes": axes}, contract=preset("xnnpack"),
               dtype="int8", quant=Quant(0.25, 0), name="m")  # fmt: skip
    return b.graph([y])


def soft(name: str = "tflite_reference") -> Graph:
    b = Builder("soft")
    x = b.input("x", ("N", 7), dtype="int8", quant=Q)
    contract = preset(name)
    table = softmax_table(QParams(np.float32(0.5), np.int32(3), None, "int8"), beta=1.0,
                          contract=contract)  # fmt: skip
    t = b.constant("t", table)
    y = b.node("Softmax", [x, t], contract=contract, dtype="int8", quant=UNIT, name="s")
    return b.graph([y])


def test_the_first_version_has_neither(tmp_path: Path) -> None:
    for graph in (mean((1,)), soft()):
        path = tmp_path / "m.rq"
        write_rq(path, graph)
        data = path.read_bytes()
        assert data.count(b'"refquant/2"') == 1, "a file of version 2"
        path.write_bytes(data.replace(b'"refquant/2"', b'"refquant/1"'))
        with pytest.raises(FormatError, match="as only refquant/2 has it"):
            Session(path)


def changed(path: Path, graph: Graph, *keys: Any, value: Any) -> None:
    """Write ``graph`` with the entry of its JSON at ``keys`` replaced."""
    write_rq(path, graph)
    data = path.read_bytes()
    tree: Any = graph_of(data)
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_bytes(with_graph(data, tree))


@pytest.mark.parametrize(
    ("graph", "keys", "value"),
    [
        (soft(), ("contracts", "tflite_reference", "softmax"), "unspecified"),
        (mean((1,)), ("contracts", "xnnpack", "mean"), "folded_multiplier"),
    ],
)
def test_another_arithmetic_under_a_known_name_is_refused(
    graph: Graph, keys: tuple[str, ...], value: str, tmp_path: Path
) -> None:
    changed(tmp_path / "m.rq", graph, *keys, value=value)
    with pytest.raises(UnsupportedError, match=f"axis '{keys[-1]}'"):
        Session(tmp_path / "m.rq")


@pytest.mark.parametrize(
    ("graph", "keys", "value", "message"),
    [
        (soft(), ("values", "s", "quant", "zero_point"), 0, "scale 1/256 and zero point -128"),
        (soft(), ("values", "t", "dtype"), "float32", "F32|float32|int32"),
        (soft(), ("nodes", 0, "inputs"), ["x"], "and its table do not fit"),
        (mean((1,)), ("nodes", 0, "attributes", "axes"), [0], "declared"),
        (mean((1,)), ("nodes", 0, "attributes", "axes"), [1, 1], "axes are different"),
        (mean((1,)), ("nodes", 0, "attributes", "axes"), [7], "axes"),
        (mean((1,)), ("nodes", 0, "attributes", "keepdims"), 2, "keepdims"),
    ],
)
def test_what_means_nothing_is_refused(
    graph: Graph, keys: tuple[Any, ...], value: Any, message: str, tmp_path: Path
) -> None:
    changed(tmp_path / "m.rq", graph, *keys, value=value)
    with pytest.raises(FormatError, match=message):
        Session(tmp_path / "m.rq")
