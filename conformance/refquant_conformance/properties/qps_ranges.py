"""QPS-01 to 08: what a range must give, and ranges that are none.

References
----------
ONNX, DynamicQuantizeLinear-11 (silent on ranges of zeros, NaN and empty data);
``docs/spec/operators.md`` section 2.1.
"""

import math
from typing import NoReturn

import numpy as np

from refquant_conformance.error_models import em_qps
from refquant_conformance.properties.ranges import (
    BOTH,
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

_CLAUSE = "ONNX DynamicQuantizeLinear-11: y_scale, y_zero_point; operators.md section 2.1"
_SILENT = "ONNX DynamicQuantizeLinear-11 is silent; operators.md sections 2 and 2.1"


def _told(chosen: Chosen | None) -> str:
    return (
        "refused" if chosen is None else f"scale {chosen.scale:g}, zero point {chosen.zero_point}"
    )


def _ordinary(seed: int) -> list[Array]:
    """Return data on both sides of 0, whose scale is that of no rule about small ranges."""
    rng = np.random.default_rng(seed)
    ends = [(-7.0, 500.0), (-900.0, 3.0), (-333.0, 444.0), (-1000.0, 1000.0), (-2000.0, 1.0)]
    return [np.concatenate([e, rng.uniform(*e, 9)]).astype(np.float32) for e in ends]


@prop("QPS-01", "zero_exact", ops=DYNAMIC, clause=_CLAUSE, catches="accuracy folklore")
def zero_is_exact(trial: Trial) -> None:
    """Zero has the code that is the zero point, wherever it stands."""
    for data in _ordinary(trial.seed):
        asked = case(trial, np.insert(data, (0, 5, 11), (0.0, -0.0, 0.0)))
        chosen = ask(trial, asked)
        if chosen is None or chosen.codes is None:
            trial.fail(asked, "refused")
        zeros = chosen.codes[asked.inputs["x"] == 0]
        if (zeros != chosen.zero_point).any():
            trial.fail(asked, f"zeros are {zeros.tolist()}, the zero point is {chosen.zero_point}")


@prop("QPS-02", "covers_range", ops=BOTH, clause=_CLAUSE, catches="torchao amax 5 -> 4.98")
def covers(trial: Trial) -> None:
    """The ends of the data lose at most half a scale, by EM-QPS."""
    qmin, qmax = codes_of(trial)
    if (trial.axes or {}).get("symmetric_scale") == "signed_amax_over_qmin":
        trial.skip("this rule gives up the largest value of the other sign")
    worst = 0.0
    for data in _ordinary(trial.seed):
        asked = case(trial, data)
        chosen = ask(trial, asked)
        if chosen is None:
            trial.fail(asked, "refused")
        if (trial.axes or {}).get("scale_dtype") == "float16":
            trial.skip("a scale of 11 bits is off by more than EM-QPS says")
        ends = [float(data.min()), float(data.max())]
        if symmetric(trial):  # the side with fewer codes, for the larger end
            ends = [max(map(abs, ends))]
        low, high = ((q - chosen.zero_point) * chosen.scale for q in (qmin, qmax))
        for end in ends:
            loss = max(low - end, end - high)
            worst = max(worst, loss / em_qps(end, chosen.scale))
            if worst > 1:
                trial.fail(asked, f"{end} is {loss:g} outside [{low:g}, {high:g}], {_told(chosen)}")
    trial.bounded("EM-QPS", worst)


@prop("QPS-03", "zp_in_range", ops=BOTH, clause="a zero point is a code", catches="2.9 (torchao)")
def zero_point_is_a_code(trial: Trial) -> None:
    """The zero point is a code for any data: NaN, infinities, one-sided, huge."""
    qmin, qmax = codes_of(trial)
    nan, inf, big = math.nan, math.inf, 3e38
    sided = [[1.0, 2.0], [-2.0, -1.0], [1e30, 1.1e30], [-big, -1e38]]
    for x in ([nan], [nan, 1.0], [1.0, nan, -3.0], [inf, 1.0], [-inf, inf], [-big, big], *sided):
        asked = case(trial, np.array(x, np.float32))
        chosen = ask(trial, asked)
        if chosen is not None and not qmin <= chosen.zero_point <= qmax:
            trial.fail(asked, f"{_told(chosen)} is no code of [{qmin}, {qmax}]")


def _need_scale(trial: Trial, asked: Case, chosen: Chosen) -> None:
    if not 0 < abs(chosen.scale) < math.inf:
        _no_scale(trial, asked, chosen)


def _no_scale(trial: Trial, asked: Case, chosen: Chosen) -> NoReturn:
    trial.fail(asked, f"{_told(chosen)}: no scale to divide by")


@prop("QPS-04", "all_zero", ops=BOTH, clause=_SILENT, catches="2.5, 2.9 (ao 4713)")
def all_zero(trial: Trial) -> None:
    """Nothing but zeros has a scale that can be divided by, as declared, and codes of zero."""
    for x in ([0.0], [0.0, -0.0, 0.0], [0.0] * 33):
        asked = case(trial, np.array(x, np.float32))
        chosen = ask(trial, asked)
        trial.notes["all zero"] = _told(chosen)
        if chosen is not None and (trial.axes or {}).get("zero_range") != "zero":
            _need_scale(trial, asked, chosen)
            if chosen.codes is not None and (chosen.codes != chosen.zero_point).any():
                trial.fail(asked, f"zeros are {chosen.codes.tolist()}, {_told(chosen)}")
        trial.expect(asked)


@prop("QPS-05", "degenerate", ops=BOTH, clause=_CLAUSE, catches="one-sided and constant data")
def degenerate(trial: Trial) -> None:
    """One value, a constant, only positive or only negative data have the declared parameters."""
    data = ([3.0], [-3.0], [5.0] * 9, [-5.0] * 9, [700.0, 900.0], [-900.0, -700.0], [0.0, 600.0],
            [-600.0, 0.0], [512.0, 512.5])  # fmt: skip
    trial.expect(*(case(trial, np.array(x, np.float32)) for x in data))


@prop("QPS-06", "tiny_range", ops=BOTH, clause=_SILENT, catches="2.9")
def tiny_range(trial: Trial) -> None:
    """A range of subnormal or tiny numbers has a scale that is finite and not 0, as declared."""
    low = 2.0**-149
    data = ([low, 0.0], [-low, low], [1e-39, -2e-39], [1e-37, 0.0], [-3e-36, 1e-36], [2e-12, -5e-9])
    for x in data:
        asked = case(trial, np.array(x, np.float32))
        chosen = ask(trial, asked)
        if chosen is not None and (trial.axes or {}).get("zero_range") != "zero":
            _need_scale(trial, asked, chosen)
        trial.expect(asked)


@prop("QPS-07", "nonfinite", ops=BOTH, clause=_SILENT, catches="2.9 (DynamicQuantizeLinear NaN)")
def nonfinite(trial: Trial) -> None:
    """NaN and infinities among the data have one policy, wherever they stand."""
    data = np.linspace(-300, 900, 37).astype(np.float32)
    for name, value in (("NaN", math.nan), ("infinity", math.inf), ("-infinity", -math.inf)):
        seen = {}
        for place in (0, 1, 17, 31, 32, 36):
            asked = case(trial, np.insert(data, place, value))
            chosen = ask(trial, asked)
            seen[_told(chosen)] = asked
        if len(seen) > 1:
            trial.fail(list(seen.values())[1], f"{name} gives {' or '.join(seen)}, by its place")
        trial.notes[name] = next(iter(seen))


@prop("QPS-08", "empty", ops=BOTH, clause=_SILENT, catches="2.9 (DynamicQuantizeLinear empty)")
def empty(trial: Trial) -> None:
    """No data at all are refused, or have parameters; nothing breaks."""
    qmin, qmax = codes_of(trial)
    for shape in ((0,), (3, 0)):
        asked = case(trial, np.zeros(shape, np.float32))
        chosen = ask(trial, asked)
        trial.notes["empty"] = _told(chosen)
        if chosen is not None and not qmin <= chosen.zero_point <= qmax:
            trial.fail(asked, f"{_told(chosen)} is no code of [{qmin}, {qmax}]")
