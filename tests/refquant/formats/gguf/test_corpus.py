"""The corpus of bad files: each is refused by name, at the right byte, in bounded time and memory.

What other readers make of the same bytes stands in two tables, with who is right by which text.
"""

import contextlib
import random
import time
import tracemalloc
import warnings
from pathlib import Path

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.gguf.errors import CODES, GgufError
from refquant.formats.gguf.read import parse_gguf
from refquant.formats.gguf.write import gguf_bytes
from tests.refquant.formats.gguf import handmade
from tests.refquant.formats.gguf.handmade import CORPUS, GOOD, Case, gguf, info, key

# Files that gguf 0.19 reads and we refuse.
GGUF_READS = {
    "big_endian_version_2": "docs/gguf.md: version 3 brought big-endian files",
    "n_kv_one_too_many": "the padding is read as a key without a name",
    "string_2^63": "gguf cuts the string where the file ends",
    "string_2^64-1": "the same",
    "string_not_utf8": "docs/gguf.md: a string is UTF-8; gguf looks when it is asked for",
    "string_surrogate": "the same",
    "bool_2": "docs/gguf.md: anything but 0 and 1 is invalid",
    "bool_255_in_array": "the same",
    "KV_EMPTY_KEY": "llama.cpp refuses a key without a name, too",
    "key_with_nul": "llama.cpp would cut the name where C ends it",
    "key_of_a_megabyte": "docs/gguf.md: at most 65535 bytes",
    "array_nested_2": "docs/gguf.md allows it; llama.cpp refuses it, gguf flattens it",
    "TENSORS_BAD_NAME_SIZE": "docs/gguf.md: at most 64 bytes",
    "name_empty": "docs/gguf.md is silent; nothing could refer to it",
    "TENSORS_ZERO_DIM": "llama.cpp accepts it since 2026; no code is in it",
    "TENSORS_BAD_N_DIMS": "docs/gguf.md: at most 4",
    "n_dims_0": "llama.cpp takes it for one element; no writer makes it",
    "TENSORS_BAD_OFFSET": "gguf adds in uint64: an offset of 2^64 - 1 is one byte before the data",
    "offset_unaligned": "docs/gguf.md: a multiple of the alignment",
    "overlapping": "llama.cpp: every offset is the end of the tensor before",
    "hole": "the same",
    "TENSORS_INCONSISTENT_ALIGN": "docs/gguf.md: a multiple of the alignment",
    "trailing_byte": "llama.cpp reads it, too: a file inside of a file",
    "trailing_zip": "the same",
}
# With NumPy 1 the sum of a uint64 and an int is a float64, and gguf stumbles.
GGUF_READS_WITH_NUMPY_2 = {"TENSORS_BAD_OFFSET"}
# Files that we read and gguf 0.19 does not.
GGUF_REFUSES: dict[str, str] = {}
# 57 bytes that say 2^63: gguf 0.19 counts them, in a list that grows. Not run; killed after 4 s.
GGUF_HANGS = {"KV_BAD_VALUE_SIZE"}


