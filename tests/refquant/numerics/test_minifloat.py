"""Small floats: every code, every 16-bit input, every midpoint; oracles from the definition."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import E8M0_ROUND_MODES, FLOAT_FORMATS, FloatFormat
from refquant.numerics.rounding import ROUNDING

Array = np.ndarray[Any, Any]
every_format = pytest.mark.parametrize("name", FLOAT_FORMATS)
every_rule = pytest.mark.parametrize("rule", [*ROUNDING, "stochastic"])
MIRROR = {"half_up": "half_down", "half_down": "half_up", "floor": "ceil", "ceil": "floor"}


def meaning(code: int, row: FloatFormat) -> Fraction | str:
    """What a code means: cut the string of its bits, look at the fields. (FF-01)"""
    text = format(code, f"0{row.num_bits}b")
    sign, rest = ("0" + text) if row.sign_bits == 0 else text, ""
    sign, rest = sign[0], sign[1:]
    e, m = rest[: row.exponent_bits], rest[row.exponent_bits :]
    if row.nan == "ieee" and "0" not in e:
        return "nan" if "1" in m else ("-inf" if sign == "1" else "inf")
    if (row.nan == "all_ones" and "0" not in rest) or (
        row.nan == "negative_zero" and sign == "1" and "1" not in rest
    ):
        return "nan"
    part = Fraction(int(m or "0", 2), 2 ** len(m))
    if "1" in e or row.name == "e8m0":
        value = (1 + part) * Fraction(2) ** (int(e, 2) - row.bias)
    else:
        value = part * Fraction(2) ** (1 - row.bias)
    return -value if sign == "1" else value


def unbounded(row: FloatFormat) -> Array:
    """All magnitudes up to 2^132, as if the exponent field had no end; exact in float64."""
    m, top = row.mantissa_bits, row.bias + 132
    field, mantissa = np.divmod(np.arange((top + 1) << m, dtype=np.int64), 1 << m)
    part = mantissa / 2.0**m
    normal = (1 + part) * 2.0 ** (field - row.bias)
    if row.name == "e8m0":
        return np.asarray(normal)
    return np.where(field > 0, normal, part * 2.0 ** (1 - row.bias))


def goes_up(v: Array, low: Array, high: Array, odd: Array, rule: str, u: Array) -> Array:
    """Whether |x| = v in [low, high) rounds to high, for a rule of magnitudes."""
    middle = (low + high) / 2  # one bit more than the format has: exact
    up: dict[str, Array] = {
        "half_even": (v > middle) | ((v == middle) & odd),
        "half_away": v >= middle,
        "half_up": v >= middle,
        "half_down": v > middle,
        "toward_zero": np.zeros(v.shape, bool),
        "floor": np.zeros(v.shape, bool),
        "ceil": v > low,
        "above": (v - low) / (high - low) >= 1 - u,  # stochastic, x > 0
        "below": (v - low) / (high - low) > u,  # stochastic, x < 0
    }
    return up[rule]


def expected_magnitude(x: Array, row: FloatFormat, rule: str, u: Array | float = 0.0) -> Array:
    """The index of the neighbour that the rule takes, by a search in the table of all values."""
    table = unbounded(row)
    x = x.astype(np.float64)
    v, negative = np.abs(x), np.signbit(x)
    index = np.maximum(np.searchsorted(table, v, side="right") - 1, 0)
    low, high = table[index], table[index + 1]
    # Without a mantissa the significands are 1 and 2, and the odd one is the lower.
    odd = (index % 2 == 1) if row.mantissa_bits else np.ones(v.shape, bool)
    u = np.broadcast_to(u, v.shape)
    if rule == "stochastic":
        above, below = "above", "below"
    else:
        above, below = rule, MIRROR.get(rule, rule)
    up = np.where(
        negative, goes_up(v, low, high, odd, below, u), goes_up(v, low, high, odd, above, u)
    )
    if row.name == "e8m0":
        up &= v >= table[0]  # below the smallest: the smallest
    return np.asarray(index + up)


def expected_saturated(x: Array, row: FloatFormat, rule: str, u: Array | float = 0.0) -> Array:
    """The codes of finite ``x`` with overflow='saturate'."""
    magnitude = np.minimum(expected_magnitude(x, row, rule, u), row.max_code)
    negative = np.signbit(x)
    if row.sign_bits == 0:
        return np.where(negative | ((x == 0) & (row.name == "e8m0")), 0, magnitude)
    sign = negative & (row.negative_zero | (magnitude > 0))
    return np.asarray(magnitude + (sign.astype(np.int64) << (row.num_bits - 1)))


def sixteen_bit(kind: str) -> Array:
    """All finite float16 or bfloat16 numbers, as float32."""
    bits = np.arange(1 << 16, dtype=np.uint32)
    if kind == "bf16":
        x = (bits << 16).view(np.float32)
    else:
        x = bits.astype(np.uint16).view(np.float16).astype(np.float32)
    return x[np.isfinite(x)]


def assert_codes(got: Array, expected: Array, x: Array, what: str) -> None:
    wrong = np.flatnonzero(got != expected)
    cases = [(float(x[i]).hex(), int(got[i]), int(expected[i])) for i in wrong[:5]]
    assert not wrong.size, f"{what}: {wrong.size} wrong, (x, got, expected) = {cases}"


@every_format
def test_ff01_every_code_means_what_the_definition_says(name: str) -> None:
    row = FLOAT_FORMATS[name]
    codes = np.arange(1 << row.num_bits)
    got = decode(codes, row)
    assert got.dtype == np.float32, f"decode gives float32, got {got.dtype}"
    for code, value in zip(codes.tolist(), got.tolist(), strict=True):
        means = meaning(code, row)
        same = str(value) == means if isinstance(means, str) else Fraction(value) == means
        assert same, f"{name} {code:#x} means {means}, got {value}"
    signs = np.signbit(got[~np.isnan(got)])
    top = codes[~np.isnan(got)] >> (row.num_bits - 1) & row.sign_bits
    assert (signs == top).all(), f"{name}: the sign is the first bit, of -0 too"


@every_format
@every_rule
def test_ff02_what_was_decoded_has_its_code(name: str, rule: str) -> None:
    row = FLOAT_FORMATS[name]
    codes = np.arange(1 << row.num_bits)
    x = decode(codes, row)
    options: dict[str, Any] = {"rounding": rule, "infinity": "inf" if row.has_inf else None}
    if rule == "stochastic":
        options |= {"bits": np.full(x.shape, 255, np.uint8), "num_bits": 8}
    got = encode(x, row, **options)
    numbers = ~np.isnan(x)
    assert_codes(got[numbers], codes[numbers], x[numbers], f"{name} {rule}")
    sign = 1 << (row.num_bits - 1) if row.negative_zero else 0
    strange = set(got[~numbers].tolist()) - {row.nan_code, (row.nan_code or 0) | sign}
    assert not strange, f"{name}: NaN must be {row.nan_code}, with its sign; got {strange}"


@every_format
@every_rule
@pytest.mark.parametrize("kind", ["bf16", "fp16"])
def test_ff09_every_16_bit_input_rounds_as_the_oracle_says(name: str, rule: str, kind: str) -> None:
    row, x = FLOAT_FORMATS[name], sixteen_bit(kind)
    if rule == "stochastic":
        bits = (np.arange(x.size) * 37 % 256).astype(np.uint8)
        got = encode(x, row, rounding=rule, bits=bits, num_bits=8)
        expected = expected_saturated(x, row, rule, bits / 256)
    else:
        got = encode(x, row, rounding=rule)
        expected = expected_saturated(x, row, rule)
    assert_codes(got, expected, x, f"{name} {rule} of every {kind}")


@every_format
@pytest.mark.parametrize("rule", ROUNDING)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ff03_ff04_midpoints_and_their_neighbours_round_once(
    name: str, rule: str, dtype: Any
) -> None:
    row = FLOAT_FORMATS[name]
    table = unbounded(row)[: row.max_code + 4]
    table = table[table <= float(np.finfo(dtype).max)]
    middles = ((table[1:] + table[:-1]) / 2).astype(dtype)  # the format and one bit: exact
    near, inf = [middles], dtype(np.inf)
    for towards in (inf, -inf):
        one = np.nextafter(middles, towards)
        near += [one, np.nextafter(one, towards)]
    points = np.concatenate([*near, table.astype(dtype)])
    x = np.concatenate([points, -points])
    x = x[np.isfinite(x)]
    assert_codes(encode(x, row, rounding=rule), expected_saturated(x, row, rule), x, f"{name}")


def test_ff04_a_float64_is_not_rounded_to_float32_first() -> None:
    x = np.array([1 + 2.0**-8 + 2.0**-40])
    assert encode(x, FLOAT_FORMATS["bf16"]).tolist() == [0x3F81], "just above the tie: up"
    twice = encode(x.astype(np.float32), FLOAT_FORMATS["bf16"])
    assert twice.tolist() == [0x3F80], "through float32 it is the tie, and goes to even"


@every_format
@every_rule
def test_ff08_encoding_is_monotone(name: str, rule: str) -> None:
    row = FLOAT_FORMATS[name]
    x = np.sort(sixteen_bit("bf16"))
    options: dict[str, Any] = {}
    if rule == "stochastic":
        options = {"bits": np.full(x.shape, 77, np.uint8), "num_bits": 8}
    y = decode(encode(x, row, rounding=rule, **options), row)
    assert (y[1:] >= y[:-1]).all(), f"{name} {rule}: a larger number has a smaller code"


@every_format
def test_ff12_stochastic_rounding_goes_up_in_proportion(name: str) -> None:
    row = FLOAT_FORMATS[name]
    low, high = decode([row.max_code - 1, row.max_code], row).astype(np.float64)
    x = np.full(256, low + (high - low) * 0.25)
    bits = np.arange(256, dtype=np.uint8)
    got = encode(x, row, rounding="stochastic", bits=bits, num_bits=8)
    assert np.count_nonzero(got == row.max_code) == 64, "a quarter of all patterns goes up"
    assert set(got.tolist()) == {row.max_code - 1, row.max_code}, "only neighbours"
    again = encode(x, row, rounding="stochastic", bits=bits, num_bits=8)
    assert (got == again).all(), "equal bits, equal codes"


def test_ff14_a_carry_reaches_the_exponent() -> None:
    x = np.array([np.nextafter(np.float32(2.0), np.float32(0))])
    for name, row in FLOAT_FORMATS.items():
        got = decode(encode(x, row), row)
        assert got.tolist() == [2.0], f"{name}: just below 2 rounds to 2, got {got}"


@pytest.mark.parametrize(
    ("mode", "codes"), [("up", [127, 128, 128, 128]), ("down", [127, 127, 127, 127])]
)
def test_ff10_scales_round_up_and_down(mode: str, codes: list[int]) -> None:
    x = np.array([1.0, 1.4999999, 1.5, 1.75], np.float32)
    got = encode(x, FLOAT_FORMATS["e8m0"], rounding=E8M0_ROUND_MODES[mode]).tolist()
    assert got == codes, f"{mode}: expected {codes}, got {got}"


def test_ff10_scales_round_to_nearest_with_ties_up() -> None:
    x = np.array([1.0, 1.4999999, 1.5, 0.75, 3.0, 6.0, 2.0**-127, 2.0**-149], np.float32)
    for rule in (E8M0_ROUND_MODES["nearest"], "half_even"):
        got = encode(x, FLOAT_FORMATS["e8m0"], rounding=rule).tolist()
        assert got == [127, 127, 128, 127, 129, 130, 0, 0], f"{rule}: got {got}"


def test_shapes_and_dtypes() -> None:
    e2m1, fp16 = FLOAT_FORMATS["e2m1"], FLOAT_FORMATS["fp16"]
    for shape in [(), (0,), (2, 0, 3), (2, 3)]:
        codes = encode(np.ones(shape, np.float32), e2m1)
        assert codes.shape == shape, f"shape {shape} became {codes.shape}"
        assert codes.dtype == np.uint8, f"4 bits are held in uint8, got {codes.dtype}"
        assert decode(codes, e2m1).shape == shape, f"decode must keep the shape {shape}"
    assert encode(np.float16(0.1), fp16).dtype == np.uint16, "16 bits are held in uint16"
    assert int(encode(np.float16(0.1), fp16)) == 0x2E66, "a float16 has its own bits"
    assert int(encode(0.1, fp16)) == 0x2E66, "a Python float is a float64"


def test_a_decoded_array_is_the_callers_own() -> None:
    e2m1 = FLOAT_FORMATS["e2m1"]
    decode(np.arange(16), e2m1)[...] = 0
    assert decode([7], e2m1).tolist() == [6.0], "what a caller writes must not reach the table"
    assert decode(7, e2m1).flags.writeable, "a scalar's array too"
