"""Dynamic codes: onnxruntime's float32 results are ours, bit for bit; weights of few bits."""

from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import OnnxExportError, draft_onnx, ends, onnx_bytes
from refquant.model.graph import Graph, Quant
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.ops.quantize_linear import dynamic_quantize_linear
from tests.refquant.model.exporters.onnx_runs import LEVELS, differing, run_onnx, session
from tests.refquant.model.test_quantize_recurrent import data, model

ORT = preset("ort")
FORMS = ("qdq", "qoperator")


def _layers(rng: np.random.Generator, *, bias: bool) -> Graph:
    """A convolution and a product, nothing else that could round."""
    b = Builder("g")
    rest = [b.constant("cb", rng.standard_normal(4).astype(np.float32))] if bias else []
    w = b.constant("cw", rng.standard_normal((4, 2, 3, 3)).astype(np.float32))
    given = {"pads": (1, 1, 1, 1), "strides": (2, 2)}
    h = b.node("Conv", [b.input("x", ("N", 2, 6, 6)), w, *rest], name="c", attributes=given)
    h = b.node("Flatten", [b.node("Relu", [h])])
    rest = [b.constant("mb", rng.standard_normal(5).astype(np.float32))] if bias else []
    w = b.constant("mw", rng.standard_normal((5, 36)).astype(np.float32))
    return b.graph([b.node("Gemm", [h, w, *rest], name="y", attributes={"transB": 1})])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
def test_scales_codes_and_reals_are_ours(bias: bool, form: str, level: str) -> None:
    rng = np.random.default_rng(4)
    graph = quantize(_layers(rng, bias=bias), recipe("w8a8_dynamic"))
    assert graph.nodes[0].op == "DynamicQuantizeLinear", "the scheme"
    x = rng.standard_normal((6, 2, 6, 6)).astype(np.float32) * np.float32(3)
    x[0], x[1] = 0, np.abs(x[1])  # a range of nothing, and one without negative numbers
    wrong = differing(graph, {"x": x}, form=form, level=level)
    assert not wrong, f"{form} {level}: {wrong}"


def test_the_batch_is_one_sample() -> None:
    """ONNX takes the range of all it is given, a `.rq` file that of each sample."""
    graph = quantize(_layers(np.random.default_rng(1), bias=True), recipe("w8a8_dynamic"))
    assert ends(graph)["inputs"] == [("x", "float32", [1, 2, 6, 6])], f"{ends(graph)}"


def test_integer_products_are_themselves() -> None:
    b = Builder("g")
    rng = np.random.default_rng(2)
    w = b.constant("w", rng.integers(-128, 128, (6, 3)).astype(np.int8))
    x, zero = b.input("x", ("N", 6), dtype="uint8"), b.constant("z", np.array(7, np.uint8))
    graph = b.graph([b.node("MatMulInteger", [x, w, zero], name="y", contract=ORT)])
    feeds = {"x": rng.integers(0, 256, (5, 6)).astype(np.uint8)}
    for form in FORMS:
        assert not differing(graph, feeds, form=form, level=LEVELS[1]), form


@pytest.mark.parametrize("dtype", ["int4", "uint8"])
def test_groups_of_a_turned_matrix_and_a_bias(dtype: str) -> None:
    """Small integers: every sum is exact, in whatever order it is made."""
    rng = np.random.default_rng(3)
    b = Builder("g")
    s = b.constant("w/s", np.exp2(rng.integers(-2, 2, (5, 3))).astype(np.float32))
    z = b.constant("w/z", rng.integers(0, 7, (5, 3)).astype(np.int32))
    low = -8 if dtype == "int4" else 0
    array = rng.integers(low, low + 16, (5, 40)).astype("int8" if dtype == "int4" else "uint8")
    w = b.constant("w", array, dtype=dtype, quant=Quant(s, z, (1, 16)))
    bias = b.constant("bias", np.arange(5, dtype=np.float32))
    graph = b.graph([b.node("Gemm", [b.input("x", ("N", 40)), w, bias], name="y",
                            attributes={"transB": 1}, contract=ORT)])  # fmt: skip
    ops = [made.op for made in draft_onnx(graph, form="qoperator").nodes]
    assert ops == ["MatMulNBits", "Add"], f"{ops}"
    x = rng.integers(-8, 8, (4, 40)).astype(np.float32)
    for form in FORMS:
        assert not differing(graph, {"x": x}, form=form, level=LEVELS[0]), form


@pytest.mark.parametrize("name", ["w4_group32_weight_only", "w8_weight_only"])
def test_products_of_weights_of_codes_are_in_float32(name: str) -> None:
    """Within what any order of float32 sums may do: n 2^-24 sum |x w| (Higham, section 3.1)."""
    rng = np.random.default_rng(5)
    b = Builder("g")
    w = b.constant("w", rng.standard_normal((128, 8)).astype(np.float32))
    graph = b.graph([b.node("MatMul", [b.input("x", ("N", 128)), w], name="y")])
    graph = quantize(graph, recipe(name))
    x = rng.standard_normal((8, 128)).astype(np.float32)
    got, fused = (
        session(onnx_bytes(graph, form=form), level=LEVELS[1]).run(["y"], {"x": x})[0]
        for form in ("qoperator", "qdq")
    )
    weight = run(graph, {"x": np.eye(128, dtype=np.float32)})["y"].astype(np.float64)
    exact, bound = x @ weight, 130 * 2.0**-24 * (np.abs(x) @ np.abs(weight))
    assert (np.abs(got - exact) <= bound).all(), "in whatever order"
    why = "onnxruntime fuses a pair to MatMulNBits with activations of 8 bits; it does no more"
    assert (np.abs(fused - exact) > bound).any(), f"{why}: take it out of the docs"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_an_lstm_of_the_recipe_has_our_codes_in_onnxruntime(direction: str, form: str) -> None:
    """The codes of every state are the same; sigmoid and tanh of the two are 2^-21 apart."""
    graph = model(direction=direction, states=("h", "c"), bias="constant")
    made = replace(quantize(graph, recipe("int8_dynamic")), outputs=("y", "yh", "yc"))
    feeds = data(graph, 4)
    names = ["y", "yh", "yc"]
    ours = run(made, feeds)
    for n in range(4):
        one = {name: array[n : n + 1] for name, array in feeds.items()}
        theirs = run_onnx(onnx_bytes(made, form=form), one, names, level=LEVELS[1])
        for t, i in np.ndindex(theirs["y"].shape[1:3]):
            mine, other = (
                dynamic_quantize_linear(y[t, i], ORT)[0] for y in (ours["y"][n], theirs["y"][0])
            )
            assert np.array_equal(mine, other), f"sample {n}, step {t}: the next product's codes"
        # A step adds to c at most 3 such errors and those of its scale, of the size of c.
        bound = 4 * 8 * 2.0**-21 * (1 + np.abs(theirs["yc"]).max())
        for name in names:
            apart = np.abs(ours[name][n] - theirs[name][0]).max()
            assert apart <= bound, f"{name}: {apart} apart, {bound} is the bound"


@pytest.mark.parametrize("form", FORMS)
def test_a_gru_of_dynamic_codes_is_refused_by_name(form: str) -> None:
    made = quantize(model("GRU"), recipe("int8_dynamic"))
    said = r"walk \(DynamicQuantizeGRU\): neither ONNX nor onnxruntime has .*; exclude it, or give"
    with pytest.raises(OnnxExportError, match=said):
        onnx_bytes(made, form=form)
