"""What only the reference executes is refused by name, and is no operator of the runtime."""

from pathlib import Path

import pytest

from refquant.model.operators import REFERENCE_ONLY
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import write_rq
from refquant_runtime import Session, UnsupportedError
from refquant_runtime.shapes import OPERATORS
from tests.refquant.model.small_cnn import samples, small_cnn


def test_the_runtime_has_none_of_them() -> None:
    assert not set(OPERATORS) & REFERENCE_ONLY, "one that it has is not the reference's alone"


@pytest.mark.parametrize("name", ["fp8_static", "llm_int8", "mxfp4_w4a4"])
def test_rounded_inputs_are_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.rq"
    write_rq(path, quantize(small_cnn(), recipe(name), samples(2)))
    with pytest.raises(
        UnsupportedError,
        match=r"m\.rq: node 0 \('FakeQuantize'\): the operator is not implemented; .* refer",
    ):
        Session(path)
