"""What only the reference executes is refused by name, and is no operator of the runtime."""

from pathlib import Path

import pytest

from refquant.model.operators import REFERENCE_ONLY
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe, recipe_names
from refquant.model.rq import write_rq
from refquant_runtime import Session, UnsupportedError
from refquant_runtime.shapes import OPERATORS
from tests.refquant.model.small_cnn import fitted, samples, small_cnn


def test_the_runtime_has_none_of_them() -> None:
    assert not set(OPERATORS) & REFERENCE_ONLY, "one that it has is not the reference's alone"


@pytest.mark.parametrize("name", [n for n in recipe_names() if recipe(n).scheme == "simulated"])
def test_rounded_inputs_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.rq"
    graph = quantize(small_cnn(), fitted(recipe(name)), samples(2))
    write_rq(path, graph)
    assert "FakeQuantize" in {node.op for node in graph.nodes}, "its inputs are rounded"
    first = next(node.op for node in graph.nodes if node.op in REFERENCE_ONLY)  # or a Hadamard
    with pytest.raises(
        UnsupportedError,
        match=rf"m\.rq: node \d+ \('{first}'\): the operator is not implemented; .* the reference",
    ):
        Session(path)
