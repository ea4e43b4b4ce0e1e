r"""MX: blocks of 32 small floats (or bytes) that share one power of two.

A small float alone reaches too little: MXFP4's element E2M1 has the magnitudes 0, 0.5, 1, 1.5, 2,
3, 4 and 6. One E8M0 scale X = 2^(code - 127) for 32 of them moves that ruler to where the block is,
for a quarter of a bit a value:

.. math::

    \hat{x}_i = X \cdot d_i                                                      \tag{1}

    d_i = \operatorname{round}(x_i \oslash X) \text{ to the element format, saturating} \tag{2}

::

    block of 32:  | X: E8M0, 8 bits | d_0 | d_1 | ... | d_31 |
    element d:    mxfp8_e4m3  s eeee mmm    mxfp6_e3m2  s eee mm    mxfp4   s ee m
                  mxfp8_e5m2  s eeeee mm    mxfp6_e2m3  s ee mmm    mxint8  two's complement / 64

Division by X is exact in float32, except where the quotient is denormal and rounds to 0 anyway. Who
chooses X how is in ``mx_scales``; ``mx_formats.MX_PRODUCERS`` holds real quantizers, as data.

What the text leaves open: MXINT8's code -128 (-2.0) is not used here, nor by microxcaling and
AutoRound. A block with a NaN has scale NaN (0xFF), and means 32 NaN (OCP 5.1); its elements are NaN
where the format has one, otherwise 0. Two producers divide by another number than the one they
store where the code is 0: ``smallest_divisor``.

Left out: how codes are packed into bytes (``numerics.packing``; files differ), scale layouts for
tensor cores.

References
----------
OCP Microscaling Formats (MX) Specification 1.0, sections 5 and 6.3; the files named in
``mx_scales``.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.block_float import BlockFloat, encode_signed, float32_input, float_texts
from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import code_array, scale_bytes
from refquant.formats.mx_formats import (
    MX_BLOCK,
    MX_FORMATS,
    MX_PRODUCERS,
    MxFormat,
    MxProducer,
    mx_format,
)
from refquant.formats.mx_scales import scale_codes
from refquant.numerics.blocks import expand, parameter_shape, per_group, reduce_blocks
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format
from refquant.numerics.rounding import round_to_integer

__all__ = [
    "CARDS",
    "MX_FORMATS",
    "MX_PRODUCERS",
    "MxFormat",
    "MxProducer",
    "dequantize",
    "quantize",
    "quantize_like",
]

F32 = NDArray[np.float32]


def quantize(
    x: ArrayLike,
    *,
    format: str,
    scale_rule: str,
    rounding: str,
    axis: int = -1,
    log2: str = "exact",
    even_bits: int | None = None,
    zero_v: float = 0.0,
    infinity: str = "nan",
    smallest_divisor: float = 2.0**-127,
    overflow: str = "saturate",
    tail: str = "error",
) -> BlockFloat:
    """Return ``x`` (float32) in blocks of 32 along ``axis``: eq. (2).

    ``scale_rule``, ``log2``, ``zero_v`` and ``infinity`` are those of ``mx_scales``; ``even_bits``
    replaces the mantissa bits in rule ``even``. ``rounding`` is a rule of ``numerics.rounding`` or
    ``half_toward_zero``. ``overflow`` is that of ``minifloat.encode`` (``saturate`` for mxint8).
    An axis that is no multiple of 32 is an error, or with ``tail="pad"`` ends in a block filled up
    with zeros, which are not stored. NaN and infinities: see above. Empty tensors are fine.

    >>> x = np.zeros(32, np.float32)
    >>> x[:4] = 7.0, -2.5, 0.3, 0.0
    >>> q = quantize(x, format="mxfp4", scale_rule="even", rounding="half_even")
    >>> q.scales.tolist(), q.codes[:4].tolist(), dequantize(q)[:4].tolist()
    ([128], [6, 10, 0, 0], [8.0, -2.0, 0.0, 0.0])
    """
    y, form = float32_input(x), mx_format(format)
    block_shape = per_group(y.shape, axis, MX_BLOCK)
    length = y.shape[axis]
    if tail not in ("error", "pad") or (tail == "error" and length % MX_BLOCK):
        raise ValueError(
            f"axis must be a multiple of {MX_BLOCK} (or pass tail='pad'), got {length}"
        )
    if form.float_element is None and overflow != "saturate":
        raise ValueError(f"overflow must be saturate for {format}, got {overflow!r}")
    amax = reduce_blocks(y, block_shape, "absmax")
    scales = scale_codes(
        amax,
        rule=scale_rule,
        max_value=form.max_value,
        mantissa_bits=form.mantissa_bits if even_bits is None else even_bits,
        log2=log2,
        zero_v=zero_v,
        infinity=infinity,
    )
    divisor = expand(_real(scales, smallest_divisor), y.shape, block_shape)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = np.where(np.isnan(divisor), np.float32(np.nan), y / divisor)
    codes = _encode(scaled, form, rounding=rounding, overflow=overflow)
    return BlockFloat(format, codes, scales, axis)


def quantize_like(x: ArrayLike, *, format: str, producer: str, axis: int = -1) -> BlockFloat:
    """Return ``x`` in blocks as ``producer`` makes them: a key of ``MX_PRODUCERS``.

    >>> x = np.full(32, 7.0, np.float32)
    >>> for producer in ("ocp", "compressed_tensors", "qwix"):
    ...     print(producer, dequantize(quantize_like(x, format="mxfp4", producer=producer))[0])
    ocp 6.0
    compressed_tensors 8.0
    qwix 8.0
    """
    if producer not in MX_PRODUCERS:
        raise ValueError(f"producer must be one of {', '.join(MX_PRODUCERS)}; got {producer!r}")
    return quantize(x, format=format, axis=axis, **asdict(MX_PRODUCERS[producer]))


def dequantize(q: BlockFloat) -> F32:
    """Return the reals of the codes, float32: eq. (1), rounded once (it may overflow to infinity).

    >>> codes = np.full(32, 0b0111, np.uint8)
    >>> dequantize(BlockFloat("mxfp4", codes, np.array([126], np.uint8), -1))[0].item()
    3.0
    """
    form = mx_format(q.format)
    codes = code_array(
        q.codes, low=0, high=(1 << form.num_bits) - 1, name=f"codes of {form.element}"
    )
    block_shape = per_group(codes.shape, q.axis, MX_BLOCK)
    scales = scale_bytes(q.scales, shape=parameter_shape(codes.shape, block_shape))
    scale = expand(_real(scales, 2.0**-127), codes.shape, block_shape)
    with np.errstate(over="ignore", under="ignore"):
        exact = _decode(codes, form).astype(np.float64) * scale.astype(np.float64)
        return exact.astype(np.float32)


def _real(scales: NDArray[np.uint8], smallest: float) -> F32:
    """Return the scales as reals; ``smallest`` stands for code 0."""
    return np.where(scales == 0, np.float32(smallest), decode(scales, float_format("e8m0")))


def _encode(y: F32, form: MxFormat, *, rounding: str, overflow: str) -> NDArray[np.uint8]:
    """Return the element codes of scaled values; NaN is 0 where there is none."""
    element = form.float_element
    if element is not None:
        nan = "zero" if element.nan == "none" else "nan"
        return encode_signed(y, element, rounding=rounding, overflow=overflow, nan=nan)
    known = np.where(np.isnan(y), np.float32(0), np.clip(y, -2, 2)) * np.float32(64)  # exact
    if rounding == "half_toward_zero":
        whole = np.copysign(round_to_integer(np.abs(known), rule="half_down"), known)
    else:
        whole = round_to_integer(known, rule=rounding)
    return np.asarray(np.clip(whole, -127, 127).astype(np.int8).view(np.uint8))


def _decode(codes: NDArray[np.integer[Any]], form: MxFormat) -> F32:
    element = form.float_element
    if element is not None:
        return decode(codes, element)
    return codes.astype(np.uint8).view(np.int8).astype(np.float32) / np.float32(64)


def _explain(x: F32, name: str) -> Sequence[Step]:
    """Return the steps of one block by OCP's rule: scale ``floor``, elements ``half_even``."""
    form = mx_format(name)
    block = padded_block(x, block_size=MX_BLOCK)
    q = quantize(block, format=name, scale_rule="floor", rounding="half_even")
    amax, code = np.max(np.abs(block)), int(q.scales[0])
    top = round(np.log2(form.max_value) // 1)
    meaning = "NaN" if code == 255 else f"2^{code - 127} = {number(2.0 ** (code - 127))}"
    steps = [
        Step("amax", f"largest |x| of the block (a short one is filled with 0 to {MX_BLOCK})",
             number(amax)),
        Step("exponent", f"floor(log2 amax) - {top}, where 2^{top} is the largest power of two of "
             f"{form.element} (largest number {number(form.max_value)}), in -127..127",
             "NaN" if code == 255 else str(code - 127)),
        Step("X", f"E8M0: code = exponent + 127 = {code} = 0b{code:08b}", meaning),
    ]  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = x / _real(q.scales, 2.0**-127)[0]
    codes, element = q.codes[: x.size], form.float_element
    if element is None:
        texts: Sequence[str] = [
            f"scaled by 64/X: {number(64 * y)} -> {c} = {c & 0xFF:08b}"
            for y, c in zip(
                scaled.tolist(), codes.astype(np.uint8).view(np.int8).tolist(), strict=True
            )
        ]
    else:
        texts = float_texts(scaled, codes, element)
    return [*steps, *value_steps(x, texts, dequantize(q))]


def _card(form: MxFormat) -> Card:
    element = form.float_element
    bits = "i" * 8
    if element is not None:
        bits = "s" + "e" * element.exponent_bits + "m" * element.mantissa_bits
    value = "d_i = int8 / 64" if element is None else f"d_i is {form.element.upper()}"
    return Card(
        name=form.name,
        title=f"{form.name.upper()}: blocks of {MX_BLOCK} with one power of two",
        bits_per_value=form.num_bits + 8 / MX_BLOCK,
        block_size=MX_BLOCK,
        layout=f"scale X: eeeeeeee (E8M0)   {MX_BLOCK} elements: {bits} {bits} ... {bits}",
        equation=f"x_i = 2^(X - 127) * d_i, {value}; X = 255: the block is NaN",
        source="OCP Microscaling Formats (MX) Specification 1.0, sections 5 and 6.3",
        explain=partial(_explain, name=form.name),
    )


CARDS: tuple[Card, ...] = tuple(_card(form) for form in MX_FORMATS.values())
