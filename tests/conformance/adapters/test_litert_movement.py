"""What moves codes in LiteRT: one operator each, images turned, and what has no word."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.litert_movement import MOVED
from refquant_conformance.adapters.litert_nodes import model_of
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.movement import MOVE, moved_case
from refquant_conformance.arithmetic.resize import resize_case
from refquant_conformance.protocol import Unsupported

CODES = {"reshape": "RESHAPE", "transpose": "TRANSPOSE", "slice": "SLICE", "gather": "GATHER",
         "pad": "PAD", "concat": "CONCATENATION"}  # fmt: skip


@pytest.mark.parametrize("op", MOVED)
def test_every_sample_is_one_operator(op: str) -> None:
    model = model_of(sample(op, "i8"))
    assert len(model.operators) == 1, f"{op}: {model.operators}"
    assert model.tensors[model.output].name == "y", "y is not the end"


def test_every_movement_has_its_operator_and_its_shape() -> None:
    for case in MOVE.probes("i8"):
        model, wanted = model_of(case), MOVE.compute(case, {"padding": "zero_point"})
        assert model.operators[0].code == CODES[str(case.params["kind"])], f"{case.params}"
        assert wanted is not None, "refused"
        assert model.tensors[model.output].shape == wanted["y"].shape, f"{case.params}"


def test_images_are_turned_and_sizes_are_constants() -> None:
    model = model_of(resize_case("resize_bilinear", "u8", np.zeros((1, 2, 3, 4)), (6, 8),
                                 "half_pixel"))  # fmt: skip
    assert model.tensors[model.output].shape == (1, 6, 8, 2), "rows, columns, channels"
    assert model.operators[0].options["halfPixelCenters"], f"{model.operators}"
    held = model.tensors[model.operators[0].inputs[1]].array
    assert held is not None, "the size flows"
    assert held.tolist() == [6, 8], f"{held}"


def test_padding_that_is_neither_same_nor_valid_and_unknown_movement_are_refused() -> None:
    odd = moved_case("max_pool", "i8", np.zeros((1, 1, 4, 4)), 0, kernel=(2, 2), strides=(1, 1),
                     pads=(1, 1, 0, 0))  # fmt: skip
    with pytest.raises(Unsupported, match="SAME or VALID"):
        model_of(odd)
    with pytest.raises(Unsupported, match="by turning"):
        model_of(replace(MOVE.probes("i8")[0], params={"kind": "turning"}))
