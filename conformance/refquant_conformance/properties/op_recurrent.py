"""OP: layers that walk a sequence: each step near the truth, and a state that can be carried.

References
----------
ONNX LSTM-22, GRU-22: the equations of one step.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.arithmetic.recurrent import recurrent_case
from refquant_conformance.error_models_recurrent import Near, gru_step, lstm_step
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial, Unanswered

__all__: list[str] = []

_OPS = ("lstm", "gru")
_CLAUSE = "ONNX LSTM-22 and GRU-22: the equations of a step, and initial_h, initial_c"


@prop("OP-10", "lstm_gru_stepwise", ops=_OPS, clause=_CLAUSE, catches="2.8")
def stepwise(trial: Trial) -> None:
    """One step is near its equations; a sequence in two parts, the state carried, is the whole."""
    for k, sizes in enumerate(((3, 1, 5, 4), (2, 1, 16, 24), (1, 1, 40, 8))):
        for late in (0, 1):
            _one_step(
                trial, recurrent_case(trial.op, sizes, trial.seed + k, bias=k != 1, late=late)
            )
    for late in (0, 1):
        _carried(trial, recurrent_case(trial.op, (3, 5, 6, 8), trial.seed + 9, late=late))
    nothing = recurrent_case(trial.op, (2, 0, 3, 4), trial.seed)
    try:
        answer = trial.ask(nothing)
    except Unanswered as silence:
        if silence.answer.kind != "unsupported":
            raise
        return
    if answer.result is None:
        trial.notes["NoStep"] = f"refused: {answer.reason}"
    elif not np.array_equal(answer.result.outputs["y_h"], nothing.inputs["h"]):
        seen = answer.result.outputs["y_h"].reshape(-1)[:4].tolist()
        trial.notes["NoStep"] = f"y_h is {seen}, the state before was another"


def _one_step(trial: Trial, case: Case) -> None:
    given = {name: array.astype(np.float64) for name, array in case.inputs.items()}
    x = given.pop("x")[:, 0]
    seen = trial.outputs(case)
    if trial.op == "lstm":
        h, c = lstm_step(x, given)
        model = "EM-LSTM"
        _near(trial, case, seen["y_c"], c, model, "y_c")
    else:
        h = gru_step(x, given, late=bool(case.params["linear_before_reset"]))
        model = "EM-GRU"
    _near(trial, case, seen["y_h"], h, model, "y_h")
    if not same_bits(seen["y"][:, 0], seen["y_h"]).all():
        trial.fail(case, "y_h is not the last y", observed=seen)


def _near(trial: Trial, case: Case, seen: Array, true: Near, model: str, name: str) -> None:
    ratio: NDArray[np.float64] = np.abs(seen - true.value) / true.off
    if not (ratio <= 1).all():
        at = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        got, wanted = float(seen.reshape(-1)[at]), float(true.value.reshape(-1)[at])
        times = float(ratio.reshape(-1)[at])
        trial.fail(case, f"{name}[{at}] is {got}, the truth is {wanted}: {times:.3g} times the "
                   "bound", observed={name: seen})  # fmt: skip
    trial.bounded(model, float(ratio.max()))


def _carried(trial: Trial, case: Case) -> None:
    """Require of 2 + 3 steps what 5 steps give, bit for bit: sums of a step know no other step."""
    whole, x = trial.outputs(case), case.inputs["x"]
    first = trial.outputs(replace(case, inputs={**case.inputs, "x": x[:, :2]}))
    states = {name[-1]: array for name, array in first.items() if name != "y"}
    rest = replace(case, inputs={**case.inputs, **states, "x": x[:, 2:]})
    second = trial.outputs(rest)
    joined = {**second, "y": np.concatenate([first["y"], second["y"]], axis=1)}
    for name, array in whole.items():
        if not same_bits(array, joined[name]).all():
            at = int(np.argmin(same_bits(array, joined[name]).reshape(-1)))
            trial.fail(rest, f"{name}[{at}] is {joined[name].reshape(-1)[at]} with a carried "
                       f"state, {array.reshape(-1)[at]} in one run", expected=whole,
                       observed=joined)  # fmt: skip
    if not same_bits(whole["y"][:, -1], whole["y_h"]).all():
        trial.fail(case, "y_h is not the last y", observed=whole)