# Files that libgguf 0.2.2's validator finds no error in, and we refuse.
LIBGGUF_READS = {
    "n_kv_one_too_many": "the padding is read as a key without a name",
    "KV_EMPTY_KEY": "llama.cpp refuses a key without a name",
    "key_with_nul": "llama.cpp would cut the name where C ends it",
    "key_of_a_megabyte": "docs/gguf.md: at most 65535 bytes",
    "KV_BAD_ALIGN": "llama.cpp: an alignment is a power of two",
    "alignment_3": "the same",
    "TENSORS_BAD_ALIGN": "the same",
    "KV_WRONG_TYPE_ALIGN": "docs/gguf.md: general.alignment is a uint32",
    "alignment_text": "the same",
    "bool_2": "docs/gguf.md: anything but 0 and 1 is invalid",
    "bool_255_in_array": "the same",
    "TENSORS_BAD_NAME_SIZE": "docs/gguf.md: at most 64 bytes",
    "name_empty": "docs/gguf.md is silent; nothing could refer to it",
    "n_dims_0": "llama.cpp takes it for one element; no writer makes it",
    "TENSORS_BAD_TYPE": "a type it does not know has no size, and nothing is checked",
    "type_negative": "the same",
    "type_Q4_2": "the same; ggml has removed it",
    "type_Q4_0_4_4": "the same",
    "row_not_of_blocks": "ggml: a row is a whole number of blocks",
    "rows_not_of_blocks": "the same; that all rows together are does not help",
    "hole": "llama.cpp: every offset is the end of the tensor before",
    "trailing_byte": "llama.cpp reads it, too: a file inside of a file",
    "trailing_zip": "the same",
}


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_every_file_of_the_corpus_is_read_or_refused_by_name(case: Case) -> None:
    if case.code is None:
        parse_gguf(case.data, name="f.gguf")
        return
    with pytest.raises(GgufError) as caught:
        parse_gguf(case.data, name="f.gguf")
    error = caught.value
    assert error.code == case.code, f"{case.name}: {error.code}: {error}"
    assert error.code in CODES, f"{error.code} is not in the list"
    assert case.offset in (None, error.offset), f"{case.name}: at {error.offset}: {error}"
    assert str(error).startswith("f.gguf: byte "), f"the message names file and place: {error}"
    assert "; " in str(error), f"the message ends in a remedy: {error}"
    assert len(str(error)) < 1500, f"the message repeats the file: {len(str(error))}"


def accepted_by_gguf(data: bytes, folder: Path) -> bool:
    path = folder / "f.gguf"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of its overflows
        try:
            outsider.GGUFReader(path)
        except (Exception, RecursionError):  # whatever: that is what a user gets
            return False
    return True


def test_what_gguf_makes_of_the_corpus(tmp_path: Path) -> None:
    cases = [case for case in CORPUS if case.name not in GGUF_HANGS]
    reads = {c.name for c in cases if c.code is not None and accepted_by_gguf(c.data, tmp_path)}
    old = np.lib.NumpyVersion(np.__version__) < "2.0.0"
    expected = set(GGUF_READS) - (GGUF_READS_WITH_NUMPY_2 if old else set())
    assert reads == expected, f"{reads ^ expected}"
    refuses = {c.name for c in cases if c.code is None and not accepted_by_gguf(c.data, tmp_path)}
    assert refuses == set(GGUF_REFUSES), f"{refuses ^ set(GGUF_REFUSES)}"


def test_what_libgguf_makes_of_the_corpus(tmp_path: Path) -> None:
    inspect = pytest.importorskip("libgguf.inspect", reason="there is none for this machine")
    passed = set()
    for case in CORPUS:
        (tmp_path / "f.gguf").write_bytes(case.data)
        with contextlib.suppress(ValueError, OverflowError):  # it does not catch Python's own
            if inspect.validate_gguf(tmp_path / "f.gguf").ok:
                passed.add(case.name)
    good = {case.name for case in CORPUS if case.code is None}
    assert passed - good == set(LIBGGUF_READS), f"{(passed - good) ^ set(LIBGGUF_READS)}"
    assert good <= passed, f"libgguf refuses {good - passed}, we do not"


def refused(data: bytes) -> bool:
    """Whether ``data`` is refused; what is accepted can be written and read again."""
    try:
        file = parse_gguf(data, name="f")
    except GgufError:
        return True
    if file.byte_order == "little" and file.alignment < 2**16:  # else: gigabytes of padding
        again = gguf_bytes(file.metadata, file.tensors.values())
        assert parse_gguf(again, name="g").metadata.keys() == file.metadata.keys(), "lost a key"
    return False


