"""PK-01 to 05, 07, 08 and 11 to 13: where the bits of packed codes stand.

Two implementations that agree with each other about the wrong order survive every round trip; so
PK-02 asks for absolute places, and PK-03 for bytes that were written down by hand.

PK-06 and PK-10 speak of zero points and metadata of model files, PK-09 of another machine: the
catalogue has no operator that shows them.

References
----------
ONNX ``TensorProto`` (INT4, UINT4); ggml ``block_q4_0``; AutoAWQ ``pack_intweight``.
"""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.packing import (
    pack_case,
    places,
    row_bytes,
    unpack_case,
    width,
)
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array
from refquant_conformance.trial import Trial

__all__: list[str] = []

_PACK, _UNPACK = ("pack",), ("unpack",)
_CLAUSE = "ONNX TensorProto: elements of less than a byte, the first in the low bits"
_PADDING = "ONNX TensorProto: what is left of the last byte is padding"


def _unsigned(trial: Trial) -> int:
    """Return the width; skip signed codes, of which PK-05 speaks."""
    if trial.scheme[0] != "u":
        trial.skip("PK-05 speaks of signed codes")
    return width(trial.scheme)


def _both(trial: Trial) -> None:
    """Skip a subject that packs, and does not unpack."""
    bits = width(trial.scheme)
    zeros = unpack_case(trial.scheme, np.zeros(row_bytes("low_first", num_bits=bits, count=32)), 32)
    (answer,) = trial.subject.ask([zeros])
    if answer.kind not in ("result", "rejected"):
        trial.skip("it does not unpack")


@prop("PK-01", "roundtrip", ops=_PACK, clause=_CLAUSE, catches="2.6")
def roundtrip(trial: Trial) -> None:
    """Codes of every length from 0 to 129 come back as they were packed."""
    bits = _unsigned(trial)
    _both(trial)
    rows = [(np.arange(n) * 5 + n) % (1 << bits) for n in range(130)]
    packed = trial.ys([pack_case(trial.scheme, row) for row in rows])
    asked = [
        unpack_case(trial.scheme, data, row.size) for data, row in zip(packed, rows, strict=True)
    ]
    for case, row, back in zip(asked, rows, trial.ys(asked), strict=True):
        if back.tolist() != row.tolist():
            wrong = [i for i, (a, b) in enumerate(zip(row, back, strict=False)) if a != b]
            trial.fail(case, f"{row.size} codes come back otherwise, first at {wrong[:3]}")


@prop("PK-02", "bit_probe", ops=_PACK, clause=_CLAUSE, catches="2.6")
def one_hot(trial: Trial) -> None:
    """A bit of a code is the bit of the bytes that the order says, and no other."""
    bits = _unsigned(trial)
    hot = np.eye(24 * bits, dtype=np.uint8).reshape(-1, 24, bits)
    trial.expect(*(pack_case(trial.scheme, row) for row in (hot << np.arange(bits)).sum(axis=-1)))


BY_HAND = {
    # (scheme, order): the bytes of the codes 0, 1, 2 ... (modulo 2^bits), thirty-two of them
    ("u4", "low_first"): "1032547698badcfe1032547698badcfe",
    ("u4", "high_first"): "0123456789abcdef0123456789abcdef",
    ("u4", "halves"): "00112233445566778899aabbccddeeff",
    ("u4", "awq"): "20643175a8ecb9fd20643175a8ecb9fd",
    ("u2", "low_first"): "e4e4e4e4e4e4e4e4",
    ("u2", "high_first"): "1b1b1b1b1b1b1b1b",
    ("u3", "low_first"): "88c6fa88c6fa88c6fa88c6fa",
    ("u3", "high_first"): "053977053977053977053977",
    ("u1", "low_first"): "aaaaaaaa",
    ("u1", "high_first"): "55555555",
}
"""Written down from the texts, order by order: 3 bits straddle bytes as 000 001 010 011 ... do."""


@prop("PK-03", "order_vectors", ops=_PACK, clause=_CLAUSE, catches="2.6")
def by_hand(trial: Trial) -> None:
    """Thirty-two codes in a row are the bytes that were written down by hand."""
    bits = _unsigned(trial)
    case = pack_case(trial.scheme, np.arange(32) % (1 << bits))
    order = str(trial.axes["order"]) if trial.axes else ""
    trial.expect(case)
    if (trial.scheme, order) in BY_HAND:
        got = trial.outputs(case)["y"].tobytes().hex()
        wanted = BY_HAND[trial.scheme, order]
        if got != wanted:
            trial.fail(case, f"{order} is {wanted}, and this is {got}")


@prop("PK-04", "pad_bits", ops=(*_PACK, *_UNPACK), clause=_PADDING, catches="-")
def padding(trial: Trial) -> None:
    """Bits behind the last code are written as 0, and do not change what is read."""
    bits = _unsigned(trial)
    order = trial.axes["order"] if trial.axes else "low_first"
    counts = [n for n in (1, 3, 5, 7, 9, 33) if _free(n, order, bits).any()]
    if not counts:
        trial.skip("no row of this width ends within a byte")
    if trial.op == "pack":
        full = (1 << bits) - 1
        trial.expect(*(pack_case(trial.scheme, np.full(n, full)) for n in counts))
        return
    dirty = [np.packbits(_free(n, order, bits), bitorder="little") for n in counts]
    trial.expect(*(unpack_case(trial.scheme, d, n) for d, n in zip(dirty, counts, strict=True)))


