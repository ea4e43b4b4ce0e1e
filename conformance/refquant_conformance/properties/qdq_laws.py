"""QDQ-12 to 18: laws that hold of a quantizer whatever its arithmetic, or of most of them.

References
----------
ONNX, QuantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

import numpy as np

from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.error_models import em_qdq
from refquant_conformance.properties.quantizers import (
    AWKWARD,
    even_points,
    moved,
    nearest,
    of_bytes,
    of_tensors,
    walk,
)
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_QUANTIZE = ("quantize_linear",)
_CLAUSE = "ONNX QuantizeLinear-21: saturate((x / y_scale) + y_zero_point)"
_THIRD = float(np.float32(1 / 3))


def _codes(trial: Trial, case: Case) -> Array:
    """Return the codes that the backend gives, as int64."""
    return np.asarray(trial.outputs(case)["y"].astype(np.int64))


@prop("QDQ-12", "q_monotone", ops=_QUANTIZE, clause="rounding and clamping are monotone",
      catches="tails")  # fmt: skip
def monotone(trial: Trial) -> None:
    """A larger real never has a smaller code."""
    qmin, qmax = of_bytes(trial)
    for scale in (1.0, AWKWARD[2]):
        steps = (np.arange((qmin - 104) * 16, (qmax - 96) * 16) + 0.5) / 16
        x = (steps * scale).astype(np.float32)
        ties = ((np.arange(qmin - 100, qmax - 100) + 0.5) * scale).astype(np.float32)
        case = case_of(trial.scheme, np.sort(np.concatenate([x, moved(ties, (-1, 1))])), scale, 100)
        y = _codes(trial, case)
        if (falls := np.flatnonzero(np.diff(y) < 0)).size:
            k = int(falls[0])
            pair = case.inputs["x"][k : k + 2]
            alone = case_of(trial.scheme, pair, scale, 100)
            trial.fail(alone, f"codes fall from {y[k]} to {y[k + 1]} between {pair.tolist()}")


@prop("QDQ-13", "q_dq_fixpoint", ops=_QUANTIZE, clause=_CLAUSE, catches="2.6")
def fixpoint(trial: Trial) -> None:
    """The real that a code means has that code."""
    qmin, qmax = of_tensors(trial)
    scales = (0.5, 2.0**-30, *(AWKWARD if nearest(trial) else ()))
    for z in sorted({min(1, qmax), min(100, qmax)}):
        codes = np.arange(qmin, qmax + 1)
        for scale in scales:
            case = walk(trial.scheme, (codes - z).astype(np.float64), scale, z)
            y = _codes(trial, case)
            if (wrong := np.flatnonzero(y != codes)).size:
                k = int(wrong[0])
                alone = walk(trial.scheme, np.array([codes[k] - z], np.float64), scale, z)
                trial.fail(alone, f"the real of code {codes[k]} has the code {y[k]}")


@prop("QDQ-14", "dq_q_error", ops=_QUANTIZE, clause=_CLAUSE, catches="truncation")
def error(trial: Trial) -> None:
    """Inside the range a code means a real at most half a scale away, by EM-QDQ."""
    qmin, qmax = of_tensors(trial)
    worst = 0.0
    for scale in (1.0, _THIRD):
        for z in (z for z in even_points(qmin, qmax) if z):  # 0 is QDQ-18's
            fine = np.arange((qmin - z) * 20 + 1, (qmax - z) * 20) / 20
            steps = fine[:: 1 + fine.size // 2**13]
            case = walk(trial.scheme, steps, scale, z)
            x = case.inputs["x"].astype(np.float64)
            off = np.abs((_codes(trial, case) - z) * scale - x)
            ratio = off / em_qdq(x, scale, z, nearest=nearest(trial))
            if (ratio > 1).any():
                k = int(ratio.argmax())
                alone = case_of(trial.scheme, case.inputs["x"][k : k + 1], scale, z)
                trial.fail(alone, f"{x[k]} becomes a code {off[k] / scale:.4f} scales away")
            worst = max(worst, float(ratio.max()))
    trial.bounded("EM-QDQ", worst)


@prop("QDQ-15", "q_odd_symmetry", ops=_QUANTIZE, clause=_CLAUSE, catches="half up, narrow ranges")
def odd_symmetry(trial: Trial) -> None:
    """With the zero point 0 and a rule without a side, -x has minus the code of x."""
    qmin, qmax = of_bytes(trial)
    rule = (trial.axes or {}).get("rounding")
    if qmin == 0 or rule not in ("half_even", "half_away", "toward_zero"):
        trial.skip("speaks of signed codes, and of rounding without a side")
    rng = np.random.default_rng(trial.seed)
    for scale in (float(np.float32(1 / 7)), 3.0):
        steps = np.concatenate([rng.uniform(0, qmax, 999), np.arange(qmax) + 0.5])
        x = (steps * scale).astype(np.float32)
        case = case_of(trial.scheme, np.concatenate([x, -x]), scale, 0)
        y = _codes(trial, case)
        if (wrong := np.flatnonzero(y[x.size :] != -y[: x.size])).size:
            k = int(wrong[0])
            pair = case_of(trial.scheme, np.array([x[k], -x[k]]), scale, 0)
            trial.fail(pair, f"the codes are {y[k]} and {y[k + x.size]}")


@prop("QDQ-16", "q_pow2_equivariance", ops=_QUANTIZE, clause=_CLAUSE, catches="reciprocals, FTZ")
def scaled_by_powers_of_two(trial: Trial) -> None:
    """Scaling reals and scale by a power of two changes no code, to the ends of float32."""
    of_bytes(trial)
    steps = moved((np.arange(-8, 8) + 0.5).astype(np.float32) * np.float32(0.75), (-1, 0, 1))
    base = _codes(trial, case_of(trial.scheme, steps, 0.75, 100))
    for power in (-123, -100, -60, -30, 30, 60, 100, 122):
        factor = np.float32(2.0) ** np.float32(power)
        case = case_of(trial.scheme, steps * factor, float(np.float32(0.75) * factor), 100)
        y = _codes(trial, case)
        if (y != base).any():
            k = int(np.flatnonzero(y != base)[0])
            trial.fail(
                case, f"y[{k}] is {y[k]}, and {base[k]} when all is 2^{-power} times as much"
            )


@prop("QDQ-17", "q_zp_shift", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def every_zero_point(trial: Trial) -> None:
    """Every zero point is taken at its value, and shifts the codes by itself."""
    qmin, qmax = of_bytes(trial)
    steps = np.array([-3.25, -0.75, -0.25, 0.25, 1.25, 2.75])
    cases = [walk(trial.scheme, steps, _THIRD, z) for z in range(qmin, qmax + 1)]
    trial.expect(*cases)


@prop("QDQ-18", "q_range_flags", ops=_QUANTIZE, clause=_CLAUSE, catches="ORT 3442")
def whole_range(trial: Trial) -> None:
    """With the zero point 0 the lowest and the highest code are reached, from inside and beyond."""
    qmin, qmax = of_tensors(trial)
    steps = np.array([qmin, qmax, qmin - 0.25, qmax + 0.25, qmin + 0.25, qmax - 0.25])
    trial.expect(*(walk(trial.scheme, steps, scale, 0) for scale in (1.0, 0.125)))