def test_every_truncation_is_refused_until_only_padding_is_missing() -> None:
    whole = len(GOOD) - 28
    for length in range(len(GOOD)):
        assert refused(GOOD[:length]) == (length < whole), f"{length} of {len(GOOD)} bytes"
        if length < whole:
            with pytest.raises(GgufError) as caught:
                parse_gguf(GOOD[:length], name="f")
            assert caught.value.code in ("truncated", "bad_count"), f"{length}: {caught.value}"


def test_every_byte_set_to_edges_gives_an_error_or_a_file() -> None:
    for position in range(len(GOOD) - 96):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            damaged = bytearray(GOOD)
            damaged[position] = value
            refused(bytes(damaged))


def test_mutants_give_an_error_or_a_file() -> None:
    # Seeded, not hypothesis: 20,000 files, each with one to four edge values, cuts and repeats.
    draw = random.Random(20261123)
    seeds = [case.data for case in CORPUS if len(case.data) < 2_000]
    seeds += [case.data for case in CORPUS if case.code is None] * 5
    edges = [number.to_bytes(size, "little") for size in (1, 4, 8) for number in (
        *(0, 1, 2, 7, 8, 9, 12), 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1
    )]  # fmt: skip
    outcomes = [0, 0]
    for _ in range(20_000):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            at = draw.randint(0, len(data))
            edit = draw.randrange(4)
            if edit == 0:
                piece = draw.choice(edges)
                data[at : at + len(piece)] = piece
            elif edit == 1:
                del data[at : at + draw.randint(1, 9)]
            elif edit == 2:
                data[at:at] = data[at : at + draw.randint(1, 40)]
            else:
                data[at : at + 1] = bytes([draw.randrange(256)])
        outcomes[refused(bytes(data))] += 1
    assert min(outcomes) > 500, f"accepted and refused: {outcomes}: the mutants are too dull"


BOMBS = {
    "array_of_2^63": gguf([key("k", handmade.ARRAY, handmade.array(handmade.U8, 2**63))]),
    "string_of_2^63": gguf([key("k", handmade.STRING, handmade.string("", 2**63))]),
    "2^63_tensors": gguf(counts=(2**63, None)),
    "a_tensor_of_2^60_bytes": gguf(infos=[info(dims=[2**58])]),
    "alignment_2^31": gguf([key(handmade.ALIGN, handmade.U32, handmade.u32(2**31))], [info()]),
    "100000_arrays_in_each_other": gguf(
        [key("k", handmade.ARRAY, handmade.array(handmade.ARRAY, 1) * 100_000)]
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_claim_costs_neither_memory_nor_time(name: str) -> None:
    tracemalloc.start()
    begin = time.process_time()
    try:
        with contextlib.suppress(GgufError):
            parse_gguf(BOMBS[name], name="f")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One copy of the file at most, and 64 KiB for whatever Python needs to say no.
    assert peak < len(BOMBS[name]) + 2**16, f"{name}: {peak} bytes for {len(BOMBS[name])}"
    spent = time.process_time() - begin
    assert spent < 1, f"{name}: {spent} s"


@pytest.mark.parametrize("what", ["keys", "strings", "tensors"])
def test_memory_is_a_multiple_of_the_size(what: str) -> None:
    n = 5_000
    if what == "keys":
        data = gguf(key(f"{i:x}") for i in range(n))
    elif what == "strings":
        data = gguf([key("k", handmade.ARRAY, handmade.array(handmade.STRING, n, bytes(8 * n)))])
    else:
        align = key(handmade.ALIGN, handmade.U32, handmade.u32(1))
        infos = [info(f"{i:x}", (1,), handmade.I8, i) for i in range(n)]
        data = gguf([align], infos, bytes(n), alignment=1)
    tracemalloc.start()
    try:
        file = parse_gguf(data, name="f")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(file.metadata) + len(file.tensors) > 0, "the file holds nothing"
    # A tensor of one byte takes 38 in the file, and a few objects of Python, 1 KB together.
    assert peak < 40 * len(data), f"{what}: {peak / len(data):.1f} times the file"