def _free(count: int, order: object, bits: int) -> Array:
    """Return which bits of a row belong to no code."""
    kind = str(order)
    free = np.ones(8 * row_bytes(kind, num_bits=bits, count=count), bool)
    free[places(kind, num_bits=bits, count=count)] = False
    return free


@prop("PK-05", "sign_convention", ops=(*_PACK, *_UNPACK), clause=_CLAUSE, catches="2.6 (hip-ep)")
def signs(trial: Trial) -> None:
    """Negative codes are two's complement, or offset by half the range, as the contract says."""
    bits = width(trial.scheme)
    if trial.scheme[0] != "i":
        trial.skip("speaks of signed codes")
    codes = np.arange(32) % (1 << bits) - (1 << (bits - 1))
    if trial.op == "pack":
        trial.expect(pack_case(trial.scheme, codes))
        return
    trial.expect(unpack_case(trial.scheme, np.arange(32 * bits // 8) * 37 + 11, 32))


@prop("PK-07", "zp_odd_count", ops=_PACK, clause=_PADDING, catches="2.6 (Quark 20)")
def odd_rows(trial: Trial) -> None:
    """Rows of an odd number of codes begin with a new byte each."""
    bits = _unsigned(trial)
    if bits == 8:
        trial.skip("a code is a byte")
    codes = np.random.default_rng(trial.seed).integers(0, 1 << bits, (3, 5))
    trial.expect(pack_case(trial.scheme, codes))


@prop("PK-08", "not_square", ops=_PACK, clause=_CLAUSE, catches="2.6 (hip-ep 134)")
def not_square(trial: Trial) -> None:
    """Rows of matrices that are not square, and of those that are, run along the last axis."""
    bits = _unsigned(trial)
    rng = np.random.default_rng(trial.seed)
    for shape in ((32, 64), (64, 32), (32, 32)):
        trial.expect(pack_case(trial.scheme, rng.integers(0, 1 << bits, shape)))


@prop("PK-11", "storage_opaque", ops=_UNPACK, clause=_CLAUSE, catches="2.6 (bnb 1945)")
def opaque(trial: Trial) -> None:
    """Bytes that happen to be NaN of any float are read as they are, wherever they lie."""
    bits = _unsigned(trial)
    order = trial.axes["order"] if trial.axes else "low_first"
    size = row_bytes(str(order), num_bits=bits, count=32)
    quads = np.array([0x7F800001, 0xFFBFFFFF, 0x7F80FFFF, 0xFF800123], "<u4").view(np.uint8)
    halves = np.array([0x7C01, 0xFDFF, 0x7D00, 0xFC10], "<u2").view(np.uint8)
    for source in (quads, halves):
        case = unpack_case(trial.scheme, np.resize(source, size), 32)
        trial.expect(*(replace(case, layout=layout) for layout in ("contiguous", "offset")))


@prop("PK-12", "repack", ops=_PACK, clause=_CLAUSE, catches="2.6 (pie 491)")
def repack(trial: Trial) -> None:
    """Bytes that are read and written again are the same bytes, whatever they hold."""
    bits = _unsigned(trial)
    _both(trial)
    order = str(trial.axes["order"]) if trial.axes else "low_first"
    count = {3: 160, 5: 96, 6: 160, 7: 96}.get(bits, 512)  # rows of whole words and bytes
    free = _free(count, order, bits)
    size = row_bytes(order, num_bits=bits, count=count)
    rng = np.random.default_rng(trial.seed)
    data = np.resize(rng.permutation(256), (4, size)).astype(np.uint8)
    data &= np.packbits(~free, bitorder="little")
    (codes,) = trial.ys([unpack_case(trial.scheme, data, count)])
    asked = pack_case(trial.scheme, codes)
    (back,) = trial.ys([asked])
    if back.shape != data.shape:
        trial.fail(asked, f"{data.shape} bytes are {back.shape} when written again")
    if back.tobytes() != data.tobytes():
        at = int(np.argmax(back.reshape(-1) != data.reshape(-1)))
        told = data.reshape(-1)[at], back.reshape(-1)[at]
        trial.fail(asked, f"byte {at} was {told[0]:#x}, and is {told[1]:#x} when written again")


@prop("PK-13", "no_stale_bits", ops=_PACK, clause=_CLAUSE, catches="2.6 (bnb 1721)")
def no_stale_bits(trial: Trial) -> None:
    """What was packed before leaves no bits behind."""
    bits = _unsigned(trial)
    full = pack_case(trial.scheme, np.full(47, (1 << bits) - 1))
    empty = pack_case(trial.scheme, np.zeros(47))
    made = trial.ys([empty, full, empty])
    if made[0].tobytes() != made[2].tobytes():
        trial.fail(empty, "zeros are other bytes after something else was packed")
