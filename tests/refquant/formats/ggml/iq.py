"""What the tests of the IQ types share: inputs by formula, exact decoders, the laws of an encoder.

The decoders are Python integers on one block of bytes: a value is ``numerator / 2**30``. Their
grids are gguf's tables, not ours.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import libgguf
import numpy as np
import pytest
from gguf import quants
from numpy.typing import NDArray

from refquant.formats.ggml.types import ggml_type

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

GOLDEN = Path(__file__).parent / "iq_golden.npz"
"""Bytes of libgguf 0.2.2 for all ``cases`` of the types whose lists it builds for seconds; made by
``_measure``. The tests marked slow ask libgguf itself."""


def noise(seed: int, n: int) -> NDArray[np.float64]:
    """Numbers in [-1, 1) by splitmix64: integers and one division, the same everywhere."""
    z = np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(12)).astype(np.float64) / 2.0**51 - 1


def bell(seed: int, n: int) -> NDArray[np.float64]:
    """Four numbers added, nearly normal with a deviation of 1.15."""
    a, b, c, d = (noise(4 * seed + k, n) for k in range(4))
    return ((a + b) + c) + d


def rows(n: int = 256) -> dict[str, F32]:
    """Rows of ``n`` values: ties, outliers, zeros of all kinds, magnitudes from 2^-149 to 2^16."""
    every, u, b = np.arange(n), noise(1, n), bell(2, n)
    exponents = np.rint(noise(3, n) * 20).astype(int)
    made: dict[str, NDArray[Any]] = {
        "bell": b,
        "bell, small": bell(5, n) * 0.017,
        "uniform": u,
        "heavy tail": b * b * b,
        "eighths": np.rint(u * 8) / 8,
        "-2 to 2": np.rint(noise(6, n) * 2),
        "outliers": np.where(every % 37 == 5, 1000, 1) * bell(7, n),
        "sparse": np.where(noise(8, n) < 0.4, 0, b),
        "one value": np.where(every == 200, -3.5, 0),
        "one value in each 32": np.where(every % 32 == 17, u, 0),
        "zero sub-blocks": np.where((every // 16) % 4 < 2, 0, b),
        "magnitudes mixed": np.ldexp(b, exponents),
        "negative": -abs(b) - 2.0**-10,
        "constant": np.full(n, -5.0),
        "alternating": np.where(every % 2, 1.0, -1.0),
        "steps": np.repeat(bell(9, -(-n // 16)), 16)[:n],
        "zeros": np.zeros(n),
        "negative zeros": np.full(n, -0.0),
        "a flip outweighs": np.where(every % 8, 1.0, -0.01),
    }
    for power in (-149, -133, -127, -75, -52, -44, -28, -25, -23, 13, 16):
        made[f"bell 2^{power}"] = np.ldexp(bell(200 + power, n), power)
    with np.errstate(under="ignore"):
        return {name: row.astype(np.float32) for name, row in made.items()}


def importances(n: int = 256) -> dict[str, F32 | None]:
    """None, equal, uneven, half zeros, all zeros, of many magnitudes, and a very uneven one."""
    every, u = np.arange(n), noise(11, n)
    made: dict[str, NDArray[Any]] = {
        "ones": np.ones(n),
        "uneven": abs(noise(12, n)),
        "half zeros": np.where(u < 0, 0, u),
        "zeros": np.zeros(n),
        "magnitudes mixed": np.ldexp(1 + abs(u), np.rint(noise(13, n) * 20).astype(int)),
        "flip": np.where(every % 8, 1, 8000),
    }
    return {"none": None} | {name: row.astype(np.float32) for name, row in made.items()}


def cases(type: str, flavour: str | None = None) -> dict[str, tuple[F32, F32 | None]]:
    """Every row with every importance that ``type`` accepts."""
    required = type in ("IQ2_XXS", "IQ2_XS", "IQ1_S")
    return {
        f"{name} / {label}": (row, weights)
        for label, weights in importances().items()
        if not (required and weights is None)
        for name, row in rows().items()
    }


def encoded(module: ModuleType, type: str, **options: str) -> U8:
    """All ``cases`` by ``module.encode``, one block a row; the rows of an importance together."""
    done: dict[int, U8] = {}
    x = np.stack(list(rows().values()))
    for label, weights in importances().items():
        if weights is not None or type not in ("IQ2_XXS", "IQ2_XS", "IQ1_S"):
            done[len(done)] = module.encode(x, importance=weights, **options)
            assert label, "every importance has a name"
    return np.concatenate(list(done.values()))


def outside(type: str) -> U8:
    """All ``cases`` by libgguf, one block a row."""
    kind = libgguf.GGMLQuantizationType[type]
    size = ggml_type(type).block_size
    parts = []
    for row, weights in cases(type).values():
        wide = row.reshape(1, -1)
        parts.append(libgguf.quantize_rows(wide, kind, weights).reshape(1, -1))
    return np.concatenate(parts).reshape(-1, ggml_type(type).block_bytes * (256 // size))


def expect_same(type: str, ours: U8, theirs: U8) -> None:
    """Two arrays of bytes, one row a case, are equal."""
    assert ours.shape == theirs.shape, f"{type}: shapes {ours.shape}, {theirs.shape}"
    bad = (ours != theirs).any(axis=1)
    names = [name for name, b in zip(cases(type), bad, strict=True) if b]
    assert not names, f"{type}: {len(names)} of {len(bad)} cases differ: {names[:8]}"


def golden(type: str, key: str | None = None) -> U8:
    with np.load(GOLDEN) as file:
        stored: U8 = file[key or type]
    return stored


# Exact decoders: integers from bytes. A value is the returned integer / 2**30.

_ONE = 30


def half_bits(low: int, high: int) -> int:
    """A finite half times 2**24, an integer."""
    bits = low | high << 8
    exponent, mantissa = (bits >> 10) & 31, bits & 1023
    assert exponent != 31, "the exact decoders are for finite scales"
    magnitude = mantissa if exponent == 0 else (1024 + mantissa) << (exponent - 1)
    return -magnitude if bits >> 15 else magnitude


@cache
def table(type: str) -> tuple[tuple[int, ...], ...]:
    """gguf's grid, as integers."""
    kind = getattr(quants, type)
    kind.init_grid()
    return tuple(tuple(int(v) for v in point) for point in kind.grid.reshape(kind.grid_shape))


