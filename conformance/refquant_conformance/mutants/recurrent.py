"""Planted bugs of layers that carry a state: it is dropped, late, or its gates are exchanged."""

from dataclasses import replace

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.protocol import Case, Result

__all__ = ["MUTANTS"]

_ONE = ("f32",)


def _dropped(case: Case, honest: Run) -> Result:
    """Begin with zeros where there is more than one step."""
    if case.inputs["x"].shape[1] < 2:
        return honest(case)
    zeros = {name: np.zeros_like(case.inputs[name]) for name in ("h", "c") if name in case.inputs}
    return honest(replace(case, inputs={**case.inputs, **zeros}))


def _exchanged(case: Case, honest: Run) -> Result:
    """Take the gates for i, f, o, c."""
    size = case.inputs["h"].shape[1]
    order = [0, 2, 1, 3]
    turned = {}
    for name in ("w", "r", "bias"):
        if name in case.inputs:
            array = case.inputs[name]
            parts = array.reshape(-1, 4, size, *array.shape[1:])[:, order]
            turned[name] = parts.reshape(array.shape)
    return honest(replace(case, inputs={**case.inputs, **turned}))


def _late_state(case: Case, honest: Run) -> Result:
    """Return the state before the last step."""
    made = dict(honest(case).outputs)
    if made["y"].shape[1] > 1:
        made["y_h"] = made["y"][:, -2].copy()
    return Result(made)


def _coarse(case: Case, honest: Run) -> Result:
    """Keep 12 bits of every state."""
    made = {
        name: (array.view(np.uint32) & np.uint32(0xFFFFF000)).view(np.float32)
        for name, array in honest(case).outputs.items()
    }
    return Result(made)


def _early_reset(case: Case, honest: Run) -> Result:
    """Reset the state, whatever the attribute says."""
    return honest(replace(case, params={**case.params, "linear_before_reset": 0}))


MUTANTS = (
    Mutant("state_dropped", "a sequence begins with zeros", "2.8", "OP-10", "lstm", _ONE, _dropped),
    Mutant("gates_exchanged", "gates o and f are exchanged", "2.8", "OP-10", "lstm", _ONE,
           _exchanged),
    Mutant("late_state", "the state is that before the last step", "2.8", "OP-10", "gru", _ONE,
           _late_state),
    Mutant("coarse_state", "states have 12 bits", "2.8", "OP-10", "gru", _ONE, _coarse),
    Mutant("early_reset", "the attribute linear_before_reset is ignored", "2.8", "OP-10", "gru",
           _ONE, _early_reset),
)  # fmt: skip
