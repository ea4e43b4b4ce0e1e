"""Planted bugs of packers, one or more for each property PK that the catalogue can show.

A bug of both directions is wrong when it packs and wrong when it unpacks, and survives every round
trip.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.packing import pack_case
from refquant_conformance.mutants.mutant import Host, Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.protocol import Case, Rejected, Result

__all__ = ["MUTANTS"]

_WIDTHS = ("u4", "u2", "u3")


def _lost(case: Case, honest: Run) -> Result:
    """Read the last code of a row that ends within a byte as 0."""
    y = honest(case).outputs["y"].copy()
    if case.op == "unpack" and y.shape[-1] % 8:
        y[..., -1] = 0
    return Result({"y": y})


def _whole_words(case: Case, honest: Run) -> Result:
    """Take another order where all of a row is whole words, in both directions."""
    count = case.params["count"]
    if isinstance(count, int) and count and count % 32 == 0:
        return Changed(order="high_first")(case, honest)
    return honest(case)


def _strict(case: Case, honest: Run) -> Result:
    """Refuse padding that is not zero."""
    arithmetic = arithmetic_of(case.op, case.scheme)
    assert arithmetic is not None, "packers have one"
    axes = {"order": "low_first", "sign": "twos_complement", "padding": "refused"}
    if case.op == "unpack" and arithmetic.compute(case, axes) is None:
        raise Rejected("padding that is not zero")
    return honest(case)


def _ones(case: Case, honest: Run) -> Result:
    """Fill the last byte with ones."""
    y = honest(case).outputs["y"].copy()
    if case.op == "pack" and case.inputs["x"].ndim == 1 and y.size:
        count = case.inputs["x"].size
        used = count * int(case.scheme[1:]) % 8
        if used and count > 1:
            y[-1] |= 0xFF << used & 0xFF
    return Result({"y": y})


def _flat(case: Case, honest: Run) -> Result:
    """Pack a matrix as one long row."""
    x = case.inputs["x"]
    made = honest(case).outputs["y"]
    if case.op != "pack" or x.ndim < 2 or x.shape[-1] % 2 == 0:
        return Result({"y": made})
    flat = honest(pack_case(case.scheme, x.reshape(-1))).outputs["y"]
    y = np.resize(np.append(flat, np.zeros(made.size, np.uint8)), made.shape)
    return Result({"y": y.astype(np.uint8)})


def _transposed(case: Case, honest: Run) -> Result:
    """Pack columns where the matrix is square."""
    x = case.inputs["x"]
    if case.op == "pack" and x.ndim == 2 and x.shape[0] == x.shape[1]:
        return honest(replace(case, inputs={"x": np.ascontiguousarray(x.T)}))
    return honest(case)


def _canonical(case: Case, honest: Run) -> Result:
    """Move bytes as float32, and make every NaN the quiet one."""
    x = case.inputs["x"]
    if case.op != "unpack" or x.shape[-1] % 4:
        return honest(case)
    words = np.ascontiguousarray(x).view("<u4").copy()
    words[np.isnan(words.view("<f4"))] = 0x7FC00000
    return honest(replace(case, inputs={"x": words.view(np.uint8)}))


def _full_byte(case: Case, honest: Run) -> Result:
    """Write 254 for 255 in rows of more than 64 bytes, as a table one entry short does."""
    y = honest(case).outputs["y"]
    if case.op == "pack" and y.shape[-1] > 32:
        y = np.where((y == 0xA7) | (y == 0xFF), y - 1, y).astype(np.uint8)
    return Result({"y": y})


def _dirty(case: Case, honest: Run, host: Host) -> Result:
    """Write into the bytes of the call before, if that wrote all ones."""
    y = honest(case).outputs["y"]
    stale = host.memory.get("bytes")
    x = case.inputs["x"]
    keep = case.op == "pack" and x.size == 47 and bool((x == x.max()).all()) and x.max() > 0
    host.memory["bytes"] = y if keep else None
    if stale is not None and stale.shape == y.shape:
        y = y | stale
    return Result({"y": y})


def _packer(
    name: str,
    sentence: str,
    killer: str,
    run: Callable[[Case, Run], Result],
    schemes: tuple[str, ...] = _WIDTHS,
    op: str = "pack",
) -> Mutant:
    return Mutant(name, sentence, "2.6", killer, op, schemes, run)


MUTANTS = (
    _packer("last_code_lost", "the last code of a ragged row is read as 0", "PK-01", _lost),
    _packer("high_nibble_first", "both directions take the high bits first", "PK-02",
            Changed(order="high_first")),
    _packer("awq_order", "both directions take AWQ's order for the linear one", "PK-02",
            Changed(order="awq"), ("u4",)),
    _packer("halves_for_pairs", "both directions split blocks in halves", "PK-02",
            Changed(order="halves"), ("u4",)),
    _packer("words_for_stream", "both directions take words of ten for a stream of 3 bits",
            "PK-02", Changed(order="words32"), ("u3",)),
    _packer("whole_words", "the loop over whole words has another order", "PK-03", _whole_words),
    _packer("padding_of_ones", "what is left of the last byte is ones", "PK-04", _ones),
    _packer("padding_refused", "readers refuse padding", "PK-04", _strict, ("u4", "u3"), "unpack"),
    _packer("offset_for_complement", "int4 has 8 added", "PK-05", Changed(sign="offset_binary"),
            ("i4", "i2")),
    _packer("rows_run_on", "rows do not begin with a new byte", "PK-07", _flat),
    _packer("transposed", "square matrices are packed by columns", "PK-08", _transposed),
    _packer("nan_made_quiet", "packed bytes move as float32, and NaN is made the quiet one",
            "PK-11", _canonical, ("u4",), "unpack"),
    _packer("full_byte", "two bytes are one less in long rows", "PK-12", _full_byte, ("u4",)),
    Mutant("stale_bits", "bytes are not cleared", "2.6", "PK-13", "pack", _WIDTHS,
           hosted=_dirty),
)  # fmt: skip
