"""Whole networks: what the quantizer writes, the runtime computes to the bit.

Every scheme and every contract that the runtime executes, with one and two threads, on a network
with one of everything (`tests.refquant.model.small_cnn`), against the golden executor.
"""

from pathlib import Path

import pytest

from refquant.model.ends import to_inputs
from refquant.model.execute import run
from refquant.model.quantize import quantize
from refquant.model.recipe import Activations, Override, Recipe, Weights, recipe, recipe_names
from refquant.model.rq import write_rq
from refquant_runtime import Session
from tests.refquant.model.small_cnn import samples, small_cnn

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
    **{name: recipe(name) for name in recipe_names()},
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
