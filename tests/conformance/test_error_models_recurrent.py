"""The bounds of one step hold, and are nearly attained by sums that are rounded one way."""

import numpy as np
import pytest

from refquant_conformance.arithmetic import Arithmetic
from refquant_conformance.arithmetic.recurrent import GRU, LSTM, recurrent_case
from refquant_conformance.error_models_recurrent import Near, gru_step, lstm_step
from refquant_conformance.protocol import Case

AXES = {"function": "stepwise"}


def ratio(arithmetic: Arithmetic, case: Case) -> float:
    given = {name: array.astype(np.float64) for name, array in case.inputs.items()}
    x = given.pop("x")[:, 0]
    made = arithmetic.compute(case, AXES)
    assert made is not None, "refused"
    if case.op == "lstm":
        h = lstm_step(x, given)[0]
    else:
        h = gru_step(x, given, late=bool(case.params["linear_before_reset"]))
    return float((np.abs(made["y_h"] - h.value) / h.off).max())


@pytest.mark.parametrize("arithmetic", [LSTM, GRU], ids=["lstm", "gru"])
def test_a_step_nears_its_bound_where_every_sum_is_rounded_one_way(arithmetic: Arithmetic) -> None:
    """1, then 400 terms that are each lost, then a bias of -1: the candidate is nothing but error.

    The other gates are wide open, or shut, so that nothing else is added.
    """
    case = recurrent_case(arithmetic.op, (1, 1, 401, 1), 0, late=1)
    g = {name: np.zeros_like(array) for name, array in case.inputs.items()}
    g["x"][0, 0] = 2.0**-24 * (1 - 2.0**-20)
    g["x"][0, 0, 0] = 1
    last = 3 if arithmetic.op == "lstm" else 2
    g["w"][last] = 1
    g["bias"][last] = -1
    g["bias"][:last] = 30 if arithmetic.op == "lstm" else (-30, 0)  # open i, o, f; shut z
    found = ratio(arithmetic, Case(case.op, "f32", g, case.params, case.types))
    assert 0.25 <= found <= 1, f"{found}"


@pytest.mark.parametrize("arithmetic", [LSTM, GRU], ids=["lstm", "gru"])
def test_the_bound_holds_of_random_steps(arithmetic: Arithmetic) -> None:
    for seed in range(20):
        case = recurrent_case(
            arithmetic.op, (2, 1, 7, 5), seed, bias=seed % 2 == 0, late=seed % 3 % 2
        )
        assert ratio(arithmetic, case) <= 1, f"seed {seed}"


def test_sums_and_products_carry_errors_on() -> None:
    near = Near(np.array([1.0]), np.array([0.25]))
    assert 0.5 < float((near + near).off[0]) < 0.500001, "errors add up"
    assert 0.5625 < float((near * near).off[0]) < 0.562501, "2 x 1/4, and 1/16"
    assert 0.25 / 4 < float(near.sigmoid().off[0]) < 0.062501, "a quarter at most"
    assert 0.25 < float(near.tanh().off[0]) < 0.250001, "one at most"
    assert 0.25 < float(near.less_than_one().off[0]) < 0.250001, "as far as before"
