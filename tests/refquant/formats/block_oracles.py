"""Block floats in exact fractions, written from their definitions; shares no code with refquant."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from refquant_conformance.rational import divide, float32, multiply, round_exact

Array = np.ndarray[Any, Any]

# name: exponent bits, mantissa bits, bias, codes above the largest number
LAYOUT = {
    "e4m3fn": (4, 3, 7, 1),
    "e5m2": (5, 2, 15, 4),
    "e3m2": (3, 2, 3, 0),
    "e2m3": (2, 3, 1, 0),
    "e2m1": (2, 1, 1, 0),
    "ue4m3": (4, 3, 7, 1),
    "ue5m3": (5, 3, 15, 1),
    "bf16": (8, 7, 127, 128),
}
ELEMENTS = {  # format of refquant: its element
    "mxfp8_e4m3": "e4m3fn",
    "mxfp8_e5m2": "e5m2",
    "mxfp6_e3m2": "e3m2",
    "mxfp6_e2m3": "e2m3",
    "mxfp4": "e2m1",
    "mxint8": "int8",
}


@cache
def magnitudes(element: str) -> tuple[Fraction, ...]:
    """What the magnitudes of a format mean, in order of their codes."""
    if element == "int8":
        return tuple(Fraction(n, 64) for n in range(128))
    e_bits, m_bits, bias, reserved = LAYOUT[element]
    out = []
    for field in range(1 << e_bits):
        for mantissa in range(1 << m_bits):
            part = Fraction(mantissa, 1 << m_bits)
            power = Fraction(2) ** (max(field, 1) - bias)
            out.append((part + (field > 0)) * power)
    return tuple(out[: len(out) - reserved])


def nearest(value: Fraction, element: str, tie: str = "half_even") -> int:
    """The code of the magnitude next to |value|, beyond the largest the largest."""
    size, all_of_them = abs(value), magnitudes(element)
    if size >= all_of_them[-1]:
        return len(all_of_them) - 1
    low, high = 0, len(all_of_them) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if all_of_them[middle] <= size else (low, middle)
    below, above = size - all_of_them[low], all_of_them[high] - size
    if below == above:
        return {"half_even": low + low % 2, "half_away": high, "half_toward_zero": low}[tie]
    return low if below < above else high


def floor_log2(value: Fraction) -> int:
    """The exponent of the power of two at or below a positive number, from bit lengths."""
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def ceil_log2(value: Fraction) -> int:
    e = floor_log2(value)
    return e if Fraction(2) ** e == value else e + 1


def _rounded_log2(value: Fraction) -> int:
    """log2 to nearest: a square decides without a root. 2^(e + 1/2) is never rational."""
    e = floor_log2(value)
    return e + ((value / Fraction(2) ** e) ** 2 > 2)


def exponent(amax: Fraction, rule: str, element: str) -> int:
    """The exponent of a block whose largest magnitude is ``amax`` > 0, before the clamp."""
    top = magnitudes(element)[-1]
    bits = 6 if element == "int8" else LAYOUT[element][1]
    over = Fraction(divide(float(amax), float(top)))
    of_the_top = floor_log2(top)
    if over == 0 and rule not in ("floor", "ceil", "even", "rceil_v2", "oas"):
        return -1000
    if rule == "oas":
        c = 2 * (2 - Fraction(1, 2**bits)) / (2 - Fraction(1, 2 ** (bits + 1)))
        scale = 1.0 if over < Fraction(2) ** -63 else float(over)
        product = multiply(scale, float32(c))
        return 128 if product == float("inf") else floor_log2(_bf16(Fraction(product)))
    if rule == "even":  # one half step of the element's mantissa, added to the magnitude
        half = Fraction(2) ** (floor_log2(amax) - bits - 1)
        return floor_log2(amax + half) - of_the_top
    if rule == "rceil_v2":
        quotient = Fraction(divide(float(amax), 7.25))
        return ceil_log2(quotient) if quotient else -1000
    if rule == "onnx_nearest":
        low = floor_log2(over)
        return low + (over - Fraction(2) ** low >= Fraction(2) ** (low + 1) - over)
    simple: dict[str, Callable[[], int]] = {
        "floor": lambda: floor_log2(amax) - of_the_top,
        "ceil": lambda: ceil_log2(amax) - of_the_top,
        "rceil": lambda: ceil_log2(over),
        "onnx_up": lambda: ceil_log2(over),
        "onnx_down": lambda: floor_log2(over),
        "round": lambda: _rounded_log2(over),
    }
    return simple[rule]()


def _bf16(value: Fraction) -> Fraction:
    """The bfloat16 nearest to a positive number that is not below the normal ones."""
    step = Fraction(2) ** (floor_log2(value) - 7)
    return round_exact(value / step, "half_even") * step


def e8m0(e: int) -> int:
    return min(max(e, -127), 127) + 127


def interesting() -> Array:
    """Magnitudes where rules change their mind, in many binades, with their neighbours."""
    t = [1, 1.25, 1.5, 1.75, 1.8125, 1.875, 1.9375, 1.96875, 2**0.5, 12 / 7, 62 / 60, 1.9921875]
    e = [-149, -148, -140, -128, -127, -126, -125, -64, -63, -62, -17, -9, -2, -1, 0, 1, 2, 3, 4]
    e += [5, 7, 8, 9, 16, 31, 63, 64, 100, 124, 125, 126, 127]
    a = (np.array(t)[:, None] * np.exp2(np.array(e, np.float64))).astype(np.float32).ravel()
    bits = a.view(np.uint32)
    near = np.concatenate([bits, bits - np.uint32(1), bits + np.uint32(1), bits - np.uint32(2)])
    a = np.unique(near.view(np.float32))
    return a[np.isfinite(a) & (a > 0)]


def blocks(size: int, seed: int = 0, count: int = 60) -> Array:
    """Blocks of ``size``: ties, one outlier, all one binade, denormals, signs of zero; no NaN."""
    random = np.random.default_rng(seed)
    shape = (count, size)
    ties = random.integers(-64, 65, shape) / 8 * np.exp2(random.integers(-20, 20, (count, 1)))
    plain = random.standard_normal(shape) * np.exp2(random.integers(-30, 30, (count, 1)))
    outlier = random.standard_normal(shape) * 1e-3
    outlier[:, 0] = 100.0
    heads = interesting()[::7]
    edge = np.zeros((heads.size, size), np.float32)
    edge[:, 0], edge[:, 1], edge[:, 2] = heads, -heads / 2, heads * np.float32(1 / 12)
    edge[:, 3], edge[:, 4], edge[:, 5] = heads * np.float32(0.3), -0.0, -heads * np.float32(1e-4)
    zeros = np.zeros((1, size), np.float32)
    parts: Sequence[Array] = (ties, plain, outlier, edge, zeros, -zeros)
    return np.concatenate([part.astype(np.float32) for part in parts])
