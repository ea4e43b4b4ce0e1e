"""QDQ-19, 20 and 22: finer scales, float16, and zero points that are not given.

References
----------
ONNX, QuantizeLinear-23 (``axis``, ``block_size``, ``precision``) and DequantizeLinear-21.
"""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.dequantize import all_codes, dequantizer_case
from refquant_conformance.arithmetic.quantize import case_of, element
from refquant_conformance.arithmetic.quantize_f16 import HALVES
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import INTEGERS, code_range

__all__: list[str] = []

_BOTH = ("quantize_linear", "dequantize_linear")
_AXIS = "ONNX QuantizeLinear-21: axis, block_size; a negative axis counts from the back"
_PRECISION = "ONNX QuantizeLinear-23: precision of the division, by default the type of y_scale"
_ABSENT = "ONNX QuantizeLinear-21: a missing y_zero_point is 0"


def _make(trial: Trial, values: Array, scale: Array, points: Array, **params: int | None) -> Case:
    """Return the case of either operator: of the reals, or of the codes near them."""
    if trial.op == "quantize_linear":
        return case_of(trial.scheme, values, scale, points, **params)
    qmin, qmax = code_range(types_of(trial.op, trial.scheme)["x"])
    codes = np.clip(np.rint(values), qmin, qmax)
    return dequantizer_case(trial.scheme, codes, scale, points, **params)


def _fine(trial: Trial) -> list[Case]:
    """Return tensors of three axes and a square, along every axis, from the front and the back."""
    types = types_of(trial.op, trial.scheme)
    qmin, qmax = code_range(types["y" if trial.op == "quantize_linear" else "x"])
    rng = np.random.default_rng(trial.seed)
    found = []
    for shape in ((4, 4), (2, 6, 4)):
        x = (rng.uniform(qmin, qmax, shape) / 2).astype(np.float32)
        for axis in (*range(len(shape)), *range(-len(shape), 0)):
            length = shape[axis]
            block = 2 if trial.scheme.endswith("_block") else 0
            blocks = list(shape)
            blocks[axis] //= block or 1
            of = tuple(blocks) if block else (length,)
            scale = rng.choice(np.array([0.25, 1 / 3, 0.7, 1.5, 3.0], np.float32), of)
            points = rng.integers(qmin, qmax + 1, of)
            found.append(_make(trial, x, scale, points, axis=axis, block_size=block))
    return found


@prop("QDQ-19", "q_channel_equals_slices", ops=_BOTH, clause=_AXIS, catches="axis bugs")
def slices(trial: Trial) -> None:
    """Scales along any axis give what each element has with its own scale alone."""
    if not trial.scheme.endswith(("_channel", "_block")):
        trial.skip("speaks of more than one scale")
    cases = _fine(trial)
    trial.expect(*cases)
    for case in cases[:2]:  # that the contract itself is a loop of tensors
        whole = trial.expected(case)
        alone = trial.expected(element(case, case.inputs["x"].size - 1))
        if whole is not None and alone is not None:
            last = whole["y"].reshape(-1)[-1], alone["y"].reshape(-1)[0]
            if last[0] != last[1]:
                trial.fail(case, f"the last element is {last[0]}, and alone {last[1]}")


@prop("QDQ-20", "q_intermediate_precision", ops=("quantize_linear",), clause=_PRECISION,
      catches="2.3 (ORT 18576)")  # fmt: skip
def intermediate(trial: Trial) -> None:
    """Every float16 has the code that the declared precision of the quotient gives."""
    if types_of(trial.op, trial.scheme)["x"] != "float16":
        trial.skip("speaks of float16")
    real = HALVES[~np.isnan(HALVES)]
    scales = [float(np.float16(s)) for s in (1.0, 1 / 3, 0.1, 0.0375)]
    trial.expect(*(case_of(trial.scheme, real, s, z) for s in scales for z in (0, 1, 100)))


@prop("QDQ-22", "q_absent_zp", ops=_BOTH, clause=_ABSENT, catches="ORT 26525, MatMulNBits")
def absent_zero_point(trial: Trial) -> None:
    """A zero point that is not given is 0 in the type of the codes."""
    types = types_of(trial.op, trial.scheme)
    code = types["y" if trial.op == "quantize_linear" else "x"]
    if code not in INTEGERS or trial.scheme.endswith(("_channel", "_block")):
        trial.skip("speaks of integer codes, one scale a tensor")
    if trial.op == "quantize_linear":
        x = (np.arange(-12, 12) * 0.3).astype(types["x"])
        case = case_of(trial.scheme, x, 0.5, 0)
    else:
        codes = np.arange(-70, 70) if code == "int32" else all_codes(trial.scheme)  # QDQ-23: more
        case = dequantizer_case(trial.scheme, codes, 0.5, 0)
    inputs = {name: array for name, array in case.inputs.items() if name != "zero_point"}
    trial.expect(replace(case, inputs=inputs))
