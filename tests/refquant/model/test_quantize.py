"""The whole of it: every scheme and contract, against the float network; and what is refused."""

import re
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.ends import from_outputs, to_inputs
from refquant.model.execute import run
from refquant.model.graph import Graph, names_of
from refquant.model.metrics import agreement, sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import Activations, Override, Recipe, Weights, recipe, recipe_names
from refquant.model.rq import parse_rq, rq_bytes
from refquant.model.validate import validate
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

CONTRACTS = ("ort", "xnnpack", "tflite_reference")
SCHEMES = ("static", "full_integer", "dynamic", "weight_only")


def made(scheme: str, contract: str, granularity: str = "per_channel") -> Recipe:
    """Return a recipe of 8 bits."""
    calibrated = scheme in ("static", "full_integer")
    rules = Weights(granularity=granularity)
    return Recipe(scheme, scheme, contract, Activations() if calibrated else None, rules)


def _sqnr(graph: Graph, rules: Recipe, *, seed: int = 2) -> float:
    x = samples(32, seed=seed)
    q = quantize(graph, rules, samples(64))
    validate(q)
    assert parse_rq(rq_bytes(q), name="q") == q, "what is written is read"
    outputs = from_outputs(q, run(q, to_inputs(q, x)))
    (name,) = graph.outputs
    reference = run(graph, x)[name]
    assert agreement(reference, outputs[name]) == 1, "the same class for every sample"
    return sqnr_db(reference, outputs[name])


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_8_bits_stay_close_and_per_channel_is_closer(scheme: str, contract: str) -> None:
    graph = small_cnn(softmax=False)
    channels = _sqnr(graph, made(scheme, contract))
    tensor = _sqnr(graph, made(scheme, contract, "per_tensor"))
    # Uniform noise of one rounding to 8 bits is 10.8 + 6.02 * 8 - 20 log10(peak / rms) dB below a
    # signal; with a peak of 4 rms 47 dB. The dozen roundings on the way cost 10 log10(12) = 11 dB.
    assert channels >= 36, f"{scheme}, {contract}: {channels:.1f} dB"
    assert channels >= tensor, f"per channel {channels:.2f} dB, per tensor {tensor:.2f} dB"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_softmax_at_the_end(contract: str) -> None:
    assert _sqnr(small_cnn(), made("static", contract)) >= 36, "as above"


def test_folding_alone_is_float32() -> None:
    # A dozen layers of float32, each sum of at most 500 terms: far below 500 * 12 * 2^-24 = -69 dB.
    assert _sqnr(small_cnn(), recipe("float32")) >= 69, "the same function, in another order"


def test_a_normalization_is_folded_before_weights_get_their_codes() -> None:
    """Gains 1/2 and 127/2 turn weights (2, 1) into (1, 63.5): the scale is that of the latter.

    Were (2, 1) quantized first, in steps of 2/127, the codes would be (127, 64), and the gain lost.
    """
    b = Builder("g")
    x = b.input("x", ("N", 1))
    h = b.node("Gemm", [x, b.constant("w", np.array([[2, 1]], np.float32))], name="l")
    norm = {"scale": [0.5, 63.5], "offset": [0, 0], "mean": [0, 0], "var": [1, 1]}
    held = [b.constant(name, np.array(v, np.float32)) for name, v in norm.items()]
    y = b.node("BatchNormalization", [h, *held], attributes={"epsilon": 0.0}, name="y")
    q = quantize(b.graph([y]), made("weight_only", "ort", "per_tensor"), None)
    (node,) = [n for n in q.nodes if n.op == "Gemm"]
    w = node.inputs[1]
    quant = q.values[w].quant
    assert quant is not None, "weights are reals still"
    assert q.constants[w].reshape(-1).tolist() == [2, 127], f"{q.constants[w]}"
    scale = quant.scale if isinstance(quant.scale, float) else q.constants[quant.scale].item()
    assert scale == 0.5, f"63.5 in 127 steps: {scale}"


@pytest.mark.parametrize("name", recipe_names())
def test_the_same_bytes_every_time_however_the_data_come(name: str) -> None:
    data = samples(20)
    stream = ({"x": data["x"][i : i + 3]} for i in range(0, 20, 3))
    rules = fitted(recipe(name))
    once = rq_bytes(quantize(small_cnn(), rules, data))
    again = rq_bytes(quantize(small_cnn(), rules, stream))
    assert once == again, f"{name}: a file is a function of graph, recipe and data"


def test_meta_says_where_it_came_from() -> None:
    graph = small_cnn()
    graph.meta["source_sha256"] = "ab" * 32  # type: ignore[index]
    meta = quantize(graph, recipe("w8a8_tflite"), samples(5)).meta
    assert (meta["scheme"], meta["source_sha256"]) == ("static", "ab" * 32), meta
    assert meta["recipe"] == recipe("w8a8_tflite").to_json(), "the recipe, defaults written out"
    assert meta["calibration"]["samples"] == 5, meta["calibration"]
    assert re.fullmatch("[0-9a-f]{64}", meta["calibration"]["sha256"]["x"]), meta["calibration"]
    assert set(meta["tools"]) == {"refquant"}, "and nothing that differs between machines"
    assert "scheme" not in graph.meta, "the source is not touched"


