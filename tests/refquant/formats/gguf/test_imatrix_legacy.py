"""The `.dat` form of importance, by hand; it has no magic, so that anything may be tried on it."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.imatrix import read_imatrix
from refquant.formats.gguf.imatrix_legacy import parse_legacy


def entry(name: bytes, calls: int, *values: float, count: int | None = None) -> bytes:
    number = len(values) if count is None else count
    head = struct.pack(f"<i{len(name)}sii", len(name), name, calls, number)
    return head + struct.pack(f"<{len(values)}f", *values)


def dat(*entries: bytes, count: int | None = None, end: bytes = b"") -> bytes:
    return struct.pack("<i", len(entries) if count is None else count) + b"".join(entries) + end


END = struct.pack("<ii5s", 9, 5, b"a.txt")
TWO = dat(entry(b"blk.0.w", 4, 8.0, 2.0, 1.0), entry(b"v", 0, 5.0), end=END)


def test_the_values_are_divided_by_the_calls(tmp_path: Path) -> None:
    (tmp_path / "imatrix.dat").write_bytes(TWO)
    imatrix = read_imatrix(tmp_path / "imatrix.dat")
    means = {name: entry.importance().tolist() for name, entry in imatrix.entries.items()}
    assert means == {"blk.0.w": [[2.0, 0.5, 0.25]], "v": [[5.0]]}, f"{means}"
    assert (imatrix.datasets, imatrix.chunk_count) == (("a.txt",), 9), f"{imatrix}"


@pytest.mark.parametrize("calls", [0, -1, -(2**31)])
def test_without_calls_the_values_are_the_means(calls: int) -> None:
    sums, _, _ = parse_legacy(dat(entry(b"w", calls, 5.0)))
    assert (sums["w"][0].tolist(), sums["w"][1]) == ([5.0], 1), f"{sums}"


def test_the_end_may_be_missing_or_empty() -> None:
    assert parse_legacy(dat(entry(b"w", 1, 5.0)))[1:] == ((), 0), "older files have no end"
    assert parse_legacy(dat(entry(b"w", 1, 5.0), end=struct.pack("<ii", 3, 0)))[1:] == ((), 3), (
        "no data set"
    )


BAD = {
    "empty": (b"", "truncated"),
    "no_weights": (dat(), "bad_count"),
    "weights_negative": (dat(entry(b"w", 1, 5.0), count=-1), "bad_count"),
    "weights_2^31": (dat(entry(b"w", 1, 5.0), count=2**31 - 1), "bad_count"),
    "name_empty": (dat(entry(b"", 1, 5.0), end=END), "bad_count"),
    "name_negative": (dat(struct.pack("<i", -1) + bytes(20)), "bad_count"),
    "name_too_long": (dat(struct.pack("<i", 2**31 - 1) + bytes(20)), "bad_count"),
    "name_not_utf8": (dat(entry(b"\xff", 1, 5.0)), "bad_utf8"),
    "name_with_nul": (dat(entry(b"a\0", 1, 5.0)), "bad_imatrix"),
    "values_0": (dat(entry(b"w", 1), end=END), "bad_count"),
    "values_negative": (dat(entry(b"w", 1, 5.0, count=-1)), "bad_count"),
    "values_2^31": (dat(entry(b"w", 1, 5.0, count=2**31 - 1)), "bad_count"),
    "listed_twice": (dat(entry(b"w", 1, 5.0), entry(b"w", 1, 5.0)), "bad_imatrix"),
    "nan": (dat(entry(b"w", 1, float("nan"))), "bad_imatrix"),
    "inf": (dat(entry(b"w", 1, float("inf"))), "bad_imatrix"),
    "negative": (dat(entry(b"w", 1, -1.0)), "bad_imatrix"),
    "data_set_too_long": (dat(entry(b"w", 1, 5.0), end=struct.pack("<ii", 1, 9)), "bad_count"),
    "half_an_end": (dat(entry(b"w", 1, 5.0), end=b"\0\0"), "truncated"),
    "trailing": (TWO + b"\0", "trailing_bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    data, code = BAD[name]
    path = tmp_path / "x.dat"
    path.write_bytes(data)
    with pytest.raises(GgufError) as caught:
        read_imatrix(path)
    assert caught.value.code == code, f"{name}: {caught.value}"
    assert str(caught.value).startswith(f"{path}: byte "), f"{caught.value}"


def test_every_truncation_is_refused_except_where_the_end_begins() -> None:
    for length in range(len(TWO)):
        if length == len(TWO) - len(END):
            assert len(parse_legacy(TWO[:length])[0]) == 2, "an older file"
            continue
        with pytest.raises(GgufError):
            parse_legacy(TWO[:length])


def test_mutants_give_an_error_or_sums() -> None:
    draw = random.Random(7)
    accepted = 0
    for _ in range(5_000):
        data = bytearray(TWO)
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.choice([0, 1, 2, 0x7F, 0x80, 0xFF])
        try:
            sums, _, _ = parse_legacy(bytes(data))
        except GgufError:
            continue
        accepted += 1
        assert all(np.isfinite(v).all() and c >= 1 for v, c in sums.values()), f"{sums}"
    assert accepted > 100, f"{accepted} of 5000: the mutants are too dull"
