"""QDQ: what must hold of quantizers, whatever else a backend does.

References
----------
ONNX, QuantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

import numpy as np
from hypothesis import strategies as st

from refquant_conformance import strategies
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import INTEGERS, code_range

__all__: list[str] = []

_QUANTIZE = ("quantize_linear",)
_CLAUSE = "ONNX QuantizeLinear-21: saturate((x / y_scale) + y_zero_point), round half to even"


def _codes(trial: Trial) -> tuple[int, int]:
    """Return the range of the codes; skip schemes of other kinds."""
    types = types_of(trial.op, trial.scheme)
    if types["x"] != "float32" or types["y"] not in INTEGERS:
        trial.skip("speaks of float32 and integer codes")
    if trial.scheme.endswith(("_channel", "_block")):
        trial.skip("QDQ-19 asks finer scales slice by slice")
    return code_range(types["y"])


@prop("QDQ-02", "q_tie_rule", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def tie_rule(trial: Trial) -> None:
    """At exact ties, powers of two as scale, the code is the one that the rounding rule gives."""
    qmin, qmax = _codes(trial)
    steps = np.arange(max(qmin - qmax, -600), min(qmax - qmin, 600)) + 0.5
    cases = [
        case_of(trial.scheme, (steps * scale).astype(np.float32), scale, zero_point)
        for scale in (1.0, 0.25, 2.0**-20, 2.0**60)
        for zero_point in sorted({qmin, qmax, (qmin + qmax + 1) // 2})
    ]
    trial.expect(*cases)


@st.composite
def _near(draw: st.DrawFn, scheme: str, qmin: int, qmax: int) -> Case:
    scale = draw(strategies.scales())
    zero_point = draw(st.integers(qmin, qmax))
    x = draw(
        strategies.quantizer_inputs(
            scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax, allow_nan=False
        )
    )
    return case_of(scheme, x, scale, zero_point)


@prop("QDQ-03", "q_near_tie", ops=_QUANTIZE, clause=_CLAUSE, catches="2.3")
def near_tie(trial: Trial) -> None:
    """Near ties of awkward scales, the quotient is formed exactly as the contract says."""
    qmin, qmax = _codes(trial)
    trial.forall(_near(trial.scheme, qmin, qmax), lambda case: trial.expect(case))
