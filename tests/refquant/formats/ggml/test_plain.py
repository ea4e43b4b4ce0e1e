"""The plain types against struct, gguf and ml_dtypes: all 65,536 halves of both kinds."""

import math
import struct
from typing import Any

import gguf
import libgguf
import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import plain

TYPES: dict[str, tuple[str, Any]] = {
    "F32": ("<f", np.float32),
    "F64": ("<d", np.float64),
    "I8": ("<b", np.int8),
    "I16": ("<h", np.int16),
    "I32": ("<i", np.int32),
    "I64": ("<q", np.int64),
}


def around_ties(bits: int) -> NDArray[np.float32]:
    """Every float32 whose low ``bits`` are nothing, a tie, and one beside a tie; and NaN."""
    top = np.arange(1 << 16, dtype=np.uint32)[:, None] << np.uint32(16)
    half = 1 << (bits - 1)
    low = np.array([0, 1, half - 1, half, half + 1], np.uint32)
    spread = np.array([0, 1 << bits, 3 << bits], np.uint32)[:, None] & np.uint32(0xFFFF)
    return (top | (low | spread).reshape(1, -1)).view(np.float32).ravel()


@pytest.mark.parametrize("name", TYPES)
def test_bytes_are_those_of_struct(name: str) -> None:
    code, dtype = TYPES[name]
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        values: list[Any] = [0, 1, -1, info.min, info.max]
    else:
        values = [0.0, -0.0, 1.5, -math.inf, math.nan, float(np.finfo(dtype).max), 1e-45]
    x = np.array([values, values[::-1]], dtype)
    data = plain.encode(x, type=name)
    expected = [b"".join(struct.pack(code, dtype(v)) for v in row) for row in x]
    assert [row.tobytes() for row in data] == expected, "little-endian"
    back = plain.decode(data, type=name.lower())
    assert back.dtype == dtype, "its own dtype"
    assert back.tobytes() == x.tobytes(), "and back"


def test_bf16_is_that_of_gguf_and_libgguf_on_all_ties() -> None:
    x = around_ties(16).reshape(-1, 4096)
    ours = plain.encode(x, type="BF16")
    assert np.array_equal(ours, gguf.quantize(x, gguf.GGMLQuantizationType.BF16)), "gguf"
    theirs = libgguf.store_rows(x, libgguf.GGMLQuantizationType.BF16)
    assert np.array_equal(ours, np.asarray(theirs).view(np.uint8).reshape(ours.shape)), "libgguf"
    numbers = ~np.isnan(x)
    with np.errstate(invalid="ignore", over="ignore"):
        other = x.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert np.array_equal(ours.view("<u2")[numbers], other[numbers]), "ml_dtypes, all numbers"
    nan = np.array([0x7F800001, 0xFF812345], np.uint32).view(np.float32)
    assert plain.encode(nan, type="BF16").view("<u2").tolist() == [0x7FC0, 0xFFC1], "quiet, payload"


def test_every_bf16_decodes_as_the_upper_half() -> None:
    data = np.arange(65536, dtype="<u2").view(np.uint8)
    back = plain.decode(data, type="BF16")
    expected = (np.arange(65536, dtype=np.uint32) << np.uint32(16)).view(np.float32)
    assert back.tobytes() == expected.tobytes(), "with 16 zero bits"


def test_f16_is_nearest_and_its_nan_is_one_code() -> None:
    x = around_ties(13)
    x = x[np.abs(x) < 1e6]  # the others are infinite; NaN below
    ours = plain.encode(x, type="F16").view("<u2")
    for v, code in zip(x[::37].tolist(), ours[::37].tolist(), strict=True):
        try:
            expected = struct.unpack("<H", struct.pack("<e", v))[0]
        except OverflowError:
            expected = 0x7C00 | (0x8000 if v < 0 else 0)
        assert code == expected, f"{v!r}"
    with np.errstate(over="ignore", under="ignore"):
        theirs = gguf.quantize(x, gguf.GGMLQuantizationType.F16).view(np.uint16)
    assert np.array_equal(ours, theirs), "gguf, all numbers"
    # gguf 0.19 keeps what NumPy keeps of a NaN's payload; ggml_compute_fp32_to_fp16 does not.
    nan = np.array([0x7FC02000, 0xFFC00000, 0x7F802000], np.uint32).view(np.float32)
    assert plain.encode(nan, type="F16").view("<u2").tolist() == [0x7E00, 0xFE00, 0x7E00], "ggml"
    kept = gguf.quantize(nan[:1], gguf.GGMLQuantizationType.F16).view(np.uint16)
    assert kept.tolist() == [0x7E01], "gguf no longer keeps the payload: the entry above has gone"


def test_every_f16_decodes_as_struct_says() -> None:
    data = np.arange(65536, dtype="<u2").view(np.uint8)
    back = plain.decode(data, type="F16")
    expected = np.array([struct.unpack("<e", bytes(p))[0] for p in data.reshape(-1, 2)], np.float32)
    numbers = ~np.isnan(expected)
    assert back[numbers].tobytes() == expected[numbers].tobytes(), "all numbers, bit for bit"
    assert np.isnan(back[~numbers]).all(), "NaN stays"


def test_what_does_not_fit_is_refused() -> None:
    one = np.ones(2, np.float32)
    for bad, name, message in (
        (one, "I8", "x must be int8 for I8, got float32"),
        (one.astype(np.float64), "F32", "x must be float32 for F32, got float64"),
        (one[0], "F16", "at least one axis for F16"),
        (one, "Q8_0", "type must be one of F32, F16, BF16, F64, I8, I16, I32, I64; got 'Q8_0'"),
        (one, "F8", "unknown ggml type"),
        (one.astype(">f4"), "F32", "x must be float32 for F32, got >f4"),
    ):
        with pytest.raises(ValueError, match=message):
            plain.encode(bad, type=name)
    with pytest.raises(ValueError, match=r"multiple of 4 bytes, an element of F32; .* \(7,\)"):
        plain.decode(np.zeros(7, np.uint8), type="F32")
    with pytest.raises(ValueError, match="data must be uint8, got int8"):
        plain.decode(np.zeros(8, np.int8), type="F32")


def test_shapes_strides_and_cards() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for name in ("F32", "F16", "BF16"):
        data = plain.encode(x[:, ::-1, ::2], type=name)
        assert np.array_equal(plain.decode(data, type=name), x[:, ::-1, ::2]), "strides pass"
        assert plain.encode(x[:0], type=name).shape[:2] == (0, 3), "no rows"
    for card in plain.CARDS:
        steps = card.explain(np.array([1.5, -0.0, math.inf], np.float32))
        assert [step.result.split(" ")[0] for step in steps] == ["1.5", "-0", "inf"], card.name
    assert (
        plain.CARDS[2].explain(np.array([1.5], np.float32))[0].how == "1.5 -> 0b0_01111111_1000000"
    )
