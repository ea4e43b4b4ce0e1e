"""Planted bugs of movement: padding that wins, lost tails, one rule for two operands."""

from dataclasses import replace

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.otherwise import Otherwise
from refquant_conformance.protocol import Case, Result

__all__ = ["MUTANTS"]

_EIGHT = ("u8", "i8")


def _last_column(case: Case, honest: Run) -> Result:
    """Copy the column before into the last one of 16n + 1."""
    y = honest(case).outputs["y"].copy()
    if y.ndim == 2 and y.shape[1] > 16 and y.shape[1] % 16 == 1:
        y[:, -1] = y[:, -2]
    return Result({"y": y})


def _neighbour_window(case: Case, honest: Run) -> Result:
    """Leave out the last element of a window of nine where there are 17 channels."""
    x = case.inputs["x"]
    if case.params["kernel"] != (3, 3) or x.shape[1] != 17:
        return honest(case)
    y = honest(case).outputs["y"]
    less = honest(replace(case, params={**case.params, "kernel": (3, 2)})).outputs["y"]
    return Result({"y": less[..., : y.shape[2], : y.shape[3]]})


def _plain_transpose(case: Case, honest: Run) -> Result:
    """Exchange nothing where three axes become (0, 2, 1): only the shape is another."""
    if case.params.get("perm") != (0, 2, 1):
        return honest(case)
    n, rows, columns = case.inputs["x"].shape
    return Result({"y": case.inputs["x"].reshape(n, columns, rows)})


def _first_rule(case: Case, honest: Run) -> Result:
    """Rescale the second operand by the rule of the first."""
    rule = {f"b_{part}": case.inputs[f"a_{part}"] for part in ("scale", "zero_point")}
    return honest(replace(case, inputs={**case.inputs, **rule}))


def _always_moved(case: Case, honest: Run) -> Result:
    """Lose one step where equal rules need no step at all."""
    y = honest(case).outputs["y"]
    equal = all(case.inputs[f"a_{part}"] == case.inputs[f"y_{part}"]
                for part in ("scale", "zero_point"))  # fmt: skip
    return Result({"y": y ^ np.array(equal, y.dtype)})


def _darker(case: Case, honest: Run) -> Result:
    """Lose a step of the lightest color, as sums of weights below 1 do."""
    x, y = case.inputs["x"], honest(case).outputs["y"]
    return Result({"y": y - np.array((x == x.max()).all() and y.size > x.size, y.dtype)})


MUTANTS = (
    Mutant("padding_wins", "padding is the zero point, and wins", "2.8", "OP-05", "max_pool",
           ("i8", "u8"), Otherwise(padding="zero_point")),
    Mutant("short_window", "the last of nine elements is left out", "2.3", "OP-05", "max_pool",
           _EIGHT, _neighbour_window),
    Mutant("pad_code_zero", "codes are padded with the code 0", "2.8", "OP-05", "move", _EIGHT,
           Otherwise(padding="code_zero")),
    Mutant("moved_tail", "the last of 16n + 1 columns is the one before", "2.3", "OP-05", "move",
           _EIGHT, _last_column),
    Mutant("not_transposed", "axes are renamed, and nothing moves", "2.6", "OP-05", "move", _EIGHT,
           _plain_transpose),
    Mutant("copy_rescaled", "equal rules, and codes are rescaled", "2.4", "OP-05",
           "qlinear_concat", _EIGHT, _always_moved),
    Mutant("one_rule", "both operands have the rule of the first", "2.4", "OP-13",
           "qlinear_concat", _EIGHT, _first_rule),
    Mutant("concat_half_away", "ties of a requantized operand go away from zero", "2.3", "OP-13",
           "qlinear_concat", _EIGHT, Otherwise(concat="quotient_half_away")),
    Mutant("place_divided", "places are quotients of float32", "2.8", "OP-09", "resize_nearest",
           _EIGHT, Otherwise(source="divided")),
    Mutant("resize_truncated", "interpolated codes are cut off", "2.8", "OP-09",
           "resize_bilinear", _EIGHT, Otherwise(interpolate="truncated")),
    Mutant("darker", "an image of one color becomes darker", "2.8", "OP-09", "resize_bilinear",
           _EIGHT, _darker),
)  # fmt: skip
