"""QDQ-02 to 07 and 21: ties, quotients, where the zero point is added, and what lies beyond.

Each asks a domain of its own, so that a failure says what is wrong: ties have even zero points,
quotients the zero point 0, and neither touches the ends of the range.

References
----------
ONNX, QuantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

import numpy as np

from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.properties.quantizers import (
    AWKWARD,
    even_points,
    interior,
    moved,
    odd_points,
    of_bytes,
    of_tensors,
    walk,
)
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_QUANTIZE = ("quantize_linear",)
_CLAUSE = "ONNX QuantizeLinear-21: saturate((x / y_scale) + y_zero_point), round half to even"
_SATURATE = "ONNX QuantizeLinear-21: saturate to the range of the output's type"


@prop("QDQ-02", "q_tie_rule", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def tie_rule(trial: Trial) -> None:
    """At exact ties, powers of two as scale, the code is the one that the rounding rule gives."""
    qmin, qmax = of_tensors(trial)
    trial.expect(
        *(
            walk(trial.scheme, np.array(interior(qmin, qmax, z)) + 0.5, scale, z)
            for scale in (1.0, 0.25, 2.0**-20, 2.0**60)
            for z in even_points(qmin, qmax)
            if interior(qmin, qmax, z)
        )
    )


@prop("QDQ-03", "q_near_tie", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def near_tie(trial: Trial) -> None:
    """Near ties of awkward scales, the quotient is formed exactly as the contract says."""
    qmin, qmax = of_tensors(trial)
    steps = np.array([k for k in interior(qmin, qmax, 0) if k not in (-1, 0)]) + 0.5
    if not steps.size:
        trial.skip("no tie lies between two codes")
    rng = np.random.default_rng(trial.seed)
    any_scale = np.exp2(rng.uniform(-20, 20, 6)).astype(np.float32)
    trial.expect(
        *(
            case_of(trial.scheme, moved((steps * s).astype(np.float32), range(-2, 3)), s, 0)
            for s in (*AWKWARD, *map(float, any_scale))
        )
    )


@prop("QDQ-04", "q_half_minus_ulp", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def half_minus_ulp(trial: Trial) -> None:
    """The last float below one half is nothing, and numbers that are whole to float32 stay so."""
    of_bytes(trial)
    half = np.nextafter(np.float32(0.5), np.float32(0))
    whole = np.array([2.0**23 - 0.5, 2.0**23 + 1, 2.0**22 + 0.5], np.float32)
    x = np.concatenate([[half, -half], whole, -whole]).astype(np.float32)
    trial.expect(*(case_of(trial.scheme, x * np.float32(s), s, 2) for s in (1.0, 0.25, 2.0**-20)))


@prop("QDQ-05", "q_zp_after_round", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3, 2.5")
def zero_point_after_round(trial: Trial) -> None:
    """An odd zero point shifts the codes of ties, where the contract adds it after rounding."""
    qmin, qmax = of_tensors(trial)
    cases = []
    for z in odd_points(qmin, qmax):
        steps = np.array(interior(qmin, qmax, z)) + 0.5
        cases += [walk(trial.scheme, steps, s, z) for s in (1.0, 0.25, *AWKWARD[:3]) if steps.size]
    if not cases:
        trial.skip("no tie lies between two codes")
    trial.expect(*cases)


def _beyond(trial: Trial, qmin: int, qmax: int, z: int) -> Case:
    """Return the case whose first two reals are the ends, the others beyond them, by sides."""
    away = np.array([0.75, 1.0, 2.0, 10.0, 1000.0, 60_000.0])
    low, high = qmin - z - away, qmax - z + away
    ends = np.array([qmin - z, qmax - z], np.float64)
    x = np.concatenate([ends, low, [-np.inf, -3.4e38], high, [np.inf, 3.4e38]])
    return case_of(trial.scheme, x.astype(np.float32), 1.0, z)


def _same_as_ends(trial: Trial, case: Case) -> None:
    y = trial.outputs(case)["y"].astype(np.int64)
    low, high = y[2:10], y[10:]
    if (low != y[0]).any() or (high != y[1]).any() or not y[0] < y[1]:
        trial.fail(case, f"beyond the ends {y[0]} and {y[1]} are {low.tolist()}, {high.tolist()}")


def _saturates(trial: Trial) -> bool:
    return trial.axes is None or trial.axes.get("overflow") == "saturate"


@prop("QDQ-06", "q_saturates", ops=_QUANTIZE, clause=_SATURATE, catches="2.5")
def saturates(trial: Trial) -> None:
    """What lies beyond the range, to the infinities, has the code of the end on its side."""
    qmin, qmax = of_bytes(trial)
    for z in (1, 100):
        case = _beyond(trial, qmin, qmax, z)
        if _saturates(trial):
            _same_as_ends(trial, case)
        else:
            trial.expect(case)


@prop("QDQ-07", "q_int_boundary", ops=_QUANTIZE, clause=_SATURATE, catches="2.5, TVM 9558")
def integer_boundary(trial: Trial) -> None:
    """Around 2^24, 2^31, 2^32 and 2^63 quotients neither change sign nor wrap."""
    of_bytes(trial)
    powers = np.float32(2.0) ** np.array([24, 30, 31, 32, 33, 40, 62, 63, 64], np.float32)
    near: Array = moved(powers, range(-2, 3))
    x = np.concatenate([near, -near, near * np.float32(1.5), near * np.float32(-1.5)])
    trial.expect(
        *(case_of(trial.scheme, x * np.float32(s), s, z) for s in (1.0, 0.25) for z in (1, 100))
    )


@prop("QDQ-21", "q_saturates_subbyte", ops=_QUANTIZE, clause=_SATURATE, catches="2.7")
def saturates_other_widths(trial: Trial) -> None:
    """Codes of 2, 4 and 16 bits saturate at their own ends, and do not wrap."""
    qmin, qmax = of_tensors(trial)
    if qmax - qmin == 255:
        trial.skip("QDQ-06 asks 8 bits")
    for z in {0, min(1, qmax), qmin}:
        case = _beyond(trial, qmin, qmax, z)
        if _saturates(trial):
            _same_as_ends(trial, case)
        trial.expect(case)
