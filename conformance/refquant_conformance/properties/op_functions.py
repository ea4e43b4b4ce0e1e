"""OP: functions of one code, and softmax: bounds of their errors, and their shape.

A backend may evaluate exp in any way, so a code is held to a bound here: half a step, the error of
the function, and that of the quotient (error models EM-LUT, EM-SOFTMAX). Shape is exact: a
function that rises has codes that do not fall.

References
----------
``docs/spec/operators.md`` sections 1 and 4.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.arithmetic.elementwise import rule
from refquant_conformance.arithmetic.pool_probes import unary_case
from refquant_conformance.arithmetic.unary import every_code
from refquant_conformance.error_models import em_lut, em_softmax
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range

__all__: list[str] = []

_CURVES = ("qlinear_sigmoid", "qlinear_tanh")
_CLAUSE = "docs/spec/operators.md section 4: quantize(f(dequantize(q)))"
_SOFTMAX = ("qlinear_softmax",)


def _outputs_of(trial: Trial) -> tuple[float, int]:
    """Return the output's parameters that every engine takes."""
    low = code_range(types_of(trial.op, trial.scheme)["y"])[0]
    return (1 / 128, low + 128) if trial.op == "qlinear_tanh" else (1 / 256, low)


def _all_codes(trial: Trial) -> list[Case]:
    low = code_range(types_of(trial.op, trial.scheme)["x"])[0]
    points = (128, 100, 7, 249)
    scales = (1 / 16, 0.05, 0.0234375, 0.1)
    return [
        every_code(trial.op, trial.scheme, (scale, zero + low), _outputs_of(trial))
        for scale, zero in zip(scales, points, strict=True)
    ]


def _reals(case: Case) -> NDArray[np.float64]:
    scale, zero = rule(case, "x")
    return (case.inputs["x"].astype(np.float64) - zero) * scale


@prop("OP-06", "softmax", ops=_SOFTMAX, clause=_CLAUSE, catches="2.8")
def softmax(trial: Trial) -> None:
    """Codes are near the softmax; equal inputs have equal codes; a shift of all changes none."""
    qmin, qmax = code_range(types_of(trial.op, trial.scheme)["x"])
    random = np.random.default_rng(trial.seed)
    y = (1 / 256, qmin)
    for scale, n in ((0.1, 4), (0.03, 20), (0.5, 7), (0.05, 2)):
        x = random.integers(qmin + 60, qmax - 60, (32, n))
        x[0] = qmin + 80
        x[1], x[1, n // 2] = qmin + 60, qmax - 60
        x[2, : n // 2 + 1] = qmin + 100
        case = unary_case(trial.op, trial.scheme, x, ((scale, qmin + 128), y))
        seen = trial.outputs(case)["y"].astype(np.int64)
        _near_softmax(trial, case, seen)
        same = (x[:, :, None] == x[:, None, :]) & (seen[:, :, None] != seen[:, None, :])
        if same.any():
            trial.fail(case, f"row {int(np.argwhere(same)[0][0])}: equal inputs, unlike codes")
        for shift in (-60, 60):
            moved = replace(case, inputs={**case.inputs, "x": (x + shift).astype(
                case.inputs["x"].dtype)})  # fmt: skip
            other = trial.outputs(moved)["y"].astype(np.int64)
            if np.abs(other - seen).max() > _slack(trial):
                trial.fail(moved, f"all inputs moved by {shift}: other codes")


def _slack(trial: Trial) -> int:
    """Codes that a shift may change: none where codes are subtracted, one where reals are."""
    by_reals = trial.axes is None or trial.axes.get("softmax") == "dequantize"
    return 1 if by_reals else 0


def _near_softmax(trial: Trial, case: Case, seen: NDArray[np.int64]) -> None:
    real = _reals(case)
    e = np.exp(real - real.max(axis=-1, keepdims=True))
    share = e / e.sum(axis=-1, keepdims=True)
    scale, zero = rule(case, "y")
    qmin, qmax = code_range(case.types["y"])
    wanted = np.clip(share / scale + zero, qmin, qmax)
    spread = np.abs(real).max(axis=-1, keepdims=True)
    ratio = np.abs(seen - wanted) / em_softmax(share, scale, spread, real.shape[-1])
    if ratio.max() > 1:
        row = int(np.argmax(ratio.max(axis=-1)))
        trial.fail(case, f"row {row}: codes {seen[row].tolist()}, the softmax is at "
                   f"{wanted[row].round(3).tolist()}")  # fmt: skip
    trial.bounded("EM-SOFTMAX", float(ratio.max()))


@prop("OP-07", "lut_exhaustive", ops=_CURVES, clause=_CLAUSE, catches="2.8")
def every_code_is_near(trial: Trial) -> None:
    """Every code of 2^8 is within half a step, and a little, of the function's true value."""
    for case in _all_codes(trial):
        real = _reals(case)
        true = 1 / (1 + np.exp(-real)) if trial.op == "qlinear_sigmoid" else np.tanh(real)
        (scale, zero), limits = rule(case, "y"), code_range(case.types["y"])
        wanted = np.clip(true / scale + zero, *limits)
        seen = trial.outputs(case)["y"].astype(np.int64)
        ratio = np.abs(seen - wanted) / em_lut(true, scale, zero)
        if ratio.max() > 1:
            at = int(np.argmax(ratio))
            trial.fail(case, f"code {case.inputs['x'][at]} becomes {seen[at]}, the truth is at "
                       f"{wanted[at]:.4f}")  # fmt: skip
        trial.bounded("EM-LUT", float(ratio.max()))


@prop("OP-08", "lut_shape", ops=_CURVES, clause=_CLAUSE, catches="2.8")
def shape(trial: Trial) -> None:
    """Codes never fall where the function rises; both ends are reached; tanh is odd."""
    for case in _all_codes(trial):
        seen = trial.outputs(case)["y"].astype(np.int64)
        if (np.diff(seen) < 0).any():
            at = int(np.argmax(np.diff(seen) < 0))
            trial.fail(case, f"the code falls from {seen[at]} to {seen[at + 1]}")
    low, high = code_range(case.types["y"])
    wide = every_code(trial.op, trial.scheme, (0.25, low + 128), _outputs_of(trial))
    seen = trial.outputs(wide)["y"].astype(np.int64)
    if (seen[0], seen[-1]) != (low, high):
        trial.fail(wide, f"ends are {seen[0]} and {seen[-1]}, not {low} and {high}")
    if trial.op == "qlinear_tanh":
        inner = seen[1:] - (low + 128)
        both = np.minimum(np.abs(inner + inner[::-1]), 1) * (np.abs(inner) < 127)
        if both.any():
            trial.fail(wide, f"tanh is not odd at code {int(np.argmax(both)) + 1 + low}")


@prop("OP-12", "prelu_negative", ops=("qlinear_leaky_relu",), clause=_CLAUSE, catches="2.8")
def slopes(trial: Trial) -> None:
    """Below zero the slope is applied and rounded as the contract says; above, nothing is."""
    low = code_range(types_of(trial.op, trial.scheme)["x"])[0]
    cases = []
    for alpha in (0.01, 0.1, 0.25, 0.5, 0.9):
        for sx, sy, zero in ((0.5, 0.5, 128), (0.25, 0.5, 128), (0.1, 0.07, 60), (0.3, 0.2, 201)):
            rules = (sx, zero + low), (sy, 128 + low)
            case = every_code(trial.op, trial.scheme, *rules)
            cases.append(replace(case, params={"alpha": alpha}))
    trial.expect(*cases)
