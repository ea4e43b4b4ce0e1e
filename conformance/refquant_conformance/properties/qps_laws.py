"""QPS-09 to 13: laws of parameters: order, scaling, formulas, composition, sign.

References
----------
ONNX, DynamicQuantizeLinear-11; ``docs/spec/operators.md`` section 2.1.
"""

import numpy as np

from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.properties.quantizers import computes
from refquant_conformance.properties.ranges import (
    BOTH,
    CHOOSE,
    DYNAMIC,
    Chosen,
    ask,
    case,
    codes_of,
    symmetric,
)
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_CLAUSE = "ONNX DynamicQuantizeLinear-11: min and max of the data; operators.md section 2.1"


def _need(trial: Trial, asked: Case) -> Chosen:
    chosen = ask(trial, asked)
    if chosen is None:
        trial.fail(asked, "refused")
    return chosen


def _data(seed: int, count: int = 67) -> list[Array]:
    """Return data of some lengths whose scale is 2 or more, both signs, extremes first."""
    rng = np.random.default_rng([seed, 9])
    spans = ((-700, 900), (-1500, 40), (-30, 1100))
    return [np.array([*span, *rng.uniform(*span, count - 2)], np.float32) for span in spans]


@prop("QPS-09", "permutation", ops=BOTH, clause=_CLAUSE, catches="tails")
def permutation(trial: Trial) -> None:
    """The order of the data does not matter: an extreme counts at every place."""
    for data in _data(trial.seed):
        base = _need(trial, case(trial, data))
        for turn in (1, 7, 16, 33, 66):
            asked = case(trial, np.roll(data, turn))
            other = _need(trial, asked)
            if (base.scale, base.zero_point) != (other.scale, other.zero_point):
                trial.fail(asked, f"turned by {turn}: {other.scale:g}, {other.zero_point} instead "
                                  f"of {base.scale:g}, {base.zero_point}")  # fmt: skip
            codes = None if base.codes is None else np.roll(base.codes, turn)
            if codes is not None and other.codes is not None and (codes != other.codes).any():
                trial.fail(asked, f"turned by {turn}, the codes are not the same codes turned")


@prop("QPS-10", "pow2_equivariance", ops=BOTH, clause=_CLAUSE, catches="reciprocals")
def scaled_by_powers_of_two(trial: Trial) -> None:
    """Data times a power of two have the scale times it, and the same zero point."""
    half = (trial.axes or {}).get("scale_dtype") == "float16"
    for data in _data(trial.seed, 5):
        base = _need(trial, case(trial, data))
        for power in (1, 3) if half else (1, 10, 60, 100):
            asked = case(trial, np.ldexp(data, power).astype(np.float32))
            other = _need(trial, asked)
            wanted = (float(np.ldexp(base.scale, power)), base.zero_point)
            if (other.scale, other.zero_point) != wanted:
                trial.fail(asked, f"{other.scale!r}, {other.zero_point} instead of {wanted}")


@prop("QPS-11", "symmetric_formula", ops=CHOOSE, clause="operators.md section 2.1, symmetric_scale",
      catches="int8: 127 or 127.5")  # fmt: skip
def symmetric_formula(trial: Trial) -> None:
    """Symmetric scales are the declared fraction of the largest magnitude, to the last bit."""
    if not symmetric(trial):
        trial.skip("speaks of symmetric parameters")
    sizes = np.array([*(600 + 37 / k for k in range(1, 30)), 5e4, 777.7], np.float32)
    pairs = [(-v, v / 3) for v in sizes] + [(-v / 3, v) for v in sizes] + [(-v, v) for v in sizes]
    trial.expect(*(case(trial, np.array(pair, np.float32)) for pair in pairs))


@prop("QPS-12", "dynamic_is_composition", ops=DYNAMIC, clause=_CLAUSE, catches="ORT, onnx")
def composition(trial: Trial) -> None:
    """Codes are those of QuantizeLinear with the scale and zero point that come with them."""
    by_itself = computes(trial, "quantize_linear", trial.scheme)
    for data in _data(trial.seed, 129):
        asked = case(trial, data)
        trial.expect(asked)
        chosen = _need(trial, asked)
        alone = case_of(trial.scheme, data, chosen.scale, chosen.zero_point)
        if by_itself:
            wanted = trial.outputs(alone)["y"]
        else:
            known = {"overflow": "saturate", "clamp": "after_rounding", **(trial.axes or {})}
            made = QUANTIZE.compute(alone, known)
            wanted = np.zeros(0) if made is None else made["y"]
        if chosen.codes is None or not same_bits(wanted, chosen.codes).all():
            trial.fail(asked, "the codes are not those of the scale and zero point beside them")


@prop("QPS-13", "negation", ops=BOTH, clause=_CLAUSE, catches="sides mixed up")
def negation(trial: Trial) -> None:
    """Data with the other sign have the same scale, and the zero point mirrored, but for a tie."""
    sided = ("half_range_if_negative", "signed_amax_over_qmin")
    if symmetric(trial) and (trial.axes or {}).get("symmetric_scale") in sided:
        trial.skip("this rule has a side")
    qmin, qmax = codes_of(trial)
    rng = np.random.default_rng([trial.seed, 13])
    for low, high in rng.uniform(300, 3000, (24, 2)):
        data = np.array([-low, high, 1.0], np.float32)
        base, asked = _need(trial, case(trial, data)), case(trial, -data)
        other = _need(trial, asked)
        mirror = base.zero_point if symmetric(trial) else qmin + qmax - base.zero_point
        if other.scale != base.scale or abs(other.zero_point - mirror) > (not symmetric(trial)):
            trial.fail(asked, f"{other.scale!r}, {other.zero_point}; the mirror image has "
                              f"{base.scale!r}, {base.zero_point}")  # fmt: skip
