"""What properties of parameters share: both operators that choose them, asked alike."""

from dataclasses import dataclass

import numpy as np

from refquant_conformance.arithmetic.dynamic_quantize import dynamic_case
from refquant_conformance.arithmetic.parameters import choose_case, code_of
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import code_range

__all__ = ["BOTH", "CHOOSE", "DYNAMIC", "Chosen", "ask", "case", "codes_of", "symmetric"]

DYNAMIC = ("dynamic_quantize_linear",)
CHOOSE = ("choose_qparams",)
BOTH = (*DYNAMIC, *CHOOSE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came back: a scale, a zero point, and codes from the operator that gives them."""

    scale: float
    zero_point: int
    codes: Array | None


def case(trial: Trial, x: Array) -> Case:
    """Return the case of data ``x`` for the operator at hand."""
    data = np.asarray(x, np.float32)
    make = dynamic_case if trial.op in DYNAMIC else choose_case
    return make(trial.scheme, data)


def codes_of(trial: Trial) -> tuple[int, int]:
    """Return the range of the codes."""
    if trial.op in DYNAMIC:
        return code_range(types_of(trial.op, trial.scheme)["y"])
    return code_range(code_of(trial.scheme))


def symmetric(trial: Trial) -> bool:
    """Say whether the zero point is fixed."""
    return trial.scheme.startswith("symmetric")


def ask(trial: Trial, asked: Case) -> Chosen | None:
    """Return what the backend chooses; None if it refuses the data."""
    answer = trial.ask(asked)
    if answer.result is None:
        return None
    out = answer.result.outputs
    return Chosen(float(out["scale"]), int(out["zero_point"]), out.get("y"))
