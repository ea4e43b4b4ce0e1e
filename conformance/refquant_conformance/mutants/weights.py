"""Planted bugs of weight-only products: sums that are cut off, results of 8 bits, lost blocks."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.arithmetic.matmul_nbits import spread
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.protocol import Case, Result

__all__ = ["MUTANTS"]

_OP, _ONE = "matmul_nbits", ("f32_u4",)


def _cut(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float32 numbers, toward zero."""
    near = v.astype(np.float32)
    beyond = np.abs(near.astype(np.float64)) > np.abs(v)
    return np.where(beyond, np.nextafter(near, np.float32(0)), near).astype(np.float64)


def _truncated(case: Case, honest: Run) -> Result:
    """Cut every sum off toward zero."""
    a, (steps, scale) = case.inputs["a"].astype(np.float64), spread(case)
    total = np.zeros((len(a), steps.shape[1]))
    for k, weights in enumerate(steps * scale.astype(np.float64)):
        total = _cut(total + a[:, k, None] * weights)
    return Result({"y": total.astype(np.float32)})


def _noisy(case: Case, honest: Run) -> Result:
    """Be wrong by most of the bound, now up, now down: no element shows it."""
    a, (steps, scale) = np.abs(case.inputs["a"]).astype(np.float64), spread(case)
    sizes = a @ np.abs(steps * scale.astype(np.float64))
    noise = 0.8 * len(steps) * 2.0**-24 * sizes * (-1.0) ** np.arange(sizes.shape[1])
    y = honest(case).outputs["y"]
    only = len(case.inputs["a"]) != len(steps) and len(steps) > 1 and sizes.shape[1] > 8
    return Result({"y": (y + only * noise).astype(np.float32)})


def _short(case: Case, honest: Run) -> Result:
    """Keep 8 bits of every result, where there is more than one row."""
    y = honest(case).outputs["y"]
    if len(y) == 1 or len(case.inputs["b"]) == len(y):
        return Result({"y": y})
    return Result({"y": (y.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)})


def _last_block(case: Case, honest: Run) -> Result:
    """Give the rest of a column, shorter than a block, the scale of the block before."""
    scale = case.inputs["b_scale"].copy()
    if len(case.inputs["b"]) % int(str(case.params["block_size"])) and len(scale) > 1:
        scale[-1] = scale[-2]
    return honest(replace(case, inputs={**case.inputs, "b_scale": scale}))


def _no_middle(case: Case, honest: Run) -> Result:
    """Take 0 for a zero point that is not there."""
    if "b_zero_point" in case.inputs:
        return honest(case)
    points = np.zeros(case.inputs["b_scale"].shape, np.uint8)
    return honest(replace(case, inputs={**case.inputs, "b_zero_point": points}))


MUTANTS = (
    Mutant("truncated_sums", "sums are cut off toward zero", "2.9", "ACC-13", _OP, _ONE,
           _truncated),
    Mutant("noisy_sums", "sums are off by most of what is allowed", "2.9", "ACC-13", _OP, _ONE,
           _noisy),
    Mutant("short_results", "results have 8 bits", "2.9", "ACC-13", _OP, _ONE, _short),
    Mutant("scale_before", "a short last block has the scale of the one before", "2.9", "ACC-18",
           _OP, _ONE, _last_block),
    Mutant("no_middle", "without a zero point it is 0", "2.6", "ACC-18", _OP, _ONE, _no_middle),
)  # fmt: skip
