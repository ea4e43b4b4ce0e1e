"""Nodes of dynamic range: what the table asks of them, and the file that holds them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.rq import read_rq, write_rq


def layer(
    contract: Contract | None = None, *, symmetric: Any = 1, zero_point: int = 0, bias: Any = None,
    weight: Any = None, op: str = "MatMulDynamicRange",
) -> Graph:  # fmt: skip
    b = Builder("g")
    x = b.input("x", ("N", 3) if op.startswith("MatMul") else ("N", 3, 4))
    shape = (3, 2) if op.startswith("MatMul") else (2, 3, 1)
    codes = np.arange(6).reshape(shape) if weight is None else weight
    w = b.constant("w", codes.astype(np.int8), dtype="int8", quant=Quant(0.5, zero_point))
    held = b.constant("b", np.ones(2, np.float32) if bias is None else bias)
    y = b.node(
        op, [x, w, held], name="y", attributes={"symmetric": symmetric},
        contract=contract or preset("tflite_hybrid"),
    )  # fmt: skip
    return b.graph([y])


@pytest.mark.parametrize("op", ["MatMulDynamicRange", "ConvDynamicRange"])
def test_the_file_keeps_it(op: str, tmp_path: Path) -> None:
    graph = layer(op=op)
    write_rq(tmp_path / "m.rq", graph)
    back = read_rq(tmp_path / "m.rq")
    shape = (5, 3) if op.startswith("MatMul") else (5, 3, 4)
    x = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    assert np.array_equal(run(back, x)["y"], run(graph, x)["y"]), "the same reals"
    assert b"refquant/2" in (tmp_path / "m.rq").read_bytes(), "the version that has the operator"


def test_samples_do_not_see_each_other() -> None:
    graph, x = layer(op="ConvDynamicRange"), np.ones((2, 3, 4), np.float32)
    x[1] *= 1000
    both = run(graph, {"x": x})["y"]
    assert np.array_equal(both[:1], run(graph, {"x": x[:1]})["y"]), "a range is a sample's own"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"contract": preset("xnnpack")}, "requantize 'float_rne', which gives codes"),
        ({"symmetric": 2}, r"attribute symmetric is one of \[0, 1\]"),
        ({"zero_point": 3}, "zero point of the weight 'w' is 0"),
        ({"bias": np.zeros(2, np.int32)}, "'b' is float32 without quant"),
        ({"bias": np.zeros(3, np.float32)}, "the bias"),
    ],
)
def test_what_it_is_not(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer(**given)


def test_a_contract_of_reals_is_for_no_layer_of_codes() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 3), dtype="int8", quant=Quant(0.5, 0))
    w = b.constant("w", np.ones((3, 2), np.int8), dtype="int8", quant=Quant(0.5, 0))
    y = b.node("MatMul", [x, w], name="y", contract=preset("tflite_hybrid"), dtype="int8",
               quant=Quant(1.0, 0))  # fmt: skip
    with pytest.raises(ValueError, match="leaves a quantized MatMul unspecified"):
        b.graph([y])
