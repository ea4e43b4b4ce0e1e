r"""The exact oracle of small floats: where, among all float32, one code gives way to the next.

A small float has few values :math:`v_0 < v_1 < \dots < v_n`, so rounding to it is a staircase over
the positive float32, which are in the order of their bit patterns. With exact midpoints

.. math::

    m_i = (v_{i-1} + v_i) / 2                                                     \tag{1}

code i begins at the first float32 at, or after, :math:`m_i` (nearest rules; the tie belongs to one
side), at :math:`v_i` (down), or after :math:`v_{i-1}` (up). A table of these first bit patterns
answers for all 2^32 float32 by a binary search; it knows nothing of exponents, shifts or rounding
of quotients, and shares no code with what it judges.

Left out: overflow policies other than ``saturate``, for numbers and infinities alike.

References
----------
OCP 8-bit Floating Point Specification 1.0; OCP Microscaling Formats 1.0, section 5.3; LLVM
``APFloat.h`` (FNUZ, E4M3, E3M4, E5M3FNU).
"""

import struct
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

__all__ = ["SMALL_FLOATS", "SmallFloat", "code_of", "first_patterns", "values"]

_INFINITY = 0x7F800000


@dataclass(frozen=True, slots=True)
class SmallFloat:
    """A format in the specifications' words: widths, bias, how many top magnitudes are no number.

    ``nan`` is the code of NaN without its sign, ``signed_nan`` says whether a negative NaN keeps
    its sign; ``minus_zero`` whether -0 has a code.
    """

    signed: bool
    exponent_bits: int
    mantissa_bits: int
    bias: int
    reserved: int
    nan: int
    minus_zero: bool
    signed_nan: bool
    has_zero: bool = True


SMALL_FLOATS: Mapping[str, SmallFloat] = MappingProxyType(
    {
        "e4m3fn": SmallFloat(True, 4, 3, 7, 1, 0x7F, True, True),
        "e4m3fnuz": SmallFloat(True, 4, 3, 8, 0, 0x80, False, False),
        "e5m2": SmallFloat(True, 5, 2, 15, 4, 0x7E, True, True),
        "e5m2fnuz": SmallFloat(True, 5, 2, 16, 0, 0x80, False, False),
        "e4m3": SmallFloat(True, 4, 3, 7, 8, 0x7C, True, True),
        "e3m4": SmallFloat(True, 3, 4, 3, 16, 0x78, True, True),
        "e4m3b11fnuz": SmallFloat(True, 4, 3, 11, 0, 0x80, False, False),
        "ue4m3": SmallFloat(False, 4, 3, 7, 1, 0x7F, False, False),
        "ue5m3": SmallFloat(False, 5, 3, 15, 1, 0xFF, False, False),
        "e8m0": SmallFloat(False, 8, 0, 127, 1, 0xFF, False, False, has_zero=False),
    }
)
"""The 8-bit formats by name. An IEEE-like format's NaN is the quiet one: the top mantissa bit."""


def values(form: SmallFloat) -> list[Fraction]:
    """Return what the magnitudes mean, in order, without infinity and NaN.

    >>> [str(v) for v in values(SMALL_FLOATS["e4m3fn"])[:3]], values(SMALL_FLOATS["e4m3fn"])[-1]
    (['0', '1/512', '1/256'], Fraction(448, 1))
    """
    count = 2 ** (form.exponent_bits + form.mantissa_bits) - form.reserved
    found = []
    for magnitude in range(count):
        exponent, mantissa = divmod(magnitude, 2**form.mantissa_bits)
        significand = Fraction(mantissa, 2**form.mantissa_bits)
        if exponent == 0 and form.has_zero:
            found.append(significand * Fraction(2) ** (1 - form.bias))
        else:
            found.append((1 + significand) * Fraction(2) ** (exponent - form.bias))
    return found


def first_patterns(form: SmallFloat, rule: str) -> list[int]:
    """Return for each magnitude i >= 1 the bits of the least positive float32 that rounds to it.

    ``rule`` speaks of magnitudes: ``half_even`` (``half_up`` for E8M0's ties, whose only
    significand is odd), ``half_away``, ``half_down``, ``toward_zero``, ``away_from_zero``.

    >>> [hex(bits) for bits in first_patterns(SMALL_FLOATS["e8m0"], "toward_zero")[:2]]
    ['0x800000', '0x1000000']
    """
    steps = values(form)
    patterns = []
    for code in range(1, len(steps)):
        low, high = steps[code - 1], steps[code]
        at, tie_goes_up = {
            "half_even": ((low + high) / 2, code % 2 == 0 or not form.has_zero),
            "half_away": ((low + high) / 2, True),
            "half_down": ((low + high) / 2, False),
            "toward_zero": (high, True),
            "away_from_zero": (low, False),
        }[rule]
        patterns.append(_bits(at) + (not tie_goes_up))
    return patterns


def _bits(value: Fraction) -> int:
    """Return the bit pattern of a float32; all values and midpoints of 8-bit formats are some."""
    number = float(value)
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    (back,) = struct.unpack("<f", struct.pack("<I", bits))
    if Fraction(back) != value:
        raise ArithmeticError(f"{value} is no float32: this table cannot hold it")
    return int(bits)


def code_of(pattern: int, form: SmallFloat, patterns: list[int]) -> int:
    """Return the code of the float32 with the bits ``pattern``, saturating: one binary search.

    ``patterns`` are ``first_patterns(form, rule)``. What is negative becomes 0 in an unsigned
    format; so does 0 in one that has no zero.

    >>> form = SMALL_FLOATS["e4m3fn"]
    >>> [code_of(bits, form, first_patterns(form, "half_even"))
    ...  for bits in (0x3F800000, 0xBF800000, 0x7F800000, 0xFFC00000)]
    [56, 184, 126, 255]
    """
    negative, magnitude = divmod(pattern, 2**31)
    if magnitude > _INFINITY:
        return form.nan | (0x80 if negative and form.signed_nan else 0)
    if negative and not form.signed:
        return 0
    code = bisect_right(patterns, magnitude)
    return code | (0x80 if negative and (form.minus_zero or code > 0) else 0)
