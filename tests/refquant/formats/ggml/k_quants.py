"""What the tests of K-quants share: an exact decoder, an adversarial corpus, and libgguf.

The decoder is Python integers, bit by bit from the diagrams; nothing of the reference is in it. A
half is a multiple of 2^-24, so every value is an integer in that unit, below 2^51 in magnitude: a
float64 holds it exactly, and making that a float32 is the one rounding the format has.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import q2_k, q3_k, q4_k, q5_k, q6_k
from refquant.formats.ggml.types import ggml_type

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

MODULES: dict[str, ModuleType] = {
    "q2_k": q2_k, "q3_k": q3_k, "q4_k": q4_k, "q5_k": q5_k, "q6_k": q6_k,
}  # fmt: skip
X86_ONLY = "libgguf has wheels for Linux on x86-64 only"
HALVES = {"q2_k": (80, 82), "q3_k": (108,), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,)}


# The exact decoder


def half(data: bytes, at: int) -> int:
    """A finite half, in units of 2^-24."""
    bits = data[at] | data[at + 1] << 8
    exponent, fraction = bits >> 10 & 31, bits & 1023
    assert exponent < 31, "the exact decoder has no infinity and no NaN"
    size = fraction if exponent == 0 else 1024 + fraction << exponent - 1
    return -size if bits >> 15 else size


def packed_pair(field: bytes, j: int) -> tuple[int, int]:
    """Scale and minimum j of the twelve bytes of Q4_K and Q5_K."""
    if j < 4:
        return field[j] & 63, field[j + 4] & 63
    return (
        field[j + 4] & 15 | field[j - 4] >> 6 << 4,
        field[j + 4] >> 4 | field[j] >> 6 << 4,
    )


def exact_q2_k(data: bytes) -> list[int]:
    d, dmin, values = half(data, 80), half(data, 82), []
    for i in range(256):
        pair = data[i // 16]
        q = data[16 + i // 128 * 32 + i % 32] >> 2 * (i % 128 // 32) & 3
        values.append(d * (pair & 15) * q - dmin * (pair >> 4))
    return values


def exact_q3_k(data: bytes) -> list[int]:
    d, values = half(data, 108), []
    for i in range(256):
        j = i // 16
        low = data[96 + j % 8] >> 4 * (j // 8) & 15
        scale = (low | (data[104 + j % 4] >> 2 * (j // 4) & 3) << 4) - 32
        q = data[32 + i // 128 * 32 + i % 32] >> 2 * (i % 128 // 32) & 3
        values.append(d * scale * (q if data[i % 32] >> i // 32 & 1 else q - 4))
    return values


def exact_q4_k(data: bytes) -> list[int]:
    d, dmin, values = half(data, 0), half(data, 2), []
    for i in range(256):
        s, m = packed_pair(data[4:16], i // 32)
        q = data[16 + i // 64 * 32 + i % 32] >> 4 * (i % 64 // 32) & 15
        values.append(d * s * q - dmin * m)
    return values


def exact_q5_k(data: bytes) -> list[int]:
    d, dmin, values = half(data, 0), half(data, 2), []
    for i in range(256):
        s, m = packed_pair(data[4:16], i // 32)
        q = data[48 + i // 64 * 32 + i % 32] >> 4 * (i % 64 // 32) & 15
        q += 16 * (data[16 + i % 32] >> i // 32 & 1)
        values.append(d * s * q - dmin * m)
    return values


def exact_q6_k(data: bytes) -> list[int]:
    d, values = half(data, 208), []
    for i in range(256):
        span, place = i // 128, i % 128
        low = data[64 * span + place % 64] >> 4 * (place // 64) & 15
        high = data[128 + 32 * span + place % 32] >> 2 * (place // 32) & 3
        scale = data[192 + i // 16]
        values.append(d * (scale - 256 if scale > 127 else scale) * (low + 16 * high - 32))
    return values


EXACT: dict[str, Callable[[bytes], list[int]]] = {
    "q2_k": exact_q2_k, "q3_k": exact_q3_k, "q4_k": exact_q4_k,
    "q5_k": exact_q5_k, "q6_k": exact_q6_k,
}  # fmt: skip


def decode_exact(name: str, blocks: U8) -> F32:
    """Blocks of bytes (m, block_bytes) as float32 (m, 256), each rounded once."""
    values = [EXACT[name](bytes(block)) for block in blocks]
    return (np.array(values, np.float64) * 2.0**-24).astype(np.float32)


def check_decode(name: str, blocks: U8) -> None:
    """Ours, gguf's and libgguf's decoders have the exact value of every element."""
    exact, got = decode_exact(name, blocks), MODULES[name].decode(blocks)
    differ = np.argwhere(got != exact)
    assert not len(differ), f"{name}: block, element {differ[0]}: {got[*differ[0]]} is not exact"
    kind = gguf.GGMLQuantizationType[name.upper()]
    assert np.array_equal(gguf.quants.dequantize(blocks, kind), exact), f"{name}: gguf differs"
    libgguf = pytest.importorskip("libgguf", reason=X86_ONLY)
    theirs = libgguf.dequantize_rows(blocks, int(kind))
    assert np.array_equal(theirs, exact), f"{name}: libgguf differs"


def random_blocks(name: str, count: int) -> U8:
    """Random bytes, but finite halves: every field takes every value in time."""
    rng = np.random.default_rng(3)
    data = rng.integers(0, 256, (count, ggml_type(name).block_bytes), np.uint8)
    for at in HALVES[name]:
        data[:, at + 1] &= 0xBF | 0x80  # the top exponent bit is 0: below 2
    return data


def stored_pairs() -> U8:
    """The twelve bytes of Q4_K and Q5_K in 512 blocks: every scale with every minimum."""
    pairs = np.arange(64 * 64, dtype=np.uint16).reshape(-1, 8)  # 512 blocks, 8 sub-blocks each
    s, m = (pairs & 63).astype(np.uint8), (pairs >> 6).astype(np.uint8)
    field = np.zeros((512, 12), np.uint8)
    for j in range(4):  # by hand: the packing is what is tested
        field[:, j], field[:, j + 4] = (
            s[:, j] | s[:, j + 4] >> 4 << 6,
            m[:, j] | m[:, j + 4] >> 4 << 6,
        )
        field[:, j + 8] = s[:, j + 4] & 15 | m[:, j + 4] << 4
    return field


# The corpus


def corpus(blocks: int) -> dict[str, F32]:
    """Float32 (blocks, 256) by name: what encoders get wrong, and a little of what they get."""
    rng = np.random.default_rng(7)
    shape = (blocks, 256)

    def normal() -> NDArray[np.float64]:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    outlier, sparse, zero_parts = normal(), normal(), normal()
    outlier[np.arange(blocks), rng.integers(0, 256, blocks)] *= 1000
    sparse[rng.random(shape) < 0.7] = 0
    zero_parts.reshape(blocks, 16, 16)[rng.random((blocks, 16)) < 0.5] = 0
    sign = np.where(np.arange(256) % 2, 1.0, -1.0)
    found: dict[str, Any] = {
        "normal": normal(),
        "heavy tails": rng.standard_t(1.5, shape),
        "one outlier": outlier,
        "constant": normal()[:, :1].repeat(256, 1),
        "constant in 16": normal()[:, :16].repeat(16, 1),
        "constant in 32": normal()[:, :8].repeat(32, 1),
        "integers": rng.integers(-8, 9, shape),
        "ties": rng.integers(-31, 32, shape) / 2,
        "three values": rng.integers(-1, 2, shape),
        "sparse": sparse,
        "zero sub-blocks": zero_parts,
        "zeros": np.zeros(shape),
        "negative zeros": -np.zeros(shape),
        "denormal": rng.integers(-(2**20), 2**20, shape) * 2.0**-149,
        "least": rng.integers(-9, 10, shape) * 2.0**-149,
        "alternating": normal() ** 2 * sign,
        "two values": np.abs(normal()[:, :1]) * sign,
        "sorted": np.sort(normal(), axis=1),
        "positive": np.abs(normal()) + 1,
        "negative": -np.abs(normal()) - 1,
        "far from zero": np.abs(normal()) + 1000,
        "far below zero": -1000 - np.abs(normal()),
        "every magnitude": normal() * 10.0 ** rng.uniform(-12, 6, shape),
        "sub-blocks apart": normal() * 10.0 ** rng.uniform(-5, 5, (blocks, 16)).repeat(16, 1),
        "sub-blocks far apart": normal() * 10.0 ** rng.uniform(-44, 38, (blocks, 16)).repeat(16, 1),
    }
    for power in (-44, -38, -30, -20, -16, -15, -14, -10, -8, -7, -6, -5, -4, -3,
                  3, 5, 6, 7, 8, 9, 11, 12, 15, 20, 30, 37, 38):  # fmt: skip
        found[f"1e{power}"] = np.clip(normal() * 10.0**power, -3.4e38, 3.4e38)
    return {name: x.astype(np.float32) for name, x in found.items()}


def importances(n: int) -> Iterator[tuple[str, F32 | None]]:
    """Importance rows (n,) by name, and none."""
    rng = np.random.default_rng(11)
    squares = rng.standard_normal(n) ** 2
    few, part = np.zeros(n), np.ones(n)
    few[rng.integers(0, n, 4)] = 1
    part.reshape(-1, 16)[rng.random(n // 16) < 0.5] = 0
    rows = {
        "ones": np.ones(n),
        "squares": squares,
        "half zero": np.where(rng.random(n) < 0.5, 0, squares),
        "zero": np.zeros(n),
        "few": few,
        "zero sub-blocks": part,
        "wide": 10.0 ** rng.uniform(-30, 20, n),
        "tiny": np.full(n, 1e-38),
        "huge": np.full(n, 1e30),
    }
    yield "none", None
    for name, row in rows.items():
        yield name, row.astype(np.float32)


# The laws of every K-quant


def check_encode(name: str, *, blocks: int) -> None:
    """Our bytes are libgguf's, or refused where its scale is NaN: fewer than one row in ten."""
    libgguf = pytest.importorskip("libgguf", reason=X86_ONLY)
    kind = int(gguf.GGMLQuantizationType[name.upper()])
    module, size = MODULES[name], ggml_type(name).block_bytes
    parts = corpus(blocks)
    labels = np.repeat(list(parts), blocks // 2)
    x = np.concatenate([part.reshape(-1, 512) for part in parts.values()])  # two blocks a row
    equal = refused = 0
    for weights, importance in importances(512):
        theirs = libgguf.quantize_rows(x, kind, imatrix=importance)
        unknown = np.zeros(len(x), bool)
        for at in HALVES[name]:
            for start in (at, at + size):
                scale = np.ascontiguousarray(theirs[:, start : start + 2]).view("<f2")[:, 0]
                unknown |= np.isnan(scale)
        got = module.encode(x[~unknown], importance=importance)
        differ = np.argwhere(got != theirs[~unknown])
        assert not len(differ), (
            f"{name}, {labels[~unknown][differ[0][0]]!r}, importance {weights!r}: byte "
            f"{differ[0][1]}, {len(np.unique(differ[:, 0]))} rows differ"
        )
        for row in x[unknown][:3]:
            with pytest.raises(ValueError, match="overflow in super-block"):
                module.encode(row, importance=importance)
        equal, refused = equal + int((~unknown).sum()), refused + int(unknown.sum())
    assert equal > 9 * refused, f"only {equal} rows were compared, {refused} refused"


def check_refusals(name: str, *, block_bytes: int) -> None:
    """Ragged rows, importances that do not fit, NaN, infinities and cut bytes are refused."""
    module, x = MODULES[name], np.zeros((2, 512), np.float32)
    with pytest.raises(ValueError, match="multiple of 256"):
        module.encode(x[:, :300])
    with pytest.raises(ValueError, match=r"importance must be float32 of shape \(512,\)"):
        module.encode(x, importance=np.ones(256, np.float32))
    for bad in (-1, np.nan, np.inf):
        importance = np.ones(512, np.float32)
        importance[3] = bad
        with pytest.raises(ValueError, match=r"finite and >= 0, got .* at index 3"):
            module.encode(x, importance=importance)
    for bad in (np.nan, np.inf, -np.inf):
        y = x.copy()
        y[1, 300] = bad
        message = rf"finite for {name.upper()}, got .* at index \(1, 300\)"
        with pytest.raises(ValueError, match=message):
            module.encode(y)
    with pytest.raises(ValueError, match=f"multiple of {block_bytes} bytes"):
        module.decode(np.zeros(block_bytes - 1, np.uint8))


def check_shapes(name: str, *, block_bytes: int) -> None:
    """Leading axes stay, the last is counted in blocks, and nothing is nothing."""
    module, x = MODULES[name], np.zeros((2, 3, 512), np.float32)
    data = module.encode(x)
    assert data.shape == (2, 3, 2 * block_bytes), "rows of two blocks"
    assert module.decode(data).shape == x.shape, "and back"
    assert module.encode(x[:0]).shape == (0, 3, 2 * block_bytes), "no rows"
    assert module.encode(x[..., :0]).shape == (2, 3, 0), "no columns"
    assert module.decode(module.encode(x[..., :0])).shape == (2, 3, 0), "no bytes"


def check_card(name: str, *, block_bytes: int) -> None:
    """The card shows the numbers of the codec for a part of a block."""
    module, x = MODULES[name], np.linspace(-3, 5, 40, dtype=np.float32)
    steps = module.CARD.explain(x)
    padded = np.concatenate([x, np.zeros(216, np.float32)])
    back = module.decode(module.encode(padded))
    assert module.CARD.bits_per_value == 8 * block_bytes / 256, "bits per weight"
    for i in range(40):
        step = next(step for step in steps if step.what == f"x[{i}]")
        assert step.result.startswith(f"{float(back[i]):.9g} "), f"x[{i}]: {step}"
