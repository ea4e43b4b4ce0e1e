"""What the tests of ggml's simple block types share: hostile blocks, and C's floats in Python.

The oracles of these tests are scalar programs in Python floats. A sum, difference, product or
quotient of two float32 computed in double and rounded to float32 is the correctly rounded one
(53 >= 2 * 24 + 2 bits), so ``f32`` after each operation is IEEE arithmetic, shared with nobody.
"""

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml.types import ggml_type

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
LARGEST = float(np.finfo(np.float32).max)


def f32(v: float) -> float:
    """Round a double to float32; beyond it, infinity."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", v))[0])
    except OverflowError:
        return math.copysign(math.inf, v)


def f16(v: float) -> bytes:
    """The two bytes of the nearest half."""
    try:
        return struct.pack("<e", v)
    except OverflowError:
        return struct.pack("<e", math.copysign(math.inf, v))


def fused(a: float, b: float, c: float) -> float:
    """a b + c in one rounding to float32, by fractions; for finite results that are not tiny."""
    if not all(map(math.isfinite, (a, b, c))):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not exact:
        return 0.0
    exponent = math.floor(math.log2(abs(exact))) - 23
    step = Fraction(2) ** exponent
    near = round(exact / step)  # half to even
    return float(near * step) if abs(near) >= 1 << 23 else f32(float(exact))


def reciprocal(d: float) -> float:
    """1 / d in float32, and 0 for 0."""
    return f32(1 / d) if d else 0.0


def times(a: float, b: float) -> float:
    """A product in float32; 0 * inf is NaN."""
    return f32(a * b)


def away(v: float) -> float:
    """C's roundf; what is no number stays so."""
    return math.copysign(math.floor(abs(v) + 0.5), v) if math.isfinite(v) else v


def int32(v: float) -> int:
    """A float as x86 converts it: beyond int32, and for NaN, -2^31."""
    return int(v) if -(2**31) <= v < 2**31 else -(2**31)


def largest(x: Sequence[float]) -> float:
    return max(abs(v) for v in x)


def first_largest(x: Sequence[float]) -> float:
    """The first value of largest magnitude, with its sign; 0.0 where all are zeros."""
    best = 0.0
    for v in x:
        best = v if abs(v) > abs(best) else best
    return best


def ends(x: Sequence[float]) -> tuple[float, float]:
    """The least and the largest value, the first of equal ones: so of zeros, too."""
    low = high = x[0]
    for v in x:
        low, high = (v if v < low else low), (v if v > high else high)
    return low, high


def steps(x: Sequence[float], inverse: float, offset: float, flavour: str) -> list[float]:
    """Each v * inverse + offset, rounded twice (``reference``) or once (``fma``)."""
    if flavour == "fma":
        return [fused(v, inverse, offset) for v in x]
    return [f32(times(v, inverse) + offset) for v in x]


def nibbles(codes: Sequence[int]) -> bytes:
    """Split halves."""
    half = len(codes) // 2
    return bytes(codes[j] | codes[j + half] << 4 for j in range(half))


