"""Cards of our own, and what somebody else has written under that name."""

from typing import Any

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.report.cards import ROWS, card_of
from tests.refquant.evaluation.two_models import small_net

X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}


def with_card(card: Any) -> Graph:
    return Graph("g", (), (), {}, (), {}, {}, {"numerics": card})


def test_a_card_of_ours_is_all_there() -> None:
    small = quantize(small_net(), recipe("int4_gptq"), X)
    found = card_of(small)
    settings = dict(found["settings"])
    assert found["known"], "it has one"
    assert settings["scheme"] == "weight_only", f"{settings}"
    assert settings["weights.algorithm"] == "gptq", f"{settings}"
    assert settings["calibration.samples"] == "64", f"{settings}"
    assert [row[0] for row in found["layers"]] == ["first", "y"], f"{found['layers']}"
    loss = found["columns"].index("loss")
    assert all(row[loss].endswith(" %") for row in found["layers"]), f"{found['layers']}"
    assert not any(key.startswith(("contracts", "layers")) for key in settings), "tables"


def test_contracts_are_columns() -> None:
    small = quantize(small_net(), recipe("int8_static"), X)
    found = card_of(small)
    assert found["contract_names"] == list(small.contracts), f"{found['contract_names']}"
    axes = dict(found["axes"])
    (contract,) = small.contracts.values()
    assert axes == {k: [str(v)] for k, v in contract.to_json().items()}, f"{axes}"


def test_a_model_without_a_card_is_said_to_have_none() -> None:
    found = card_of(small_net())
    assert not found["known"], "nobody has made it"
    assert (found["settings"], found["layers"], found["axes"]) == ([], [], []), f"{found}"


@pytest.mark.parametrize(
    "card",
    [None, 5, "text", [], {}, {"layers": 5}, {"layers": [5, None]}, {"layers": [{"node": []}]},
     {"contracts": None, "x": [[[1]]]}, {"layers": [{"loss": "no number", "dtype": {"a": 1}}]}],
)  # fmt: skip
def test_whatever_is_there_is_rows(card: Any) -> None:
    found = card_of(with_card(card))
    for row in found["layers"]:
        assert len(row) == len(found["columns"]), f"{row}"
        assert all(isinstance(cell, str) for cell in row), f"{row}"


def test_a_long_card_is_cut_and_says_so() -> None:
    card = {"settings": {f"k{i}": i for i in range(ROWS + 7)},
            "layers": [{"node": f"n{i}"} for i in range(ROWS + 3)]}  # fmt: skip
    found = card_of(with_card(card))
    assert (len(found["settings"]), found["settings_left"]) == (ROWS, 7), "settings"
    assert (len(found["layers"]), found["layers_left"]) == (ROWS, 3), "layers"
