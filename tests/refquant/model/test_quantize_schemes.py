"""The two ways to a quantized graph: what is scaled, corrected and coded is one model."""

from dataclasses import replace

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.reals import reals
from refquant.model.recipe import Transforms, parse_recipe, recipe
from tests.refquant.model.small_cnn import samples, small_cnn

AWQ8 = """
scheme = "weight_only"
contract = "ort"
[weights]
bits = 8
symmetric = false
algorithm = "awq"
awq = { clip = false }
"""


@pytest.mark.parametrize("corrected", [None, Transforms(bias_correction="empirical")])
def test_codes_stand_in_the_model_that_awq_has_scaled(corrected: Transforms | None) -> None:
    """Scaled weights in a model that divides nowhere would be another model."""
    graph, data = small_cnn(softmax=False), samples(60)
    rules = replace(parse_recipe(AWQ8, name="r"), transforms=corrected)
    done = quantize(graph, rules, data)
    scales = done.meta["numerics"]["scales"]
    moved = [s for s in scales if (s["least"], s["largest"]) != (1.0, 1.0)]
    assert moved, f"no channel was scaled: {scales}"
    exact = run(fold(graph), data)[graph.outputs[0]]
    assert sqnr_db(exact, run(done, data)[graph.outputs[0]]) > 35, "8 bits cost little"
    floats = fold(graph).constants
    coded = next(n for n in done.nodes if n.name == moved[0]["readers"][0]).inputs[1]
    off = np.abs(reals(done, coded, done.constants[coded]) - floats[coded]).max()
    assert off > 0.01 * np.abs(floats[coded]).max(), "its codes are those of scaled weights"


def test_bias_correction_is_on_the_card_of_every_scheme_that_has_it() -> None:
    graph, data = small_cnn(), samples(40)
    told = Transforms(bias_correction="empirical")
    for name in ("int8_static", "int8_dynamic", "int8_weight_only", "int8_full_integer"):
        rules = replace(recipe(name), transforms=told)
        if name == "int8_full_integer":
            graph = small_cnn(softmax=False)
        done = quantize(graph, rules, data)
        card = done.meta["numerics"]["bias_correction"]
        assert list(card["corrected"]) == [
            "stem", "dw", "pw", "side", "fc", "head",
        ], f"{name}: {card}"  # fmt: skip
        assert done.meta["calibration"]["samples"] == 40, f"{name} has looked at data"
