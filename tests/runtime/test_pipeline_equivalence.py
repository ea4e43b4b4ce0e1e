"""Whole networks: what the quantizer writes, the runtime computes to the bit.

Every scheme and every contract that the runtime executes, with one and two threads, on a network
with one of everything (`tests.refquant.model.small_cnn`), against the golden executor.
"""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.ends import to_inputs
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import Activations, Override, Recipe, Weights, recipe, recipe_names
from refquant.model.rq import write_rq
from refquant_runtime import Session
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

CONTRACTS = ("ort", "xnnpack", "tflite_reference")


def _made(scheme: str, contract: str, dtype: str, weights: Weights) -> Recipe:
    calibrated = scheme in ("static", "full_integer")
    asked = scheme == "full_integer" and contract != "ort"  # whose Softmax has no integer form
    return Recipe(
        "r",
        scheme,
        contract,
        Activations(dtype) if calibrated else None,
        weights,
        (Override("y", exclude=True),) if asked else (),
    )


RECIPES = {
    **{
        name: fitted(recipe(name))
        for name in recipe_names()
        if recipe(name).scheme != "simulated"  # refused by name: test_reference_only.py
    },
    **{
        f"{scheme}-{contract}-{dtype}": _made(scheme, contract, dtype, Weights())
        for scheme in ("static", "full_integer")
        for contract in CONTRACTS
        for dtype in ("int8", "uint8")
    },
    **{
        f"{scheme}-{contract}": _made(scheme, contract, "int8", Weights())
        for scheme in ("dynamic", "weight_only")
        for contract in CONTRACTS
    },
    "static-asymmetric": _made("static", "ort", "uint8", Weights(symmetric=False)),
    "static-4-bits": _made("static", "tflite_reference", "int8", Weights(4, False, "per_tensor")),
    "weight_only-groups": _made("weight_only", "ort", "", Weights(2, False, "group", 5)),
    "weight_only-3-bits": _made("weight_only", "ort", "", Weights(3, False, "group", 5)),
    "weight_only-6-bits": _made("weight_only", "ort", "", Weights(6)),
    "nf4-groups": _made("weight_only", "ort", "", Weights(group_size=5, format="nf4")),
    "fp8-per-tensor": _made(
        "weight_only", "ort", "", Weights(granularity="per_tensor", format="fp8_e4m3")
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_runtime_computes_the_quantized_network(name: str, tmp_path: Path) -> None:
    graph = quantize(small_cnn(), RECIPES[name], samples(32))
    write_rq(tmp_path / "m.rq", graph)
    x = to_inputs(graph, samples(5, seed=4))
    expected = run(graph, x)["y"]
    for threads in (1, 2):
        session = Session(tmp_path / "m.rq", threads=threads)
        got = session.run(x)["y"]
        session.close()
        assert got.dtype == expected.dtype, f"{name}: {got.dtype}"
        assert got.tobytes() == expected.tobytes(), f"{name}, {threads} threads: other bits"


def normalized_behind_relu() -> Graph:
    """Two normalizations that nothing can absorb: behind an activation, and at the input."""
    rng = np.random.default_rng(5)
    b = Builder("g")

    def norm(x: str, channels: int, name: str) -> str:
        parts = zip(("s", "o", "m", "v"), rng.standard_normal((4, channels)), strict=True)
        names = [b.constant(f"{name}{k}", (np.abs(a) + 0.5).astype(np.float32)) for k, a in parts]
        return b.node("BatchNormalization", [x, *names], name=name)

    def weight(name: str, *shape: int) -> str:
        return b.constant(name, rng.standard_normal(shape).astype(np.float32))

    h = norm(b.input("x", ("N", 2, 5, 5)), 2, "first")
    h = b.node("Relu", [b.node("Conv", [h, weight("w", 6, 2, 3, 3)], name="conv")], name="relu")
    h = b.node("Flatten", [norm(h, 6, "second")])
    h = b.node("Relu", [b.node("Gemm", [h, weight("w2", 54, 3)])])
    return b.graph([norm(h, 3, "y")])


def _fits(asked: Recipe) -> bool:
    """Whether the network below has what a recipe asks for: it has nothing to smooth."""
    smooth = asked.transforms is not None and asked.transforms.smooth is not None
    return not asked.overrides and not smooth


@pytest.mark.parametrize("name", [n for n in RECIPES if _fits(RECIPES[n])])
def test_a_normalization_that_cannot_be_folded_is_executed(name: str, tmp_path: Path) -> None:
    data = np.random.default_rng(6).standard_normal((20, 2, 5, 5)).astype(np.float32)
    graph = quantize(normalized_behind_relu(), RECIPES[name], {"x": data})
    write_rq(tmp_path / "m.rq", graph)
    x = to_inputs(graph, {"x": data[:5]})
    expected = run(graph, x)["y"]
    session = Session(tmp_path / "m.rq", threads=2)
    got = session.run(x)["y"]
    session.close()
    assert got.tobytes() == expected.tobytes(), f"{name}: other bits"
