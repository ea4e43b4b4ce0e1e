"""Planted bugs of layer normalization: variances that cancel, and none at all."""

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.otherwise import Otherwise
from refquant_conformance.protocol import Case, Result

__all__ = ["MUTANTS"]


def _no_epsilon(case: Case, honest: Run) -> Result:
    """Divide by the bare root of the variance where that is 0."""
    y = honest(case).outputs["y"].copy()
    constant = (case.inputs["x"] == case.inputs["x"][:, :1]).all(axis=1)
    y[constant] = np.nan
    return Result({"y": y})


def _of_samples(case: Case, honest: Run) -> Result:
    """Divide the squares by one less than their number, as statistics of samples do."""
    count, scale = case.inputs["x"].shape[1], case.inputs["scale"]
    bias = case.inputs.get("bias", np.zeros_like(scale))
    less = np.float32(np.sqrt((count - 1) / count))
    return Result({"y": (honest(case).outputs["y"] - bias) * less + bias})


MUTANTS = (
    Mutant("one_pass", "the variance is the mean of squares less the square of the mean", "2.8",
           "OP-11", "layer_norm", ("f32",), Otherwise(variance="one_pass")),
    Mutant("of_samples", "squares are divided by one less than their number", "2.8", "OP-11",
           "layer_norm", ("f32",), _of_samples),
    Mutant("no_epsilon", "a row of one number is not a number", "2.8", "OP-11", "layer_norm",
           ("f32",), _no_epsilon),
)  # fmt: skip
