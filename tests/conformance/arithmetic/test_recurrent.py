"""LSTM and GRU: the oracle counts the same, functions are told apart, the reference is a member."""

import numpy as np
import pytest

from refquant.ops.gru import gru
from refquant.ops.lstm import lstm
from refquant_conformance.arithmetic import Arithmetic
from refquant_conformance.arithmetic.recurrent import GRU, LSTM, recurrent_case
from tests.conformance.arithmetic.families import assert_counted_again, assert_told_apart

BOTH = pytest.mark.parametrize("arithmetic", [LSTM, GRU], ids=["lstm", "gru"])
STEPWISE = {"function": "stepwise"}


@BOTH
def test_the_oracle_counts_the_same(arithmetic: Arithmetic) -> None:
    assert_counted_again(arithmetic, "f32", each=4)


@BOTH
def test_probes_tell_every_value(arithmetic: Arithmetic) -> None:
    assert_told_apart(arithmetic, "f32", "function", {})


def test_stepwise_is_the_reference_s_own_lstm() -> None:
    for case in LSTM.probes("f32"):
        g = case.inputs
        bias = g["bias"][None] if "bias" in g else None
        wanted = lstm(g["x"], g["w"][None], g["r"][None], bias, g["h"][:, None], g["c"][:, None],
                      hidden_size=g["h"].shape[1])  # fmt: skip
        made = LSTM.compute(case, STEPWISE)
        assert made is not None, "refused"
        assert np.array_equal(made["y"], wanted[0][:, :, 0]), "y"
        for name, array in zip(("y_h", "y_c"), wanted[1:], strict=True):
            assert np.array_equal(made[name], array[:, 0]), name


def test_stepwise_is_the_reference_s_own_gru() -> None:
    for case in GRU.probes("f32"):
        g = case.inputs
        bias = g["bias"][None] if "bias" in g else None
        late = int(str(case.params["linear_before_reset"]))
        wanted = gru(g["x"], g["w"][None], g["r"][None], bias, g["h"][:, None],
                     hidden_size=g["h"].shape[1], linear_before_reset=late)  # fmt: skip
        made = GRU.compute(case, STEPWISE)
        assert made is not None, "refused"
        assert np.array_equal(made["y"], wanted[0][:, :, 0]), "y"
        assert np.array_equal(made["y_h"], wanted[1][:, 0]), "y_h"


@BOTH
def test_no_step_leaves_the_state(arithmetic: Arithmetic) -> None:
    case = recurrent_case(arithmetic.op, (2, 0, 3, 4), 0)
    made = arithmetic.compute(case, STEPWISE)
    assert made is not None, "refused"
    assert made["y"].shape == (2, 0, 4), f"{made['y'].shape}"
    assert np.array_equal(made["y_h"], case.inputs["h"]), "another state"
