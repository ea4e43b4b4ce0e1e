"""Planted bugs of casts and decoders, one or more for each property FF-01 to 14 but 12."""

from collections.abc import Callable

import numpy as np

from refquant_conformance.arithmetic.cast_probes import magnitudes
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.mutants.quantizers import Changed
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]


def _codes(change: Callable[[Case, Array, Array], Array]) -> Callable[[Case, Run], Result]:
    """Return the reference whose codes are changed, given the numbers."""

    def run(case: Case, honest: Run) -> Result:
        y = honest(case).outputs["y"]
        with np.errstate(all="ignore"):
            changed = change(case, case.inputs["x"].astype(np.float64), y)
        return Result({"y": np.asarray(changed).astype(y.dtype)})

    return run


def _doubled(case: Case, honest: Run) -> Result:
    """Read a codebook of twice the values."""
    return Result({"y": honest(case).outputs["y"] * np.float32(2)})


def _wrong_entry(case: Case, x: Array, y: Array) -> Array:
    """Give one value another code, as a table with a bad entry does."""
    return np.where(x == magnitudes(case.types["y"])[77], y + 1, y)


def _minus_zero_is_nan(case: Case, x: Array, y: Array) -> Array:
    tiny = np.abs(x) < magnitudes(case.types["y"])[1] / 4
    return np.where(np.signbit(x) & (y == 0) & tiny, 0x80, y)


def _not_monotone(case: Case, x: Array, y: Array) -> Array:
    """Lose three quarters of the codes in a narrow band between values and midpoints."""
    m, _ = np.frexp(np.abs(x))
    steps = np.abs(m * 2 * 8) % 1  # where between two values of three mantissa bits
    return np.where((steps > 0.1) & (steps < 0.12) & (np.abs(x) > 0.1), y & 0xC7, y)


def _band(case: Case, x: Array, y: Array) -> Array:
    """Round a quarter above a value upwards."""
    m, _ = np.frexp(np.abs(x))
    quarter = (m * 2 * 8) % 1 == 0.25
    inside = np.abs(x) < 200
    return np.where(quarter & inside & (np.abs(x) > 1), y + 1, y)


def _no_carry(case: Case, x: Array, y: Array) -> Array:
    """Forget the exponent where the mantissa overflows, above all ties."""
    m, _ = np.frexp(np.abs(x))
    full = (m > 1 - 2.0**-6.5) & (m < 1 - 2.0**-9) & (np.abs(x) > 1)
    return np.where(full, y - 8, y)


def _zero_scale(case: Case, honest: Run) -> Result:
    """Flush the least scale to zero."""
    y = honest(case).outputs["y"]
    return Result({"y": np.where(case.inputs["x"] == 0, np.float32(0), y)})


def _frexp(case: Case, x: Array, y: Array) -> Array:
    """Take the exponent of frexp, whose mantissa is below one: exact powers are doubled."""
    m, _ = np.frexp(np.abs(x))
    return np.where((m == 0.5) & (x > 0) & (y < 254) & (x >= 2.0**-126), y + 1, y)


def _via_f32(case: Case, honest: Run) -> Result:
    """Round to float32 first."""
    return Changed(via="via_f32")(case, honest)


def _tie_saturates(case: Case, x: Array, y: Array) -> Array:
    """Give numbers up to a step beyond the tie the code before the largest."""
    top = magnitudes(case.types["y"])[-1]
    return np.where((np.abs(x) > top) & (np.abs(x) < 2 * top), y - 1, y)


def _cast(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    run: Callable[[Case, Run], Result],
    schemes: tuple[str, ...],
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, "cast", schemes, run)


MUTANTS = (
    Mutant("fp4_doubled", "the codebook of FP4 holds twice the values", "2.7, 2.10", "FF-01",
           "decode", ("e2m1fn_f32",), _doubled),
    Mutant("least_scale_flushed", "the scale 2^-127 is read as 0", "2.7", "FF-11", "decode",
           ("e8m0fnu_f32",), _zero_scale),
    _cast("bad_small_float", "one value has the code of its neighbour", "2.7", "FF-02",
          _codes(_wrong_entry), ("f32_e4m3fn",)),
    _cast("bf16_truncated", "the lower half of a float32 is cut off", "2.7", "FF-03",
          Changed(rounding="toward_zero"), ("f32_bf16",)),
    _cast("ties_away", "ties of small floats go away from zero", "2.7", "FF-03",
          Changed(rounding="half_away"), ("f32_e4m3fn", "f32_e2m1fn")),
    _cast("double_rounding", "float64 is rounded to float32 first", "2.7", "FF-04", _via_f32,
          ("f64_bf16", "f64_e4m3fn", "i64_bf16")),
    _cast("beyond_is_less", "what is just beyond the largest has the code before it", "2.7",
          "FF-05", _codes(_tie_saturates), ("f32_e4m3fn", "f32_e5m2")),
    _cast("nan_on_overflow", "numbers beyond the range are NaN", "2.7", "FF-05",
          Changed(fp_overflow="nan"), ("f32_e4m3fn", "f32_e5m2")),
    _cast("infinity_is_nan", "infinities are NaN where they should saturate", "2.7", "FF-06",
          Changed(infinity="nan"), ("f32_e4m3fn", "f32_e5m2")),
    _cast("minus_zero_is_nan", "tiny negative numbers have the code of NaN", "2.7", "FF-07",
          _codes(_minus_zero_is_nan), ("f32_e4m3fnuz", "f32_e5m2fnuz")),
    _cast("not_monotone", "a narrow band of numbers loses its exponent", "2.7", "FF-08",
          _codes(_not_monotone), ("f32_e4m3fn",)),
    _cast("quarter_up", "a quarter of a step rounds up", "2.7", "FF-09", _codes(_band),
          ("f16_e4m3fn",)),
    _cast("frexp_exponent", "exact powers of two are doubled", "2.7", "FF-10", _codes(_frexp),
          ("f64_e8m0fnu",)),
    _cast("fp4_nan_is_largest", "NaN becomes the largest FP4", "2.7", "FF-13",
          Changed(nan_becomes="max"), ("f32_e2m1fn",)),
    _cast("no_carry", "a mantissa that overflows does not raise the exponent", "2.7", "FF-14",
          _codes(_no_carry), ("f64_e4m3fn",)),
)  # fmt: skip
