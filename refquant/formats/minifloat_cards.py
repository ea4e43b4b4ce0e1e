r"""The cards of the scalar floats: fifteen formats, one explanation.

``refquant.numerics.minifloat`` encodes; here its three equations are printed with the numbers of
one value, so that the binade, the step and the rounding can be followed:

.. math::

    e = \max(\lfloor \log_2 |x| \rfloor, e_{min}), \quad
    n = \mathrm{round}(|x| / 2^{e-m}), \quad
    \mathrm{magnitude} = (e - e_{min}) 2^m + n                                    \tag{1}

References
----------
``refquant/numerics/minifloat_formats.py`` names the text that defines each format.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS, FloatFormat, float_format

__all__ = ["CARDS", "bits_of"]

F32 = NDArray[np.float32]

_OCP8 = "OCP 8-bit Floating Point Specification 1.0"
_OCP_MX = "OCP Microscaling Formats 1.0, section 5.3"
_LLVM = "LLVM llvm/include/llvm/ADT/APFloat.h"
_SOURCES = {
    "e4m3fn": _OCP8,
    "e5m2": _OCP8,
    "e3m2": _OCP_MX,
    "e2m3": _OCP_MX,
    "e2m1": _OCP_MX,
    "e8m0": _OCP_MX,
    "ue4m3": "PTX ISA, ue4m3",
    "bf16": "Intel, BFLOAT16 - Hardware Numerics Definition (the upper half of a binary32)",
    "fp16": "IEEE 754-2019, section 3.4 (binary16)",
}
_NAN = {
    "ieee": "infinity: exponent all ones, mantissa 0; NaN: exponent all ones, mantissa not 0",
    "all_ones": "no infinity; NaN: exponent and mantissa all ones",
    "negative_zero": "no infinity, no -0; NaN: the code that would be -0",
    "none": "no infinity, no NaN: every code is a number",
}


def bits_of(code: int, name: str) -> str:
    """Return the bits of a code as sign.exponent.mantissa.

    >>> bits_of(0x7E, "e4m3fn"), bits_of(127, "e8m0")
    ('0b0.1111.110', '0b01111111')
    """
    form = float_format(name)
    text = f"{code:0{form.num_bits}b}"
    cuts = (form.sign_bits, form.exponent_bits, form.mantissa_bits)
    parts, start = [], 0
    for width in filter(None, cuts):
        parts.append(text[start : start + width])
        start += width
    return "0b" + ".".join(parts)


def _explain(name: str, x: F32) -> Sequence[Step]:
    """Return the steps of encoding each value: eq. (1), then the code."""
    form = float_format(name)
    x = np.asarray(x, np.float32)
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        codes = encode(x, form, nan="nan" if form.nan_code is not None else "max")
    steps = []
    texts = [f"{bits_of(int(code), name)} = 0x{int(code):02X}" for code in codes]
    shown = list(value_steps(x, texts, decode(codes, form)))
    for index, value in enumerate(x):
        steps += [Step(f"x[{index}]", *_binade(float(value), form)), shown[index]]
    return steps


def _binade(value: float, form: FloatFormat) -> tuple[str, str]:
    """Return how, and with which result, one value is rounded: eq. (1), or what stands for it."""
    if not math.isfinite(value):
        kind = "NaN" if math.isnan(value) else "infinity"
        has = form.nan_code is not None if math.isnan(value) else False
        return f"{kind} is no number", "the code of NaN" if has else "the largest number stands in"
    if value < 0 and not form.sign_bits:
        return "negative, and the format has no sign", "saturates to code 0"
    if value == 0:
        return "zero", "code of 0" if form.has_subnormals else "no zero: saturates to code 0"
    exponent = max(math.frexp(abs(value))[1] - 1, form.min_exponent)
    step = math.ldexp(1.0, exponent - form.mantissa_bits)
    quotient = abs(value) / step
    kind = "subnormal" if abs(value) < form.min_normal else f"in [2^{exponent}, 2^{exponent + 1})"
    if abs(value) > form.max_value:
        return f"|x| {kind}, the largest number is {number(form.max_value)}", "saturates if beyond"
    near = "a tie, to even" if quotient % 1 == 0.5 else "to nearest"
    how = f"|x| {kind}: step 2^{exponent - form.mantissa_bits} = {number(step)}"
    return how, f"|x| / step = {number(quotient)}: {'exact' if quotient % 1 == 0 else near}"


def _layout(form: FloatFormat) -> str:
    """Return the diagram: one box a field, the highest bit first, and the special codes."""
    fields = (
        ("S", form.sign_bits, "sign"),
        ("E", form.exponent_bits, f"exponent, bias {form.bias}"),
        ("M", form.mantissa_bits, "mantissa"),
    )
    boxes = "|".join(" ".join(letter * width) for letter, width, _ in fields if width)
    words = ", ".join(f"{letter}: {what}" for letter, width, what in fields if width)
    return (
        f"bit {form.num_bits - 1} ... bit 0\n|{boxes}|\n{words}\n{_NAN[form.nan]}\n"
        f"largest {number(form.max_value)}, smallest normal {number(form.min_normal)}, "
        f"smallest positive {number(form.min_positive)}"
    )


def _card(form: FloatFormat) -> Card:
    normal = f"(-1)^S * 2^(E - {form.bias}) * (1 + M / 2^{form.mantissa_bits})"
    below = f";  E = 0: (-1)^S * 2^{1 - form.bias} * (M / 2^{form.mantissa_bits})"
    return Card(
        name=form.name,
        title=f"{form.name.upper()}, a float of {form.num_bits} bits",
        bits_per_value=float(form.num_bits),
        block_size=1,
        layout=_layout(form),
        equation=normal + (below if form.has_subnormals else ""),
        source=_SOURCES.get(form.name, _LLVM),
        explain=partial(_explain, form.name),
    )


CARDS: tuple[Card, ...] = tuple(_card(form) for form in FLOAT_FORMATS.values())
