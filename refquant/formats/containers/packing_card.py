r"""Cards of packings: the values are codes, and the steps show which bits each code went to.

A packing rounds nothing, so the error of every step is 0. Where a code's bits are is found by
packing, not told: the bits of code i are those that differ between

.. math::

    \mathrm{pack}(0, \ldots, 0) \quad \text{and} \quad
    \mathrm{pack}(0, \ldots, 0, \underbrace{2^j}_{i}, 0, \ldots, 0),
    \quad 0 \le j < b                                                            \tag{1}

and a card can therefore not say something else than its module does.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import F32, Card, Step, value_steps
from refquant.formats.containers.words import checked_codes

__all__ = ["packing_card"]

Codes = NDArray[np.integer[Any]]
Pack = Callable[[Codes], NDArray[Any]]


def packing_card(
    *,
    name: str,
    title: str,
    num_bits: int,
    block_size: int,
    stored_bits: float | None = None,
    layout: str,
    equation: str,
    source: str,
    pack: Pack,
    low: int = 0,
    step: int = 1,
    twos_complement: bool = False,
) -> Card:
    """Return a card whose values are codes: ``explain`` shows the bit each code went to.

    ``pack`` packs a flat array of codes; a short one is filled up with code 0 to ``block_size``,
    or, where that is 0, to a multiple of ``step``. Codes start at ``low``; the field holds
    ``code - low``, or, by ``twos_complement``, the code's own bits.

    >>> card = packing_card(name="t", title="t", num_bits=4, block_size=2, layout="", equation="",
    ...     source="", pack=lambda c: (c[::2] | c[1::2] << 4).astype(np.uint8))
    >>> for step in card.explain(np.array([1, 2], np.float32)):
    ...     print(step.how)
    1 -> 0b0001 in byte 0, bits 0..3
    2 -> 0b0010 in byte 0, bits 4..7
    bit 7 first: 0b00100001
    """

    def explain(x: F32) -> Sequence[Step]:
        x = np.asarray(x, np.float32)
        limit = f", at most {block_size}" if block_size else ""
        if x.ndim != 1 or x.size == 0 or (block_size and x.size > block_size):
            raise ValueError(f"x: must be one or more codes{limit} for {name}; got shape {x.shape}")
        for value in x[~(np.isfinite(x) & (x == np.round(x)) & (np.abs(x) < 2.0**31))]:
            raise ValueError(f"x: the values of {name} are codes, integers; got {value}")
        fields = checked_codes(x.astype(np.int64), num_bits=num_bits, low=low, name="x")
        codes = np.zeros(block_size or -(-x.size // step) * step, np.int64)
        codes[: x.size] = fields.astype(np.int64) + low
        bias = 0 if twos_complement else low
        return list(_steps(x, codes, num_bits=num_bits, bias=bias, low=low, pack=pack))

    bits = num_bits if stored_bits is None else stored_bits
    return Card(
        name=name,
        title=title,
        bits_per_value=float(bits),
        block_size=block_size,
        layout=layout,
        equation=equation,
        source=source,
        explain=explain,
    )


def _steps(
    x: F32, codes: Codes, *, num_bits: int, bias: int, low: int, pack: Pack
) -> Iterator[Step]:
    """Yield a step for each value, then one for each byte, half or word of the packed array."""
    packed = pack(codes).reshape(-1)
    width = 8 * packed.dtype.itemsize
    unit = {8: "byte", 16: "half", 32: "word"}[width]
    texts = []
    for index in range(x.size):
        own = _bits_of(index, codes.size, num_bits=num_bits, bias=bias, low=low, pack=pack)
        field = (int(codes[index]) - bias) % (1 << num_bits)
        texts.append(f"0b{field:0{num_bits}b} in " + "; ".join(_places(own, unit, width)))
    yield from value_steps(x, texts, x)
    for index, each in enumerate(packed.tolist()):
        pattern = each % (1 << width)
        bits, digits = f"0b{pattern:0{width}b}", f"0x{pattern:0{width // 4}x}"
        yield Step(f"{unit} {index}", f"bit {width - 1} first: {bits}", digits)


def _bits_of(
    index: int, count: int, *, num_bits: int, bias: int, low: int, pack: Pack
) -> NDArray[Any]:
    """Return the packed array with ones where code ``index`` of ``count`` is: eq. (1), bit by bit.

    Bit by bit, because a field of all ones need not be a code (a ternary one is 0, 1 or 2).
    """
    codes = np.full(count, bias)
    empty = pack(codes).reshape(-1)
    own = np.zeros_like(empty)
    for bit in range(num_bits):
        codes[index] = bias + (1 << bit)
        if codes[index] >= low + (1 << num_bits):  # the sign of two's complement
            codes[index] -= 1 << num_bits
        own |= pack(codes).reshape(-1) ^ empty
    return own


def _places(own: NDArray[Any], unit: str, width: int) -> Iterator[str]:
    for index in np.flatnonzero(own).tolist():
        pattern = int(own[index]) % (1 << width)
        lowest = (pattern & -pattern).bit_length() - 1
        yield f"{unit} {index}, bits {lowest}..{pattern.bit_length() - 1}"
