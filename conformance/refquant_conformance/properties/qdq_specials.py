"""QDQ-08 to 11: NaN, signed zeros, subnormal numbers, and scales that are none.

References
----------
ONNX, QuantizeLinear-21 (silent on NaN and on scales that are not positive);
``docs/spec/operators.md`` section 2.
"""

import numpy as np

from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.operators import types_of
from refquant_conformance.properties.quantizers import of_bytes
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.strategies import LENGTHS
from refquant_conformance.trial import Trial
from refquant_conformance.types import INTEGERS

__all__: list[str] = []

_QUANTIZE = ("quantize_linear",)
_SILENT = "ONNX QuantizeLinear-21 is silent; docs/spec/operators.md section 2, axis nan"
_NANS = np.array([0x7FC00000, 0xFFC00000, 0x7FC12345, 0x7F800001, 0xFFFFFFFF], np.uint32)


@prop("QDQ-08", "q_nan_policy", ops=_QUANTIZE, clause=_SILENT, catches="2.9")
def nan_policy(trial: Trial) -> None:
    """Every NaN has one code, at every position of every length, for one scale or many."""
    types = types_of(trial.op, trial.scheme)
    if types["x"] != "float32" or types["y"] not in INTEGERS:
        trial.skip("speaks of float32 and integer codes")
    nans = _NANS.view(np.float32)
    if trial.scheme.endswith(("_channel", "_block")):
        cases = [_fine(trial.scheme, nan) for nan in nans[:2]]
    else:
        of_bytes(trial)
        cases = [case_of(trial.scheme, nans, 0.5, z) for z in (0, 1, 100)]
        for length in (n for n in LENGTHS if n <= 129):
            cases.append(case_of(trial.scheme, np.full(length, np.nan, np.float32), 0.5, 3))
    trial.expect(*cases)
    if trial.axes and "nan" in trial.axes:
        trial.notes["NaN"] = str(trial.axes["nan"])


def _fine(scheme: str, nan: np.float32) -> Case:
    x = np.ones((2, 34), np.float32)
    x[:, ::3] = nan
    if scheme.endswith("_channel"):
        return case_of(scheme, x, np.array([0.5, 2.0]), np.array([1, 0]), axis=0)
    scales = np.array([[0.5, 2.0], [1.0, 3.0]])
    return case_of(scheme, x, scales, np.array([[1, 0], [0, 1]]), axis=1, block_size=17)


@prop("QDQ-09", "q_signed_zero", ops=_QUANTIZE, clause="operators.md section 2", catches="2.9")
def signed_zero(trial: Trial) -> None:
    """Both zeros have the code of the zero point."""
    of_bytes(trial)
    for scale in (1.0, float(np.float32(0.1)), 2.0**100):
        for z in (0, 1, 100):
            case = case_of(trial.scheme, np.tile(np.array([0.0, -0.0], np.float32), 9), scale, z)
            y = trial.outputs(case)["y"]
            if (y != z).any():
                trial.fail(case, f"the zeros are {y[:2].tolist()}, the zero point is {z}")


@prop("QDQ-10", "q_subnormal_x", ops=_QUANTIZE, clause="IEEE 754-2019, 3.3", catches="oneDNN 560")
def subnormal(trial: Trial) -> None:
    """Subnormal reals are numbers, and the caller's flush-to-zero mode is said if it matters."""
    of_bytes(trial)
    tiny = 2.0**-126
    x = (np.array([0.25, 0.5, 0.625, 0.75, 0.99]) * tiny).astype(np.float32)
    x = np.concatenate([x, -x])
    case = case_of(trial.scheme, x, tiny, 2)
    trial.expect(case, case_of(trial.scheme, x, 1.0, 2))
    flushed = Case(
        case.op, case.scheme, case.inputs, case.params, case.types, environment="flush_to_zero"
    )
    there, here = trial.ask(flushed), trial.outputs(case)["y"]
    if there.result is not None and (there.result.outputs["y"] != here).any():
        trial.notes["flush-to-zero"] = "subnormal reals are zeros in the caller's mode"


@prop("QDQ-11", "q_scale_nonpositive", ops=_QUANTIZE, clause=_SILENT, catches="2.5")
def scale_that_is_none(trial: Trial) -> None:
    """A scale of 0, below it, NaN or infinite is refused or computed, and spoils nothing after."""
    of_bytes(trial)
    x = np.array([-1.0, 0.0, 1.0, 3.0], np.float32)
    scales = {"0": 0.0, "-1": -1.0, "NaN": np.nan, "infinite": np.inf, "subnormal": 1e-40}
    for name, scale in scales.items():
        answer = trial.ask(case_of(trial.scheme, x, scale, 1))
        if answer.result is not None:
            trial.notes[f"scale {name}"] = str(answer.result.outputs["y"].tolist())
        else:
            trial.notes[f"scale {name}"] = "refused"
        trial.expect(case_of(trial.scheme, x, 0.5, 1))