def test_nodes_keep_their_names() -> None:
    before = {node.name for node in small_cnn().nodes}
    for name in recipe_names():
        q = quantize(small_cnn(), fitted(recipe(name)), samples(4))
        own = {node.name for node in q.nodes if "/" not in node.name}
        assert own <= before, f"{name}: new names {own - before}"
        assert {"stem", "dw", "pw", "residual", "head", "y"} <= own, f"{name}: {own}"


def _override(**keys: Any) -> Recipe:
    rules = keys.pop("overrides", None) or (Override(**keys),)
    return Recipe("r", "weight_only", "ort", weights=Weights(), overrides=rules)


def test_the_last_override_has_its_way() -> None:
    rules = (
        Override("*", weights={"bits": 4}),
        Override("p?", weights={"granularity": "per_tensor"}),
        Override("head", exclude=True),
        Override("fc", exclude=True),
        Override("f*", op="MatMul", weights={"bits": 2}),
    )
    q = quantize(small_cnn(), _override(overrides=rules))
    dtypes = {name: q.values[name].dtype for name in ("stem.weight", "pw.w", "head.w", "fc.w")}
    assert dtypes == {
        "stem.weight": "int4", "pw.w": "int4", "head.w": "float32", "fc.w": "int2",
    }, dtypes  # fmt: skip
    quant = q.values["pw.w"].quant
    assert quant is not None, "codes"
    assert quant.block_shape is None, "keys of several overrides add up"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"nodes": "conv*", "exclude": True}, "no node fits the pattern 'conv*'; after folding"),
        ({"nodes": "norm", "exclude": True}, "no node fits the pattern 'norm'"),
        ({"nodes": "STEM", "exclude": True}, "no node fits the pattern 'STEM'"),
        (
            {"nodes": "stem", "op": "Gemm", "exclude": True},
            "no node fits the pattern 'stem' and op 'Gemm'",
        ),
        (
            {"nodes": "*pool*", "op": "Add", "weights": {"bits": 4}},
            "no node fits the pattern '*pool*' and op 'Add'",
        ),
        (
            {"nodes": "residual", "weights": {"bits": 4}},
            "no node that fits the pattern 'residual' has a weight",
        ),
    ],
)
def test_an_override_that_changes_nothing(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        quantize(small_cnn(), _override(**keys))


def test_calibration_is_needed_where_it_is_used() -> None:
    with pytest.raises(ValueError, match="calibration data are missing"):
        quantize(small_cnn(), recipe("w8a8_tflite"))
    bad = samples(2)
    bad["x"][1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="calibration, input 'x': it is finite, got 1 NaN"):
        quantize(small_cnn(), recipe("w8a8_tflite"), bad)


def test_codes_are_not_quantized_again() -> None:
    q = quantize(small_cnn(), recipe("w8_weight_only"))
    with pytest.raises(ValueError, match=r"takes a float32 graph, but value '.*' is int8"):
        quantize(q, recipe("w8_weight_only"))


def test_a_graph_with_nothing_to_quantize() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    g = b.graph([b.node("Sub", [x, x], name="y")])
    q = quantize(g, recipe("w8a8_tflite"), {"x": np.ones((1, 2), np.float32)})
    assert [n.op for n in q.nodes] == ["Sub"], "no doors where nobody passes"
    assert preset("ort").name not in q.contracts, "and no contract"


@pytest.mark.parametrize("name", [n for n in recipe_names() if n != "float32"])
def test_a_model_may_have_the_names_that_we_would_give(name: str) -> None:
    """Whatever names quantization makes, a model that has them all computes the same."""
    rules, graph = fitted(recipe(name)), small_cnn(softmax=False)
    plain = quantize(graph, rules, samples(8))
    taken = names_of(plain) - names_of(graph)
    assert {n.rpartition("/")[2] for n in taken} & {"codes", "scale"}, f"names are made: {taken}"
    b = Builder(graph.name, list(graph.inputs), dict(graph.values), list(graph.nodes))
    b.constants.update(graph.constants)
    for other in sorted(taken):
        b.node("Neg", ["x"], name=other)
    full = quantize(b.graph([*graph.outputs, *sorted(taken)]), rules, samples(8))
    assert set(full.outputs) == {*graph.outputs, *taken}, "the model's names stay the model's"
    x = to_inputs(plain, samples(4, seed=9))
    expected = run(plain, x)
    got = run(full, x)
    for output, array in expected.items():
        assert got[output].tobytes() == array.tobytes(), f"{name}: {output} is another number"
