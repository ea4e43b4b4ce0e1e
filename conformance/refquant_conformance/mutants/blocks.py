"""Planted bugs of block formats, one or more for each property BS that the catalogue can show."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.oracle_blocks import SIZES
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]

_LEGACY = ("q4_0", "q5_0", "q8_0")


def _doubled(case: Case, honest: Run) -> Result:
    with np.errstate(over="ignore"):
        return Result({"y": honest(case).outputs["y"] * np.float32(2)})


def _halves(change: Callable[[Array, Array], Array]) -> Callable[[Case, Run], Result]:
    """Return the reference whose scales (halves at the front of blocks) are changed."""

    def run(case: Case, honest: Run) -> Result:
        elements, size = SIZES[case.scheme]
        y = honest(case).outputs["y"].copy().reshape(-1, size)
        d = np.ascontiguousarray(y[:, :2]).view(np.float16)[:, 0]
        with np.errstate(all="ignore"):
            new = change(d, case.inputs["x"].reshape(-1, elements)).astype(np.float16)
        y[:, :2] = new.view(np.uint8).reshape(-1, 2)
        return Result({"y": y.reshape(-1)})

    return run


def _nan_of_zeros(d: Array, x: Array) -> Array:
    return np.where((x == 0).all(axis=1), np.float16(np.nan), d)


def _saturated(d: Array, x: Array) -> Array:
    return np.clip(d, np.float16(-65504), np.float16(65504))


def _shrunk(d: Array, x: Array) -> Array:
    return d * np.float16(0.9375)


def _one_scale(case: Case, honest: Run) -> Result:
    """Misread one pair of a scale and a minimum, 42 and 17, of the second sub-block."""
    x, y = case.inputs["x"].reshape(-1, SIZES[case.scheme][1]), honest(case).outputs["y"].copy()
    bad = (x[:, 5] & 63 == 42) & (x[:, 9] & 63 == 17)
    y.reshape(-1, 256)[bad, :64] += np.float32(1)
    return Result({"y": y})


def _nan_scale(case: Case, honest: Run) -> Result:
    """Read the scale 0x7f, NaN, as 480."""
    x = case.inputs["x"].copy().reshape(-1, 36)
    y = honest(case).outputs["y"].reshape(-1, 4, 16).copy()
    y[x[:, :4] == 0x7F] = np.float32(480)
    return Result({"y": y.reshape(-1)})


def _cut(case: Case, honest: Run) -> Result:
    """Drop what does not fill a block."""
    elements, size = SIZES[case.scheme]
    own = elements if case.op == "block_quantize" else size
    x = case.inputs["x"]
    return honest(replace(case, inputs={"x": x[: x.size // own * own]}))


def _of_all(case: Case, honest: Run) -> Result:
    """Take blocks for zeros that are 2^20 times smaller than the largest of the row."""
    x = case.inputs["x"].reshape(-1, SIZES[case.scheme][0])
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    with np.errstate(all="ignore"):
        small = largest * 2.0**20 < largest.max(initial=0)
    return honest(replace(case, inputs={"x": np.where(small, np.float32(0), x).reshape(-1)}))


def _last_extreme(case: Case, honest: Run) -> Result:
    """Of two largest elements take the last: so turn each block, and its codes, around."""
    x = case.inputs["x"].reshape(-1, 32)
    tied = (x.max(axis=1) == 8) & (x.min(axis=1) == -8)
    if not tied.any() or not x.any():
        return honest(case)
    first = np.argmax(np.abs(x), axis=1)
    pushed = x.copy()
    rows = np.flatnonzero(tied)
    pushed[rows, first[rows]] = np.nextafter(x[rows, first[rows]], np.float32(0))
    return honest(replace(case, inputs={"x": pushed.reshape(-1)}))


def _block(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    op: str,
    run: Callable[[Case, Run], Result],
    *schemes: str,
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, f"block_{op}", schemes, run)


MUTANTS = (
    _block("mxfp4_doubled", "the codebook of MXFP4 holds twice the values", "2.10", "BS-01",
           "dequantize", _doubled, "mxfp4"),
    _block("pairs_for_halves", "nibbles of a byte are neighbours", "2.6", "BS-01", "dequantize",
           Changed(nibbles="pairs"), "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "mxfp4"),
    _block("scale_too_small", "the scale is a sixteenth too small", "2.7", "BS-02", "quantize",
           _halves(_shrunk), *_LEGACY),
    _block("nan_of_zeros", "a block of zeros has the scale NaN", "2.7", "BS-03", "quantize",
           _halves(_nan_of_zeros), *_LEGACY),
    _block("scale_saturates", "scales beyond a half are the largest half", "2.9", "BS-04",
           "quantize", _halves(_saturated), *_LEGACY),
    _block("one_scale_misread", "one pair of a scale and a minimum is misread", "2.6", "BS-05",
           "dequantize", _one_scale, "q4_k", "q5_k"),
    _block("contracted", "the compiler fuses the product and the sum", "2.10", "BS-08",
           "quantize", Changed(contraction="fused"), "q4_0", "q4_1", "q5_0", "q5_1"),
    _block("q8_even", "ties of Q8_0 go to even", "2.10", "BS-08", "quantize",
           Changed(flavour="neon"), "q8_0"),
    _block("nan_scale_read", "the scale NaN of NVFP4 is read as 480", "2.7", "BS-10",
           "dequantize", _nan_scale, "nvfp4"),
    _block("tail_dropped", "what does not fill a block is dropped", "2.10", "BS-11", "quantize",
           _cut, *_LEGACY),
    _block("far_blocks", "blocks far smaller than others are zeros", "-", "BS-12", "quantize",
           _of_all, *_LEGACY),
    _block("last_extreme", "of two largest elements the last counts", "2.10", "BS-13",
           "quantize", _last_extreme, "q4_0", "q5_0"),
)  # fmt: skip