def fifth_bits(codes: Sequence[int]) -> bytes:
    """The bits 4 of codes, bit i of a little-endian word that of code i."""
    return sum((q >> 4) << i for i, q in enumerate(codes)).to_bytes(len(codes) // 8, "little")


def corpus(n: int, *, dense: bool = True) -> dict[str, F32]:
    """Rows of ``n`` finite values: ties of every type, outliers, zeros of both signs, all scales.

    ``dense`` adds every power of two and its neighbours; without it the rows are a tenth.
    """
    rng = np.random.default_rng(20261123)
    every = np.arange(n)
    rows: dict[str, NDArray[Any]] = {}
    rows["zeros"], rows["negative zeros"] = np.zeros(n), np.full(n, -0.0)
    rows["-0, 0"] = np.where(every % 2, 0.0, -0.0)
    rows["0, -0"] = np.where(every % 2, -0.0, 0.0)
    rows["-0, 0, 1"] = np.where(every < 2, rows["-0, 0"], 1.0)
    rows["1, 0, -0"], rows["1, -0, 0"] = (
        np.where((every + 1) % 5, 1.0, np.where(every < n // 2, zero, -zero))
        for zero in (0.0, -0.0)
    )
    rows["largest"] = np.where(every % 3, LARGEST, -LARGEST)
    for scale in (1e-45, 1e-40, 3e-39, 1e-38, 1e-30, 1e-4, 1, 1000, 6e4, 7e4, 1e20, 1e37):
        rows[f"normal {scale}"] = rng.standard_normal(n) * scale
        rows[f"ties {scale}"] = rng.integers(-16, 17, n) / 2 * scale
        rows[f"positive {scale}"] = (5 + rng.integers(0, 9, n) / 2) * scale
        rows[f"constant {scale}"], rows[f"-constant {scale}"] = (
            np.full(n, scale),
            np.full(n, -scale),
        )
        rows[f"outlier {scale}"] = np.where(every == n // 2, scale, 1e-3)
        rows[f"both ends {scale}"] = np.where(every % 5, -1.0, 1.0) * scale
    for span in (1, 3, 7.5, 8, 15, 16, 31, 127, 255):
        for k in range(40 if dense else 2):
            codes = rng.integers(-2 * int(span), 2 * int(span) + 1, n) / 2
            codes[rng.integers(n)] = span
            tie = (codes * rng.uniform(0.1, 3)).astype(np.float32)
            rows[f"halves of {span}, {k}"] = tie
            rows[f"above halves of {span}, {k}"] = np.nextafter(tie, np.float32(math.inf))
            rows[f"below halves of {span}, {k}"] = np.nextafter(tie, np.float32(-math.inf))
    for k in range(-149, 128, 1 if dense else 23):
        power = float(np.ldexp(1.0, k))
        rows[f"eighths of 2^{k}"] = rng.integers(-4, 5, n) / 8 * power
        below = rng.uniform(-0.4, 0.4, n) * power
        below[3] = np.nextafter(np.float32(power), np.float32(0))
        rows[f"below 2^{k}"] = below
    with np.errstate(over="ignore", under="ignore"):
        return {
            name: np.clip(row, -LARGEST, LARGEST).astype(np.float32) for name, row in rows.items()
        }


def importances(n: int) -> dict[str, F32]:
    """Importances of ``n`` columns: equal, random, with zeros, all zero, large, of every size."""
    rng = np.random.default_rng(5)
    rows = {
        "ones": np.ones(n),
        "random": rng.uniform(0, 1, n),
        "with zeros": rng.integers(0, 3, n),
        "zero": np.zeros(n),
        "large": np.full(n, 1e30),
        "every size": np.exp(5 * rng.standard_normal(n)),
    }
    return {name: row.astype(np.float32) for name, row in rows.items()}


def stacked(rows: dict[str, F32]) -> F32:
    return np.stack(list(rows.values()))


def differing(rows: dict[str, F32], ours: NDArray[Any], theirs: NDArray[Any]) -> set[str]:
    """The names of the rows in which two arrays of bytes are not the same."""
    assert ours.shape == theirs.shape, f"shapes differ: {ours.shape}, {theirs.shape}"
    unequal = (ours.view(np.uint8) != theirs.view(np.uint8)).any(axis=1)
    return {name for name, bad in zip(rows, unequal, strict=True) if bad}


def expect_oracle(
    ours: U8, oracle: Callable[[Sequence[float]], bytes], rows: dict[str, F32]
) -> None:
    """``ours``, one block a row, is byte for byte what the scalar program says."""
    for name, row, data in zip(rows, rows.values(), ours, strict=True):
        expected = oracle([float(v) for v in row])
        assert data.tobytes() == expected, f"{name}: {data.tobytes().hex()} != {expected.hex()}"


def expect_refusals(module: ModuleType, type: str) -> None:
    """Wrong dtypes, ragged rows, cut bytes, NaN and infinities, importances that do not fit."""
    kind = ggml_type(type)
    x = np.zeros((2, kind.block_size), np.float32)
    for bad, message in (
        (x.astype(np.float64), "x must be float32, got float64"),
        (x[:, 1:], f"a multiple of {kind.block_size}, the block of {type}"),
        (x[0, 0], "the last axis must be a multiple"),
    ):
        with pytest.raises(ValueError, match=message):
            module.encode(bad)
    for value in (math.nan, math.inf, -math.inf):
        wrong = x.copy()
        wrong[1, 5] = value
        with pytest.raises(ValueError, match=rf"must be finite for {type}, got .* \(1, 5\)"):
            module.encode(wrong)
    for importance, message in (
        (np.ones(kind.block_size - 1, np.float32), rf"shape \({kind.block_size},\)"),
        (np.full(kind.block_size, -1, np.float32), "finite and >= 0, got -1.0 at index 0"),
    ):
        with pytest.raises(ValueError, match=message):
            module.encode(x, importance=importance)
    with pytest.raises(ValueError, match=f"multiple of {kind.block_bytes} bytes"):
        module.decode(np.zeros(kind.block_bytes + 1, np.uint8))
    if hasattr(module, "FLAVOURS"):
        with pytest.raises(ValueError, match="flavour must be one of reference"):
            module.encode(x, flavour="mmx")


def expect_shapes(module: ModuleType, type: str) -> None:
    """Leading axes stay; nothing is nothing; x is not changed; strides do not matter."""
    kind = ggml_type(type)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 2, 2 * kind.block_size)).astype(np.float32)
    before = x.copy()
    data = module.encode(x)
    assert np.array_equal(x, before), "x is not changed"
    assert data.shape == (3, 2, 2 * kind.block_bytes), "two blocks a row"
    assert data.dtype == np.uint8, "bytes"
    single = module.encode(x[2, 1, kind.block_size :])
    assert np.array_equal(single, data[2, 1, kind.block_bytes :]), "a block depends on no other"
    assert np.array_equal(module.encode(x[::-1]), data[::-1]), "strides do not matter"
    assert np.array_equal(module.encode(np.asfortranarray(x)), data), "nor does the order"
    back = module.decode(data)
    assert back.shape == x.shape, "the shape of x"
    assert back.dtype == np.float32, "float32"
    assert np.array_equal(module.decode(data[::-1]), back[::-1]), (
        "strides do not matter here either"
    )
    assert np.array_equal(module.decode(np.asfortranarray(data)), back), "nor the order"
    assert module.encode(x[:0]).shape == (0, 2, 2 * kind.block_bytes), "no rows"
    assert module.decode(data[..., :0]).shape == (3, 2, 0), "no blocks"


def expect_card(module: ModuleType, type: str, values: Sequence[float]) -> None:
    """The card says what the type says, and ends in the values as they decode."""
    kind, card = ggml_type(type), module.CARD
    assert card.bits_per_value == kind.bits_per_weight, "bits"
    assert card.block_size == kind.block_size, "block"
    x = np.array(values, np.float32)
    steps = card.explain(x)
    padded = np.zeros(kind.block_size, np.float32)
    padded[: len(x)] = x
    decoded = module.decode(module.encode(padded))
    shown = [step.result.split(" ")[0] for step in steps[-len(x) :]]
    assert [float(v) for v in shown] == [float(f"{v:.9g}") for v in decoded[: len(x)]], "the values"
    for hard in (
        np.zeros(1),
        np.full(kind.block_size, LARGEST),
        [1e-45, -1e-45],
        [LARGEST, -LARGEST],
    ):
        assert card.explain(np.array(hard, np.float32)), "no warning on hard values"


def all_halves(kind: str, fields: Callable[[np.random.Generator], U8]) -> U8:
    """65,536 blocks: every half in the first two bytes, then random ``fields`` of the rest."""
    data = np.empty((65536, ggml_type(kind).block_bytes), np.uint8)
    data[:] = fields(np.random.default_rng(2))
    data[:, :2] = np.arange(65536, dtype="<u2")[:, None].view(np.uint8)
    return data


def halves_at(data: U8, at: int) -> NDArray[np.float64]:
    """The half at byte ``at`` of each block, (m, 1)."""
    return data[:, at : at + 2].copy().view("<f2").astype(np.float64)


def split_nibbles(field: U8) -> NDArray[np.float64]:
    """Codes (m, 2 k) of bytes (m, k): all low nibbles, then all high ones."""
    return np.concatenate([field % 16, field // 16], axis=1).astype(np.float64)


def same_values(ours: F32, theirs: NDArray[Any]) -> bool:
    """Equal bit for bit, any NaN for a NaN."""
    with np.errstate(all="ignore"):  # a signalling NaN is a NaN
        theirs = np.asarray(theirs, np.float32)
    both = np.isnan(ours) & np.isnan(theirs)
    return bool((both | (ours.view(np.uint32) == theirs.view(np.uint32))).all())
