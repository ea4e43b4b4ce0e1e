"""Files by hand, field by field: an independent writer that can also write what is wrong.

Names in capitals are those of llama.cpp's tests/test-gguf.cpp, which makes such files at random;
here each is the smallest one. The others are of the same kind, from fuzzers' reports.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

F32, Q4_0, Q8_0, Q4_K, I8, I64 = 0, 2, 8, 12, 24, 27
U8, U32, FLOAT32, BOOL, STRING, ARRAY, I32 = 0, 4, 6, 7, 8, 9, 5
BIG = 2**63


def u32(number: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}I", number % 2**32)


def u64(number: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}Q", number % 2**64)


def string(text: str | bytes, length: int | None = None, order: str = "<") -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return u64(len(raw) if length is None else length, order) + raw


def key(name: str | bytes, kind: int = U8, value: bytes = b"\7", order: str = "<") -> bytes:
    return string(name, order=order) + u32(kind, order) + value


def array(kind: int, length: int, items: bytes = b"") -> bytes:
    return u32(kind) + u64(length) + items


def info(
    name: str | bytes = "t",
    dims: Iterable[int] = (8,),
    kind: int = F32,
    offset: int = 0,
    rank: int | None = None,
) -> bytes:
    """Describe a tensor; ``dims`` in the order of the file, the contiguous axis first."""
    dims = list(dims)
    axes = u32(len(dims) if rank is None else rank) + b"".join(map(u64, dims))
    return string(name) + axes + u32(kind) + u64(offset)


def gguf(
    keys: Iterable[bytes] = (),
    infos: Iterable[bytes] = (),
    data: bytes = b"",
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int | None, int | None] = (None, None),
    alignment: int = 32,
) -> bytes:
    """Return a file; ``counts`` are the claimed numbers of tensors and of keys."""
    keys, infos = list(keys), list(infos)
    tensors, pairs = counts
    head = magic + u32(version)
    head += u64(len(infos) if tensors is None else tensors)
    head += u64(len(keys) if pairs is None else pairs)
    head += b"".join(keys) + b"".join(infos)
    return head + bytes(-len(head) % alignment) + data


ALIGN = "general.alignment"
GOOD = gguf(
    [key("general.architecture", STRING, string("llama")), key("a", ARRAY, array(U8, 2, b"\1\2"))],
    [info("t"), info("u", (32, 2), Q8_0, 32)],
    bytes(32) + bytes(range(68)) + bytes(28),
)


@dataclass(frozen=True)
class Case:
    """A file, and the code of its error; None for a good one."""

    name: str
    data: bytes
    code: str | None
    offset: int | None = None


CORPUS = (
    # header
    Case("empty", b"", "truncated", 0),
    Case("HEADER_BAD_MAGIC", gguf(magic=b"FUGG"), "bad_magic", 0),
    Case("zip", b"PK\3\4" + bytes(60), "bad_magic", 0),
    Case("HEADER_BAD_VERSION_0", gguf(version=0), "bad_version", 4),
    Case("HEADER_BAD_VERSION_1", gguf(version=1), "bad_version", 4),
    Case("HEADER_BAD_VERSION_FUTURE", gguf(version=4), "bad_version", 4),
    Case("version_max", gguf(version=-1), "bad_version", 4),
    Case("big_endian_version_2", gguf(version=2 << 24), "bad_version", 4),
    Case("HEADER_BAD_N_TENSORS", gguf(counts=(-1, None)), "bad_count", 8),
    Case("n_tensors_2^63", gguf(counts=(BIG, None)), "bad_count", 8),
    Case("HEADER_BAD_N_KV", gguf(counts=(None, -1)), "bad_count", 16),
    Case("n_kv_2^31", gguf(counts=(None, 2**31)), "bad_count", 16),
    Case("n_kv_one_too_many", gguf([key("k")], counts=(None, 2)), "bad_key", 38),
    Case("HEADER_EMPTY", gguf(), None),
    Case("version_2", gguf(version=2), None),
    # keys and values
    Case("KV_BAD_KEY_SIZE", gguf([string("k", -1) + u32(U8) + b"\7"]), "truncated", 24),
    Case("key_size_2^63", gguf([string("k", BIG) + u32(U8) + b"\7"]), "truncated", 24),
    Case("KV_EMPTY_KEY", gguf([key("", U32, u32(7))]), "bad_key", 24),
    Case("key_with_nul", gguf([key("a\0b")]), "bad_key", 24),
    Case("key_of_a_megabyte", gguf([key("k" * 2**20)]), "bad_key", 24),
    Case("key_not_utf8", gguf([key(b"a\xff")]), "bad_utf8", 33),
    Case("KV_BAD_TYPE", gguf([key("k", 13)]), "bad_value_type", 33),
    Case("kv_type_negative", gguf([key("k", -1)]), "bad_value_type", 33),
    Case("KV_DUPLICATE_KEY", gguf([key("k"), key("k")]), "duplicate_key", 38),
    Case("KV_BAD_ALIGN", gguf([key(ALIGN, U32, u32(13))]), "bad_alignment", 49),
    Case("alignment_0", gguf([key(ALIGN, U32, u32(0))]), "bad_alignment", 49),
    Case("alignment_3", gguf([key(ALIGN, U32, u32(3))]), "bad_alignment", 49),
    Case("KV_WRONG_TYPE_ALIGN", gguf([key(ALIGN, I32, u32(32))]), "bad_alignment", 49),
    Case("alignment_text", gguf([key(ALIGN, STRING, string("32"))]), "bad_alignment", 49),
    Case("alignment_2^31", gguf([key(ALIGN, U32, u32(2**31))]), None),
    Case("string_2^63", gguf([key("k", STRING, string("v", BIG))]), "truncated", 37),
    Case("string_2^64-1", gguf([key("k", STRING, string("v", -1))]), "truncated", 37),
    Case("string_not_utf8", gguf([key("k", STRING, string(b"\xc3"))]), "bad_utf8", 45),
    Case("string_surrogate", gguf([key("k", STRING, string(b"\xed\xa0\x80"))]), "bad_utf8", 45),
    Case("string_with_nul", gguf([key("k", STRING, string("a\0b"))]), None),
    Case("bool_2", gguf([key("k", BOOL, b"\2")]), "bad_bool", 37),
    Case("bool_255_in_array", gguf([key("k", ARRAY, array(BOOL, 2, b"\1\xff"))]), "bad_bool", 50),
    # KV_BAD_VALUE_SIZE of llama.cpp was removed: it made allocations beyond the sanitizer's limit.
    Case("KV_BAD_VALUE_SIZE", gguf([key("k", ARRAY, array(U8, BIG))]), "bad_count", 41),
    Case("array_2^63_strings", gguf([key("k", ARRAY, array(STRING, BIG))]), "bad_count", 41),
    Case("array_2^62_numbers", gguf([key("k", ARRAY, array(U32, 2**62))]), "bad_count", 41),
    Case("array_bad_item", gguf([key("k", ARRAY, array(99, 1, b"\0"))]), "bad_value_type", 37),
    Case("array_empty", gguf([key("k", ARRAY, array(STRING, 0))]), None),
    Case("array_nested_2", gguf([key("k", ARRAY, array(ARRAY, 1, array(U8, 1, b"\1")))]),
         "nested_array", 37),
    Case("array_nested_100000", gguf([key("k", ARRAY, array(ARRAY, 1) * 100_000)]),
         "nested_array", 37),
    Case("KV_SUCCESS", gguf([key("a"), key("b", FLOAT32, bytes(4)), key("c", BOOL, b"\1")]), None),
    # descriptions of tensors
    Case("TENSORS_BAD_NAME_SIZE", gguf(infos=[info("t" * 65)], data=bytes(32)), "bad_name", 24),
    Case("name_of_64_bytes", gguf(infos=[info("t" * 64)], data=bytes(32)), None),
    Case("name_empty", gguf(infos=[info("")], data=bytes(32)), "bad_name", 24),
    Case("name_not_utf8", gguf(infos=[info(b"\x80t")], data=bytes(32)), "bad_utf8", 32),
    Case("name_of_a_path", gguf(infos=[info("../x")], data=bytes(32)), None),  # never opened
    Case("TENSORS_BAD_N_DIMS", gguf(infos=[info(dims=[1] * 5)], data=bytes(32)), "bad_rank", 33),
    Case("n_dims_0", gguf(infos=[info(dims=[])], data=bytes(32)), "bad_rank", 33),
    Case("n_dims_2^32-1", gguf(infos=[info(rank=-1)], data=bytes(32)), "bad_rank", 33),
    Case("TENSORS_BAD_SHAPE", gguf(infos=[info(dims=[-1])], data=bytes(32)), "bad_dimension", 33),
    Case("dim_2^63", gguf(infos=[info(dims=[BIG])], data=bytes(32)), "bad_dimension", 33),
    Case("TENSORS_ZERO_DIM", gguf(infos=[info(dims=[8, 0])]), "bad_dimension", 33),
    Case("TENSORS_NE_TOO_BIG", gguf(infos=[info(dims=[2**33, 2**33])], data=bytes(32)),
         "too_large", 33),
    Case("product_overflows_to_0", gguf(infos=[info(dims=[2**32, 2**32])]), "too_large", 33),
    Case("product_overflows_to_8", gguf(infos=[info(dims=[2**62, 4, 1, 2])]), "too_large", 33),
    Case("TENSORS_NBYTES_TOO_BIG", gguf(infos=[info(dims=[2**31, 2**31], kind=I64)]),
         "truncated", 57),
    Case("TENSORS_BAD_TYPE", gguf(infos=[info(kind=43)], data=bytes(32)), "bad_type", 45),
    Case("type_negative", gguf(infos=[info(kind=-1)], data=bytes(32)), "bad_type", 45),
    Case("type_Q4_2", gguf(infos=[info(kind=4)], data=bytes(32)), "removed_type", 45),
    Case("type_Q4_0_4_4", gguf(infos=[info(dims=[32], kind=31)], data=bytes(32)),
         "removed_type", 45),
    Case("row_not_of_blocks", gguf(infos=[info(dims=[33], kind=Q8_0)], data=bytes(64)),
         "ragged_row", 33),
    Case("rows_not_of_blocks", gguf(infos=[info(dims=[16, 16], kind=Q4_K)], data=bytes(160)),
         "ragged_row", 33),
    Case("TENSORS_BAD_OFFSET", gguf(infos=[info(offset=-1)], data=bytes(32)), "bad_offset", 49),
    Case("offset_beyond", gguf(infos=[info(offset=32)], data=bytes(32)), "bad_offset", 49),
    Case("offset_unaligned", gguf(infos=[info(offset=4)], data=bytes(64)), "bad_offset", 49),
    Case("overlapping", gguf(infos=[info("t"), info("u")], data=bytes(64)), "bad_offset", 82),
    Case("hole", gguf(infos=[info("t"), info("u", offset=64)], data=bytes(96)), "bad_offset", 82),
    Case("TENSORS_DUPLICATE_NAME", gguf(infos=[info(), info(offset=32)], data=bytes(64)),
         "duplicate_tensor", 57),
    Case("TENSORS_BAD_ALIGN",
         gguf([key(ALIGN, U32, u32(13))], [info()], bytes(39), alignment=13), "bad_alignment", 49),
    Case("TENSORS_INCONSISTENT_ALIGN",
         gguf(infos=[info("t", (3,)), info("u", offset=12)], data=bytes(64)), "bad_offset", 82),
    Case("TENSORS_SUCCESS", GOOD, None),
    Case("TENSORS_CUSTOM_ALIGN", gguf(
        [key(ALIGN, U32, u32(1))], [info("t", (3,)), info("u", offset=12)], bytes(44), alignment=1
    ), None),
    # data
    Case("DATA_NOT_ENOUGH_DATA", gguf(infos=[info()], data=bytes(31)), "truncated", 49),
    Case("tensor_larger_than_the_file", gguf(infos=[info(dims=[2**40])], data=bytes(32)),
         "truncated", 49),
    Case("DATA_MEM_SIZE_OVERFLOW", gguf(
        infos=[info("t", [2**63 - 64], I8), info("u", [2**63 - 64], I8, 2**63 - 64)],
        data=bytes(32),
    ), "truncated", 49),
    Case("trailing_byte", GOOD + b"\0", "trailing_bytes", len(GOOD)),
    Case("trailing_zip", GOOD + b"PK\5\6" + bytes(18), "trailing_bytes", len(GOOD)),
    Case("last_padding_missing", GOOD[:-28], None),
    Case("DATA_SUCCESS", GOOD, None),
)  # fmt: skip
"""Files that a reader must refuse by name, and some that it must not."""
