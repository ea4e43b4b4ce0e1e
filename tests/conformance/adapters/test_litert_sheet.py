"""Padding and clamps as LiteRT says them."""

from dataclasses import replace
from typing import Any

import pytest

from refquant_conformance.adapters.litert_nodes import model_of
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Case, Unsupported


def conv(**params: Any) -> Case:
    case = sample("qlinear_conv", "i8_i8")
    return replace(case, params={**case.params, **params})


@pytest.mark.parametrize(
    ("pads", "codes", "padding"),
    [
        ((0, 0, 0, 0), ["CONV_2D"], 1),
        ((1, 1, 1, 1), ["CONV_2D"], 0),
        ((1, 0, 0, 0), ["PAD", "CONV_2D"], 1),
    ],
)
def test_padding_is_same_or_valid_or_an_operator(
    pads: tuple[int, ...], codes: list[str], padding: int
) -> None:
    model = model_of(conv(pads=pads))
    assert [operator.code for operator in model.operators] == codes, f"{pads}"
    assert model.operators[-1].options["padding"] == padding, f"{pads}"
    rows, columns = (4 + pads[i] + pads[i + 2] - 2 for i in (0, 1))
    assert model.tensors[model.output].shape == (1, rows, columns, 3), f"{pads}"


def test_same_with_strides_pads_more_behind_than_before() -> None:
    behind = model_of(conv(pads=(0, 0, 1, 1), strides=(2, 2)))
    before = model_of(conv(pads=(1, 1, 0, 0), strides=(2, 2)))
    assert [o.code for o in behind.operators] == ["CONV_2D"], "is SAME"
    assert [o.code for o in before.operators] == ["PAD", "CONV_2D"], "is not"


def test_activations_are_those_that_clamp_alike() -> None:
    case = sample("qlinear_matmul", "i8_i8")  # y: scale 0.5, zero point 0
    for clamps, number in (
        ({}, 0),
        ({"clamp_min": -128, "clamp_max": 127}, 0),
        ({"clamp_min": 0}, 1),
        ({"clamp_min": -2, "clamp_max": 2}, 2),
        ({"clamp_min": 0, "clamp_max": 12}, 3),
    ):
        model = model_of(replace(case, params=dict(clamps)))
        assert model.operators[0].options["fusedActivationFunction"] == number, f"{clamps}"
    with pytest.raises(Unsupported, match="Relu, Relu6 or Relu1"):
        model_of(replace(case, params={"clamp_min": 1}))
