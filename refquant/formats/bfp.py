r"""Block floating point: integers that share one exponent.

The oldest block float: the largest magnitude a of a block gives an exponent E, and every element is
an integer m of p bits and a sign, without an implicit leading one,

.. math::

    E = \lfloor \log_2 a \rfloor, \qquad \hat{x}_i = m_i \cdot 2^{E - p + 1}       \tag{1}

    m_i = \operatorname{clamp}(\operatorname{round}(x_i / 2^{E - p + 1}))         \tag{2}

so the largest element uses all p bits, and one that is 2^p times smaller is lost. A dot product is
one of integers, and one addition of exponents.

::

    block:  | E + 127: 8 bits | m_0: sign, p bits | m_1 | ... |

    name           p   block   m                bits a value, who
    msfp11 ... 16  2-7 16      sign-magnitude   3.5 ... 8.5, Microsoft Floating Point
    bfp16          7   8       sign-magnitude   9, AMD Quark's BFP16
    bfp_1_8_8_16   8   16      two's complement 9.5, ONNX Runtime's QuantizeBFP
    bfp_1_4_8_16   4   16      two's complement 5.5, the same

MSFP's number counts the shared exponent once: MSFP12 has 8 bits of it, a sign and three of m. Near
the top, eq. (2) rounds beyond p bits; those values are clamped, the exponent stays (Quark does so).
Sign-magnitude reaches +-(2^p - 1), and -0 is stored as 0. Two's complement reaches -2^p.

ONNX Runtime has the names (sign, mantissa and exponent bits, block) and no kernel; that its m is
two's complement is an assumption, and so is its rounding, which is the caller's choice here anyway.
NaN and infinities have no code: refused (Quark passes them through). E is at least -127 (code 0); a
block of zeros has E = -127.

Left out: MX4, MX6 and MX9 with micro-exponents of sub-blocks (arXiv 2302.08007).

References
----------
Darvish Rouhani et al., "Pushing the Limits of Narrow Precision Inferencing at Cloud Scale with
Microsoft Floating Point", NeurIPS 2020; AMD Vitis AI and Quark ``bfp_kernel.cc``; ONNX Runtime
``quantization_defs.h`` (``BFPType``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.block_float import BlockFloat, float32_input
from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import code_array, scale_bytes
from refquant.numerics.blocks import expand, parameter_shape, per_group, reduce_blocks
from refquant.numerics.rounding import round_to_integer

__all__ = ["BFP_FORMATS", "CARDS", "BfpFormat", "dequantize", "integers", "quantize"]

F32 = NDArray[np.float32]
BIAS = 127


@dataclass(frozen=True, slots=True)
class BfpFormat:
    """A format: ``magnitude_bits`` is p; ``signs`` is ``sign_magnitude`` or ``twos_complement``.

    >>> BFP_FORMATS["msfp12"].bits_per_value, BFP_FORMATS["msfp12"].qmin
    (4.5, -7)
    """

    name: str
    magnitude_bits: int
    block_size: int
    signs: str

    @property
    def qmax(self) -> int:
        """Largest integer."""
        return int((1 << self.magnitude_bits) - 1)

    @property
    def qmin(self) -> int:
        """Smallest integer."""
        return -self.qmax - int(self.signs == "twos_complement")

    @property
    def bits_per_value(self) -> float:
        """Bits of an element with its share of the exponent."""
        return 1 + self.magnitude_bits + 8 / self.block_size


BFP_FORMATS: Mapping[str, BfpFormat] = MappingProxyType(
    {
        row.name: row
        for row in (
            *(BfpFormat(f"msfp{9 + p}", p, 16, "sign_magnitude") for p in range(2, 8)),
            BfpFormat("bfp16", 7, 8, "sign_magnitude"),
            BfpFormat("bfp_1_8_8_16", 8, 16, "twos_complement"),
            BfpFormat("bfp_1_4_8_16", 4, 16, "twos_complement"),
        )
    }
)


def quantize(
    x: ArrayLike, *, format: str, rounding: str, axis: int = -1, tail: str = "error"
) -> BlockFloat:
    """Return ``x`` (float32, finite) in blocks along ``axis``: eq. (1) and (2).

    ``format`` is a key of ``BFP_FORMATS``. The codes are uint8, uint16 for 9 bits: sign, then
    magnitude, or two's complement; the scales are E + 127. An axis that is no multiple of the block
    is an error, or with ``tail="pad"`` ends in a block filled up with zeros, which are not stored.

    >>> x = np.zeros(16, np.float32)
    >>> x[:4] = 3.3, -0.7, 0.24, 3.9
    >>> q = quantize(x, format="msfp12", rounding="half_even")
    >>> q.scales.tolist(), integers(q)[:4].tolist(), dequantize(q)[:4].tolist()
    ([128], [7, -1, 0, 7], [3.5, -0.5, 0.0, 3.5])
    """
    y, form = float32_input(x), _format(format)
    if not np.isfinite(y).all():
        raise ValueError(f"x must be finite: {format} has no code for NaN or infinity")
    block_shape = per_group(y.shape, axis, form.block_size)
    length = y.shape[axis]
    if tail not in ("error", "pad") or (tail == "error" and length % form.block_size):
        raise ValueError(
            f"axis must be a multiple of {form.block_size} (or pass tail='pad'), got {length}"
        )
    amax = reduce_blocks(y, block_shape, "absmax")
    exponent = np.where(amax == 0, -BIAS, np.maximum(np.frexp(amax)[1] - 1, -BIAS))
    step = expand(exponent - form.magnitude_bits + 1, y.shape, block_shape)
    # float64 holds every float32 shifted by any of these steps.
    whole = round_to_integer(np.ldexp(y.astype(np.float64), -step), rule=rounding)
    m = np.clip(whole, form.qmin, form.qmax).astype(np.int32)
    scales = np.asarray(exponent + BIAS, np.uint8)
    return BlockFloat(format, _codes(m, form), scales, axis)


def integers(q: BlockFloat) -> NDArray[np.int32]:
    """Return the integers m of the codes, int32 of their shape.

    >>> codes = np.array([0b1001, 0b0111], np.uint8)
    >>> integers(BlockFloat("msfp12", codes, np.array([127], np.uint8), -1)).tolist()
    [-1, 7]
    """
    form = _format(q.format)
    sign = 1 << form.magnitude_bits
    codes = code_array(q.codes, low=0, high=2 * sign - 1, name=f"codes of {q.format}")
    codes = codes.astype(np.int32)
    if form.signs == "twos_complement":
        return (codes ^ sign) - sign
    return np.where(codes & sign, -(codes & (sign - 1)), codes)


def dequantize(q: BlockFloat) -> F32:
    """Return the reals of the codes, float32: eq. (1), rounded once (denormals lose bits).

    >>> codes = np.array([0b1001, 0b0111], np.uint8)
    >>> dequantize(BlockFloat("msfp12", codes, np.array([127], np.uint8), -1)).tolist()
    [-0.25, 1.75]
    """
    form = _format(q.format)
    shape = np.shape(q.codes)
    block_shape = per_group(shape, q.axis, form.block_size)
    scales = scale_bytes(q.scales, shape=parameter_shape(shape, block_shape))
    exponent = expand(scales.astype(np.int32) - BIAS, shape, block_shape)
    step = exponent - form.magnitude_bits + 1
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(integers(q).astype(np.float64), step).astype(np.float32)


def _format(name: str) -> BfpFormat:
    if name not in BFP_FORMATS:
        raise ValueError(f"format must be one of {', '.join(BFP_FORMATS)}; got {name!r}")
    return BFP_FORMATS[name]


def _codes(m: NDArray[np.int32], form: BfpFormat) -> NDArray[np.unsignedinteger[Any]]:
    """Return integers as codes; those of nine bits as uint16."""
    sign = 1 << form.magnitude_bits
    codes = np.where(m < 0, sign - m, m)
    if form.signs == "twos_complement":
        codes = np.bitwise_and(m, 2 * sign - 1)
    return codes.astype(np.uint8 if form.magnitude_bits < 8 else np.uint16)


def _explain(x: F32, name: str) -> Sequence[Step]:
    """Return the steps of one block with ``half_even``."""
    form = _format(name)
    block = padded_block(x, block_size=form.block_size)
    q = quantize(block, format=name, rounding="half_even")
    exponent, p = int(q.scales[0]) - BIAS, form.magnitude_bits
    step = 2.0 ** (exponent - p + 1)
    steps = [
        Step("amax", f"largest |x| of the block of {form.block_size}", number(np.abs(block).max())),
        Step("E", "floor(log2 amax)", f"{exponent}, stored as {exponent + BIAS}"),
        Step("step", f"2^(E - {p} + 1): the largest value uses all {p} bits", number(step)),
    ]
    m = integers(q)
    texts = [
        f"{number(float(v) / step)} steps -> m = {m[i]} = {int(q.codes[i]):0{p + 1}b}"
        for i, v in enumerate(x)
    ]
    return [*steps, *value_steps(x, texts, dequantize(q))]


def _card(form: BfpFormat) -> Card:
    element = "s" + "m" * form.magnitude_bits
    return Card(
        name=form.name,
        title=f"{form.name.upper()}: integers with a shared exponent ({form.signs})",
        bits_per_value=form.bits_per_value,
        block_size=form.block_size,
        layout=f"exponent: eeeeeeee   {form.block_size} elements: {element} {element} ...",
        equation=f"x_i = m_i * 2^(e - 127 - {form.magnitude_bits - 1})",
        source="Darvish Rouhani et al., Microsoft Floating Point, NeurIPS 2020; AMD Quark; "
        "ONNX Runtime BFPType",
        explain=partial(_explain, name=form.name),
    )


CARDS: tuple[Card, ...] = tuple(_card(form) for form in BFP_FORMATS.values())
