"""Dynamic: integers between two float32 worlds, ranges by each sample."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import dequantize
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.params import qparams_of
from refquant.model.quantize import quantize
from refquant.model.recipe import Override, Recipe, Weights, recipe
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import samples, small_cnn

F32 = np.float32


def test_structure() -> None:
    q = quantize(small_cnn(), recipe("w8a8_dynamic"))
    ops = {n.name: n.op for n in q.nodes if n.contract is not None}
    assert ops == {
        "x/quantize": "DynamicQuantizeLinear", "stem": "ConvIntegerToFloat",
        "stem.relu/quantize": "DynamicQuantizeLinear", "dw": "ConvIntegerToFloat",
        "dw.clip/quantize": "DynamicQuantizeLinear", "pw": "ConvIntegerToFloat",
        "mean/quantize": "DynamicQuantizeLinear", "side": "ConvIntegerToFloat",
        "flat/quantize": "DynamicQuantizeLinear", "fc": "MatMulIntegerToFloat",
        "fc.relu/quantize": "DynamicQuantizeLinear", "head": "MatMulIntegerToFloat",
    }, ops  # fmt: skip
    assert q.values["dw.b"].dtype == "float32", "biases stay float32"
    assert q.values["stem.weight"].dtype == "int8", "weights are int8"


def test_readers_of_one_value_share_its_codes() -> None:
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=F32))
    g = b.graph([b.node("MatMul", [x, w], name="left"), b.node("MatMul", [x, w], name="right")])
    q = quantize(g, recipe("w8a8_dynamic"))
    assert [n.op for n in q.nodes] == ["DynamicQuantizeLinear", *["MatMulIntegerToFloat"] * 2]
    assert q.nodes[1].inputs == q.nodes[2].inputs, "the same codes, the same weight"


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_a_gemm_becomes_a_product_with_columns(trans_b: int, granularity: str) -> None:
    rng = np.random.default_rng(3)
    w, bias = rng.standard_normal((4, 3)).astype(F32), rng.standard_normal(3).astype(F32)
    b = Builder("g")
    stored = b.constant("w", w.T.copy() if trans_b else w)
    operands = [b.input("x", ("N", 4)), stored, b.constant("b", bias)]
    g = b.graph([b.node("Gemm", operands, name="y", attributes={"transB": trans_b})])
    rules = Weights(granularity=granularity)
    q = quantize(g, Recipe("r", "dynamic", "ort", weights=rules))
    x = np.array([[0.0, 255, 17, 3]], F32)  # scale 1, zero point 0: codes are the values
    held = dequantize(q.constants["w"], qparams_of(q, "w"))
    # With these x every product is exact up to the weight's scale, the same for each term.
    expected = x.astype(float) @ held.astype(float) + bias
    got = run(q, {"x": x})["y"]
    assert np.abs(got - expected).max() <= 4 * 2.0**-24 * np.abs(expected).max(), (got, expected)


def test_a_sample_is_computed_by_itself() -> None:
    q = quantize(small_cnn(), recipe("w8a8_dynamic"))
    x = samples(3)["x"] * f32([[[[1]]], [[[100]]], [[[0.01]]]])
    together = run(q, {"x": x})["y"]
    alone = np.concatenate([run(q, {"x": x[i : i + 1]})["y"] for i in range(3)])
    assert together.tobytes() == alone.tobytes(), "the range is each sample's own"


def test_excluded_nodes_stay_float() -> None:
    rules = Override("*", op="Conv", exclude=True)
    q = quantize(small_cnn(), Recipe("r", "dynamic", "ort", weights=Weights(), overrides=(rules,)))
    assert {n.name for n in q.nodes if n.op == "DynamicQuantizeLinear"} == {
        "flat/quantize", "fc.relu/quantize",
    }, "only the two products are left"  # fmt: skip
    assert preset("ort") == q.contracts["ort"], "the contract travels along"