def even(code: int) -> int:
    """Eight sign bits of seven."""
    return code | (code.bit_count() % 2) << 7


def signed(values: Sequence[int], signs: int) -> list[int]:
    return [-v if signs >> j & 1 else v for j, v in enumerate(values)]


def exact_iq2_xxs(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for k in range(8):
        part = b[2 + 8 * k : 10 + 8 * k]
        word = int.from_bytes(part[4:], "little")
        for group in range(4):
            g = signed(table("IQ2_XXS")[part[group]], even(word >> 7 * group & 127))
            out += [d * (2 * (word >> 28) + 1) * v << 3 for v in g]  # 2^-24 / 8
    return out


def exact_iq2_xs(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for group in range(32):
        word = b[2 + 2 * group] | b[3 + 2 * group] << 8
        scale = b[66 + group // 4] >> (4 * (group // 2 % 2)) & 15
        g = signed(table("IQ2_XS")[word % 512], even(word >> 9))
        out += [d * (2 * scale + 1) * v << 3 for v in g]
    return out


def exact_iq2_s(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for group in range(32):
        point = b[2 + group] + 256 * (b[66 + group // 4] >> 2 * (group % 4) & 3)
        scale = b[74 + group // 4] >> (4 * (group // 2 % 2)) & 15
        g = signed(table("IQ2_S")[point], b[34 + group])
        out += [d * (2 * scale + 1) * v << 3 for v in g]
    return out


def exact_iq3_xxs(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for eight in range(32):
        word = int.from_bytes(b[66 + eight // 4 * 4 : 70 + eight // 4 * 4], "little")
        points = [table("IQ3_XXS")[b[2 + 2 * eight + k]] for k in (0, 1)]
        g = signed(points[0] + points[1], even(word >> 7 * (eight % 4) & 127))
        out += [d * (2 * (word >> 28) + 1) * v << 4 for v in g]  # 2^-24 / 4
    return out


def exact_iq3_s(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for eight in range(32):
        high = b[66 + eight // 4] >> 2 * (eight % 4)
        points = [table("IQ3_S")[b[2 + 2 * eight + k] + 256 * (high >> k & 1)] for k in (0, 1)]
        scale = b[106 + eight // 8] >> (4 * (eight // 4 % 2)) & 15
        g = signed(points[0] + points[1], b[74 + eight])
        out += [d * (2 * scale + 1) * v << 6 for v in g]
    return out


def exact_iq1_s(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for group in range(32):
        word = b[34 + group // 4 * 2] | b[35 + group // 4 * 2] << 8
        point = b[2 + group] + 256 * (word >> 3 * (group % 4) & 7)
        shift = -1 if word >> 15 else 1
        factor = d * (2 * (word >> 12 & 7) + 1) << 3
        out += [factor * (8 * v + shift) for v in table("IQ1_S")[point]]
    return out


def exact_iq1_m(b: bytes) -> list[int]:
    words = [b[48 + 2 * j] | b[49 + 2 * j] << 8 for j in range(4)]
    bits = sum((word >> 12) << 4 * j for j, word in enumerate(words))
    d, out = half_bits(bits & 255, bits >> 8), []
    for group in range(32):
        nibble = b[32 + group // 2] >> 4 * (group % 2) & 15
        scale = words[group // 8] >> 3 * (group // 2 % 4) & 7
        shift = -1 if nibble >> 3 else 1
        point = table("IQ1_M")[b[group] + 256 * (nibble & 7)]
        out += [(d * (2 * scale + 1) << 3) * (8 * v + shift) for v in point]
    return out


CODEBOOK = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def exact_iq4_nl(b: bytes) -> list[int]:
    d = half_bits(b[0], b[1])
    codes = [v & 15 for v in b[2:18]] + [v >> 4 for v in b[2:18]]
    return [d * CODEBOOK[code] << 6 for code in codes]


def exact_iq4_xs(b: bytes) -> list[int]:
    d, out = half_bits(b[0], b[1]), []
    for k in range(8):
        low = b[4 + k // 2] >> 4 * (k % 2) & 15
        high = (b[2] | b[3] << 8) >> 2 * k & 3
        part = b[8 + 16 * k : 24 + 16 * k]
        codes = [v & 15 for v in part] + [v >> 4 for v in part]
        out += [d * (low + 16 * high - 32) * CODEBOOK[code] << 6 for code in codes]
    return out


def expect_exact_decode(
    module: ModuleType,
    type: str,
    oracle: Callable[[bytes], list[int]],
    seen: Callable[[U8], dict[str, tuple[NDArray[Any], int]]],
    *,
    blocks: int,
) -> None:
    """Random blocks decode to the oracle's integers, and hold every value of every field.

    ``seen`` returns for each field its values in the blocks and how many there can be.
    """
    rng = np.random.default_rng(42)
    data = rng.integers(0, 256, (blocks, ggml_type(type).block_bytes), dtype=np.uint8)
    if type == "IQ1_M":
        data[:, 55] &= 0xBF  # finite scales: the top exponent bit is 0
    else:
        data[:, 1] &= 0xBF
    for field, (values, count) in seen(data).items():
        assert len(np.unique(values)) == count, f"{type}: not all {field} are in the blocks"
    ours = module.decode(data)
    for row, block in zip(ours, data, strict=True):
        expected = np.array(oracle(block.tobytes()), np.float64) / 2.0**_ONE
        assert np.array_equal(row.astype(np.float64), expected), f"{type}: {block.tobytes().hex()}"


def expect_same_decode(module: ModuleType, type: str) -> None:
    """Any bytes, with scales of zero, infinity and NaN, decode as in gguf, signs of zeros too."""
    kind = ggml_type(type)
    rng = np.random.default_rng(7)
    data = rng.integers(0, 256, (60, 3 * kind.block_bytes), dtype=np.uint8)
    for k, half in enumerate((0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0x0001, 0x7BFF)):
        if type == "IQ1_M":
            for j in range(4):
                data[k, 49 + 2 * j] = (data[k, 49 + 2 * j] & 15) | (half >> 4 * j & 15) << 4
        else:
            data[k, :2] = half & 255, half >> 8
    ours = module.decode(data)
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(data, gguf.GGMLQuantizationType[type])
    assert ours.shape == theirs.shape == (60, 3 * kind.block_size), f"{type}: shape"
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all(), f"{type}: {int((~same).sum())} values differ from gguf"
    assert np.isnan(ours).any(), f"{type}: no scale was NaN"
    assert np.isinf(ours).any(), f"{type}: no scale was infinite"


def expect_refusals(module: ModuleType, type: str, *, required: bool, aborts: bool) -> None:
    """Wrong x, importance and bytes are refused by name; so is what ggml aborts at."""
    kind = ggml_type(type)
    n = 2 * kind.block_size
    x, good = np.ones((2, n), np.float32), np.ones(n, np.float32)
    for bad, message in (
        (x[:, 1:], f"x: the last axis must be a multiple of {kind.block_size}.*{type}"),
        (x.astype(np.float64), "x must be float32, got float64"),
        (x[0, 0], "x: the last axis"),
        (np.where(np.arange(n) == 3, np.float32(np.nan), x), "x must be finite.*nan"),
        (np.where(np.arange(n) == 3, np.float32(-np.inf), x), "x must be finite.*inf"),
    ):
        with pytest.raises(ValueError, match=message):
            module.encode(bad, importance=good)
    for weights, message in (
        (good[1:], rf"importance must be float32 of shape \({n},\)"),
        (good.astype(np.float64), "importance must be float32"),
        (
            np.where(np.arange(n) == 9, np.float32(-1), good),
            "importance .* >= 0, got -1.0 at index 9",
        ),
        (np.where(np.arange(n) == 9, np.float32(np.nan), good), "importance .* got nan at index 9"),
        (np.where(np.arange(n) == 9, np.float32(np.inf), good), "importance .* got inf at index 9"),
    ):
        with pytest.raises(ValueError, match=message):
            module.encode(x, importance=weights)
    if required:
        with pytest.raises(ValueError, match=f"importance must be given for {type}"):
            module.encode(x)
    else:
        assert module.encode(x).shape == (2, 2 * kind.block_bytes), f"{type}: importance is free"
    if aborts:
        wild = (np.float32(1e20) * (8 + bell(1, n))).astype(np.float32)
        with pytest.raises(ValueError, match="must stay in float32"):
            module.encode(wild, importance=good)
    for wrong in (np.zeros(kind.block_bytes + 1, np.uint8), np.zeros(kind.block_bytes, np.int8)):
        with pytest.raises(ValueError, match="data"):
            module.decode(wrong)


def expect_shapes(module: ModuleType, type: str) -> None:
    """Leading axes stay, nothing is nothing, blocks are independent, arguments are not changed."""
    kind = ggml_type(type)
    n = 3 * kind.block_size
    x = bell(3, 4 * n).reshape(2, 2, n).astype(np.float32)
    weights = abs(noise(4, n)).astype(np.float32)
    before = x.copy(), weights.copy()
    data = module.encode(x, importance=weights)
    assert data.shape == (2, 2, 3 * kind.block_bytes), f"{type}: bytes of {x.shape}"
    assert data.dtype == np.uint8, f"{type}: bytes"
    assert module.decode(data).shape == x.shape, f"{type}: values of {data.shape}"
    assert np.array_equal(before[0], x), f"{type}: x is changed"
    assert np.array_equal(before[1], weights), f"{type}: importance is changed"
    part = slice(kind.block_size, 2 * kind.block_size)
    alone = module.encode(x[1, 0, part], importance=weights[part])
    span = slice(kind.block_bytes, 2 * kind.block_bytes)
    assert np.array_equal(alone, data[1, 0, span]), f"{type}: a block depends on others"
    strided = np.repeat(x, 2, axis=-1)[..., ::2]
    assert np.array_equal(module.encode(strided, importance=weights), data), f"{type}: strides"
    empty = module.encode(np.zeros((2, 0), np.float32), importance=np.zeros(0, np.float32))
    assert empty.shape == (2, 0), f"{type}: no blocks"
    assert module.decode(empty).shape == (2, 0), f"{type}: no values"


def expect_card(module: ModuleType, type: str) -> None:
    """The card's sizes are the type's, and its steps end in the decoded values."""
    card, kind = module.CARD, ggml_type(type)
    assert card.name == type.lower(), "the card's name is the type's"
    assert card.bits_per_value == kind.bits_per_weight, "bits a value"
    assert card.block_size == kind.block_size, "block size"
    x = np.array([0.5, -1.25, 3.0, 0.0, -0.1, 2.0, 1.0, -1.0, 7.0], np.float32)
    steps = card.explain(x)
    block = np.concatenate([x, np.zeros(kind.block_size - len(x), np.float32)])
    decoded = module.decode(module.encode(block, importance=_card_importance(type)))
    results = [step.result for step in steps if step.what.startswith("x[")]
    expected = [f"{float(v):.9g}" for v in decoded[: len(x)]]
    assert [result.split(" ")[0] for result in results] == expected, "the values of decode"
    assert steps[0].what == "padding", "a short block is filled up, and that is said"
    full = card.explain(block)
    assert full[0].what == "d", "a whole block is not"
    assert len([s for s in full if s.what.startswith("x[")]) == kind.block_size, "all values"


def _card_importance(type: str) -> F32 | None:
    return np.ones(256, np.float32) if type in ("IQ2_XXS", "IQ2_XS", "IQ1_S") else None


def _measure(prefix_sums: U8) -> None:
    """Write ``GOLDEN``: ``outside`` of five types by libgguf 0.2.2.

    ``prefix_sums`` are the same cases of IQ1_M by ``quantize_iq1_m`` of the ggml-quants.c in the
    source archive of llama-cpp-python 0.3.36 (2026-09), gcc -O2 -ffp-contract=off, x86-64.
    """
    types = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_S", "IQ1_M")
    bytes_of: dict[str, Any] = {type: outside(type) for type in types}
    bytes_of["IQ1_M prefix_sums"] = prefix_sums
    np.savez_compressed(GOLDEN, **bytes_of)
