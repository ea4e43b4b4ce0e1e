"""SmoothQuant and AWQ in a graph: the scales of the papers, on what the float model makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.awq import awq
from refquant.algorithms.smoothquant import smoothing_scale
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.checkpoint import open_checkpoint
from refquant.model.execute import run
from refquant.model.frontier import hold
from refquant.model.graph import Graph
from refquant.model.metrics import sqnr_db
from refquant.model.migrate import awq_scales, smooth_scales, wants_scales
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe, recipe
from refquant.model.recipe_rules import Weights

F32 = np.float32


def outliers() -> tuple[Graph, dict[str, Any]]:
    """A norm with two loud channels before three products: what transformers have."""
    rng = np.random.default_rng(8)
    b = Builder("g")
    gain = np.ones(32, F32)
    gain[[3, 17]] = 60
    h = b.node("RMSNormalization", [b.input("x", ("N", 32)), b.constant("g", gain)], name="h")
    parts = [
        b.node("MatMul", [h, b.constant(f"w{i}", (rng.standard_normal((32, 16)) / 6).astype(F32))],
               name=f"y{i}")
        for i in range(3)
    ]  # fmt: skip
    return b.graph(parts), {"x": rng.standard_normal((300, 32)).astype(F32)}


def test_smoothing_is_the_formula_on_the_largest_activations() -> None:
    graph, data = outliers()
    made, (record,) = smooth_scales(graph, hold(graph, data), alpha=0.5, sums="ordered", store=None)
    h = run(graph, data, keep=["h"])["h"]
    weights = [graph.constants[f"w{i}"].T.copy() for i in range(3)]
    s = smoothing_scale(np.abs(h).max(axis=0), weights, alpha=0.5)
    assert made.constants["g"].tobytes() == (graph.constants["g"] / s).tobytes(), "the norm"
    for i, w in enumerate(weights):
        assert made.constants[f"w{i}"].tobytes() == (w * s).T.copy().tobytes(), f"w{i}"
    assert record["readers"] == ["y0", "y1", "y2"], record
    assert record["largest"] == float(s.max()), record


def test_a_channel_that_never_showed_is_not_scaled() -> None:
    graph, data = outliers()
    data["x"][:, 5] = 0
    made, _ = smooth_scales(graph, hold(graph, data), alpha=0.5, sums="ordered", store=None)
    assert made.constants["g"][5] == graph.constants["g"][5], "nothing is known of it"


def test_smoothquant_beats_plain_8_bits_where_channels_are_loud() -> None:
    """The witness of the paper, on one layer: both sides in 8 bits."""
    graph, data = outliers()
    reference = run(graph, data)["y0"]
    both = recipe("int8_dynamic"), recipe("w8a8_smoothquant")
    plain, smooth = (
        sqnr_db(reference, run(quantize(graph, rules, data), data)["y0"]) for rules in both
    )
    assert smooth > plain + 3, f"smoothed {smooth:.1f} dB, plain {plain:.1f} dB"


def test_nothing_to_smooth_is_an_error() -> None:
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=F32))
    graph = b.graph([b.node("MatMul", [x, w], name="y")])
    with pytest.raises(ValueError, match=r"transforms.smooth: no norm and no linear layer"):
        quantize(graph, recipe("w8a8_smoothquant"), {"x": np.ones((3, 2), F32)})


AWQ = Weights(4, False, "group", 16, algorithm="awq")


def test_awq_is_the_search_of_the_paper_on_all_readers() -> None:
    graph, data = outliers()
    rules = {f"y{i}": AWQ for i in range(3)}
    held, ort = hold(graph, data), preset("awq")
    made, (record,) = awq_scales(graph, rules, held, contract=ort, sums="ordered", store=None)
    h = run(graph, data, keep=["h"])["h"]
    weights = [graph.constants[f"w{i}"].T.copy() for i in range(3)]
    found = awq(weights, h, num_bits=4, group_size=16, flavour="llm_awq", clip=False).search
    assert record["ratio"] == found.ratio, f"{record} is not {found.ratio}"
    assert record["ratio"] > 0, "loud channels deserve larger weights"
    expected = graph.constants["g"] / found.scale
    # The mean of |x| is summed in two orders: at most an ulp apart, and so is its power.
    ulps = np.abs(made.constants["g"].view(np.int32) - expected.view(np.int32)).max()
    assert ulps <= 4, f"{ulps} ulps from the algorithm on the same inputs"
    assert record["loss"] < record["loss_before"], record


def test_groups_that_disagree_are_left_alone() -> None:
    graph, data = outliers()
    held = hold(graph, data)
    for other in (Weights(4), Weights(3, False, "group", 16, algorithm="awq"), None):
        rules = {"y0": AWQ, "y1": AWQ} | ({} if other is None else {"y2": other})
        made, records = awq_scales(
            graph, rules, held, contract=preset("ort"), sums="ordered", store=None
        )
        assert records == [], f"{other}: {records}"
        assert made == graph, "nothing moves"
    assert not wants_scales({"y": Weights(4, algorithm="awq", awq={"scale": False})}), "told so"  # type: ignore[arg-type]  # a table becomes settings


def test_scales_are_read_from_a_checkpoint_without_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, data = outliers()
    rules, held = {f"y{i}": AWQ for i in range(3)}, hold(graph, data)
    store = open_checkpoint(tmp_path / "p", {}, resume=False)
    given = {"contract": preset("ort"), "sums": "ordered", "store": store}
    first = awq_scales(graph, rules, held, **given)  # type: ignore[arg-type]  # of three types
    monkeypatch.setattr("refquant.model.migrate.search_scale", None)
    again = awq_scales(graph, rules, held, **given)  # type: ignore[arg-type]  # of three types
    assert again == first, "the same graph and the same record"


@pytest.mark.parametrize("name", ["int4_awq", "w8a8_smoothquant"])
def test_however_the_data_come_the_scales_are_the_same(name: str) -> None:
    graph, data = outliers()
    rules = recipe(name)
    parts = ({"x": data["x"][i : i + 7]} for i in range(0, 300, 7))
    once, again = quantize(graph, rules, data), quantize(graph, rules, parts)
    assert once == again, "a function of the data, not of their cut"


def test_smooth_is_a_number_from_0_to_1() -> None:
    for wrong in ("1.5", "true", '"half"'):
        with pytest.raises(ValueError, match=r"transforms.smooth: a number from 0 to 1"):
            parse_recipe(f'scheme = "float32"\n[transforms]\nsmooth = {wrong}', name="r")
