"""Planted bugs of quantizers: the wrong tie, the reciprocal, the tail, the wrap."""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.base import Axes
from refquant_conformance.arithmetic.quantize import QUANTIZE
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.protocol import Case, Result

__all__ = ["MUTANTS"]

_EIGHT = ("f32_u8", "f32_i8")
_ONNX: Axes = {
    **{"rounding": "half_even", "scale_op": "divide_f32", "zero_point_at": "after_rounding"},
    **{"clamp": "after_rounding", "overflow": "saturate", "nan": "qmin"},
}


def _by(**changed: str) -> "Changed":
    return Changed({**_ONNX, **changed})


class Changed:
    """The reference with other axes than those it declares."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes

    def __call__(self, case: Case, honest: Run) -> Result:
        """Compute by the wrong axes."""
        outputs = QUANTIZE.compute(case, self.axes)
        return honest(case) if outputs is None else Result(outputs)


def _tail(case: Case, honest: Run) -> Result:
    """Round the last elements, which no vector holds, in another way."""
    whole = dict(honest(case).outputs)
    wrong = QUANTIZE.compute(case, {**_ONNX, "rounding": "half_away"})
    assert wrong is not None, "half_away refuses nothing"
    y = whole["y"].copy()
    tail = y.shape[-1] % 16
    if tail and y.ndim:
        y[..., -tail:] = wrong["y"][..., -tail:]
    return Result({"y": y})


def _first_nan(case: Case, honest: Run) -> Result:
    """Take NaN for zero before anything else."""
    x = np.nan_to_num(case.inputs["x"], nan=0.0, posinf=np.inf, neginf=-np.inf)
    return honest(replace(case, inputs={**case.inputs, "x": x}))


MUTANTS = (
    Mutant("half_away", "ties go away from zero", "2.3", "QDQ-02", "quantize_linear", _EIGHT,
           _by(rounding="half_away")),
    Mutant("reciprocal", "x is multiplied by 1/s instead of divided by s", "2.3", "QDQ-03",
           "quantize_linear", _EIGHT, _by(scale_op="reciprocal_f32")),
    Mutant("tail_half_away", "the last n mod 16 elements round half away", "2.3", "QDQ-02",
           "quantize_linear", _EIGHT, _tail),
)  # fmt: skip
