"""Decoded weights: the same bits come out, of every kind of code."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.evaluation.decoded import decoded_weights
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.model.literals import i8

X = np.random.default_rng(6).standard_normal((40, 64)).astype(np.float32)
WEIGHT_ONLY = ("int8_weight_only", "int4_rtn", "int4_hqq", "nf4", "mxfp4", "nvfp4")
OTHERS = ("int8_dynamic", "int8_static", "int8_full_integer", "fp8_dynamic")


def net() -> Graph:
    rng = np.random.default_rng(5)
    b = Builder("net")
    ws = [b.constant(f"w{i}", rng.standard_normal((64, 64)).astype(np.float32)) for i in (1, 2)]
    h = b.node("Relu", [b.node("MatMul", [b.input("x", ("N", 64)), ws[0]], name="h")], name="r")
    return b.graph([b.node("MatMul", [h, ws[1]], name="y")])


@pytest.mark.parametrize("name", [*WEIGHT_ONLY, *OTHERS])
def test_the_same_bits_come_out(name: str) -> None:
    graph = quantize(net(), recipe(name), {"x": X})
    plain = decoded_weights(graph)
    coded = [n for n, v in plain.values.items() if n in ("w1", "w2") and v.quant is not None]
    x = {"x": X} if name != "int8_full_integer" else {"x": np.zeros((3, 64), np.int8)}
    assert run(plain, x)["y"].tobytes() == run(graph, x)["y"].tobytes(), name
    assert (name in WEIGHT_ONLY) <= (not coded), f"{name}: {coded} are still decoded in every run"
    assert graph.values.keys() == plain.values.keys(), "no name is new"


def test_what_is_read_as_codes_stays_codes() -> None:
    b = Builder("shared")
    x = b.input("x", ("N", 2))
    w = b.constant("w", i8([[1, 2], [3, 4]]), quant=Quant(0.5, 0))
    y = b.node("MatMul", [x, w], name="y", contract=preset("ort"))
    graph = b.graph([y])
    assert decoded_weights(graph).constants["w"].dtype == np.float32, "one reader, a product"
    table = b.node("DequantizeLinear", [w], name="table", contract=preset("ort"))
    graph = b.graph([y, b.node("MatMul", [x, table], name="z")])
    assert decoded_weights(graph).constants["w"].dtype == np.int8, "another reader wants codes"


def test_a_float_model_is_itself() -> None:
    assert decoded_weights(net()) == net()
