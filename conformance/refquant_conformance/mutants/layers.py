"""Planted bugs of layers in containers, of codebooks, and of sums of 48 bits."""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.codebooks import cuts_of
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]

_AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def _fields(words: Array, order: tuple[int, ...] | range) -> Array:
    wide = words.astype(np.int64)[..., None] >> np.array([4 * i for i in range(8)]) & 15
    back = np.empty_like(wide)
    back[..., list(order)] = wide
    return np.asarray(back.reshape(*words.shape[:-1], -1))


def _words(fields: Array, order: tuple[int, ...] | range) -> Array:
    eight = fields.reshape(*fields.shape[:-1], -1, 8)[..., list(order)].astype(np.int64)
    word = (eight << np.array([4 * i for i in range(8)])).sum(axis=-1)
    return np.asarray(word.astype(np.uint32).view(np.int32))


def _borrow(case: Case, honest: Run) -> Result:
    """Subtract 1 from all eight zero points of a word at once."""
    made = dict(honest(case).outputs)
    zeros = _words(case.inputs["zeros"], range(8)).view(np.uint32).astype(np.int64)
    less = (zeros - 0x11111111) % 2**32
    return Result({**made, "qzeros": less.astype(np.uint32).view(np.int32)})


def _linear_zeros(case: Case, honest: Run) -> Result:
    """Take AWQ's order for the weights, and none for the zero points."""
    if case.op == "layer_pack":
        made = dict(honest(case).outputs)
        return Result({**made, "qzeros": _words(case.inputs["zeros"], range(8))})
    zeros = _words(_fields(case.inputs["qzeros"], range(8)), _AWQ)
    return honest(replace(case, inputs={**case.inputs, "qzeros": zeros}))


def _always_v1(case: Case, honest: Run) -> Result:
    """Take every checkpoint for one of the first convention."""
    return honest(replace(case, params={**case.params, "convention": "v1"}))


def _swapped(case: Case, honest: Run) -> Result:
    """Read bytes as this machine's numbers, whatever the array says."""
    seen = {
        n: a.view(a.dtype.newbyteorder("=")) if a.dtype.byteorder == ">" else a
        for n, a in case.inputs.items()
    }
    with np.errstate(all="ignore"):
        return honest(replace(case, inputs=seen))


def _upper(case: Case, honest: Run) -> Result:
    """Take the level above where a value is at the end of one."""
    made = dict(honest(case).outputs)
    x = case.inputs["x"].reshape(-1, int(case.params["block_size"]))  # type: ignore[arg-type]  # a number, the catalogue says
    with np.errstate(all="ignore"):
        scaled = x * (np.float32(1) / np.abs(x).max(axis=1, keepdims=True))
    at_end = np.isin(scaled, cuts_of(case.scheme))
    up = np.nextafter(x, np.where(at_end, np.float32(np.inf), x))
    moved = honest(replace(case, inputs={"x": up.reshape(-1)})).outputs["y"]
    return Result({**made, "y": moved})


def _cut_to_32_bits(case: Case, honest: Run) -> Result:
    """Keep the lower 32 bits of a sum."""
    a, b = case.inputs["a"].astype(np.int64), case.inputs["b"].astype(np.int64)
    exact = a @ b
    lost = exact - exact.astype(np.int32)
    y = honest(case).outputs["y"].astype(np.float64)
    s = [case.inputs[f"{n}_scale"].astype(np.float64) for n in ("a", "b", "y")]
    less = y - lost * (s[0] * s[1] / s[2])
    return Result({"y": np.clip(np.rint(less), -32768, 32767).astype(np.int16)})


MUTANTS = (
    Mutant("borrow", "a zero point of 0 borrows of its neighbours", "2.6", "PK-06", "layer_pack",
           ("gptq",), _borrow),
    Mutant("linear_zeros", "AWQ's order is of the weights, and not of the zero points", "2.6",
           "PK-06", "layer_pack", ("awq",), _linear_zeros),
    Mutant("linear_zeros_read", "zero points of AWQ are read in their order in the word", "2.6",
           "PK-06", "layer_unpack", ("awq",), _linear_zeros),
    Mutant("byte_order", "arrays in the other byte order are read as this machine's", "-", "PK-09",
           "block_quantize", ("q4_0", "q8_0"), _swapped),
    Mutant("convention_ignored", "the second convention of zero points is read as the first",
           "2.6", "PK-10", "layer_unpack", ("gptq",), _always_v1),
    Mutant("upper_at_ends", "a value at the end of a level has the next one", "2.6", "BS-09",
           "codebook_quantize", ("nf4", "bnb_fp4"), _upper),
    Mutant("other_cuts", "levels end where nine digits say", "2.6", "BS-09", "codebook_quantize",
           ("nf4", "bnb_fp4"), Changed(cuts="literals")),
    Mutant("sum_of_32_bits", "a sum of 16-bit codes is cut to 32 bits", "2.9", "RQ-10",
           "wide_matmul", ("i16_i8",), _cut_to_32_bits),
)  # fmt: skip
