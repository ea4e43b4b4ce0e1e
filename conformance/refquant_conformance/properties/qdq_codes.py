"""QDQ-01 and 23: what codes mean.

References
----------
ONNX, DequantizeLinear-21; ``docs/spec/operators.md`` section 2.
"""

import numpy as np

from refquant_conformance.arithmetic.dequantize import all_codes, dequantizer_case
from refquant_conformance.operators import types_of
from refquant_conformance.properties.quantizers import AWKWARD, of_tensors
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial

__all__: list[str] = []

_DEQUANTIZE = ("dequantize_linear",)
_CLAUSE = "ONNX DequantizeLinear-21: y = (x - x_zero_point) * x_scale"


@prop("QDQ-01", "dq_exhaustive", ops=_DEQUANTIZE, clause=_CLAUSE, catches="2.3, 2.6")
def every_code(trial: Trial) -> None:
    """Every code of up to 16 bits means the real that the contract computes."""
    qmin, qmax = of_tensors(trial)
    if qmax > 2**16:
        trial.skip("QDQ-23 asks int32")
    codes = all_codes(trial.scheme)
    points = sorted({qmin, 0, min(1, qmax), qmax, (qmin + qmax + 1) // 2})
    scales = (1.0, *AWKWARD, 2.0**-126, 2.0**100)
    if codes.size > 2**12:
        scales, points = scales[1:4], points[:3]
    trial.expect(*(dequantizer_case(trial.scheme, codes, s, z) for s in scales for z in points))


@prop("QDQ-23", "dq_int32", ops=_DEQUANTIZE, clause=_CLAUSE, catches="ORT 26525")
def wide_codes(trial: Trial) -> None:
    """Codes of int32 beyond 2^24 mean what the contract computes, to the last bit."""
    if types_of(trial.op, trial.scheme)["x"] != "int32":
        trial.skip("speaks of int32")
    codes = all_codes(trial.scheme)
    rng = np.random.default_rng(trial.seed)
    codes = np.concatenate([codes, rng.integers(-(2**31), 2**31, 4096)])
    trial.expect(*(dequantizer_case(trial.scheme, codes, s, 0) for s in (1.0, *AWKWARD)))
