r"""The 8-bit dynamic map of bitsandbytes: decades from 1 to 1e-6, finer the larger.

The states of an optimizer and the absmax of 4-bit blocks span many powers of ten. The dynamic map
has E decades, and the one i steps above the smallest is cut into twice as many parts as the one
below. The parts of a decade are those of the interval from 0.1 to 1, and a mark is the middle of a
part. With b bits, E = ``max_exponent_bits`` and i = 0..E-1:

.. math::

    n_i = 2^{i + b - 1 - E}\ (\text{signed}), \quad 2^{i + b - E}\ (\text{unsigned}) \tag{1}

    t_j = \operatorname{linspace}(0.1, 1, n_i + 1)_j, \qquad
    c = \pm 10^{i - E + 1} \cdot (t_j + t_{j+1}) / 2                              \tag{2}

and 0 and 1 complete the map: a signed one is not symmetric, +1 has a code and -1 has none.

Layout: a code is the place in the ascending map; the codes of the 8-bit signed map::

    0 .. 126: -0.993 .. -5.5e-07 | 127: 0 | 128 .. 254: 5.5e-07 .. 0.993 | 255: 1

Flavours, on top of ``refquant.formats.absmax_blocks``:

* ``bnb_torch``: ties low; * ``bnb_cuda``: a binary search that ends on even places: ties even;
* ``bnb_cpu``: no search at all. x / a is rounded to one of 65,536 places,

.. math::

    p = \lfloor ((x / a + 1) \cdot 0.5) \cdot 65535 + 0.5 \rfloor                    \tag{3}

and the code is that of the p-th point of a grid on [-1, 1]. Zero is between two grid points and
becomes **code 131 (2.1e-5), not 127**: bitsandbytes 0.50 on a CPU keeps no zero, and the codes 124
to 130 never occur. NaN, and all of a block of zeros, is code 0 (``bnb_cpu``, ``bnb_cuda``: by their
comparisons; the cast of NaN is undefined in C, 0 on x86).

Left out: stochastic rounding; maps of fewer bits as bitsandbytes stores them, filled up with zeros.

References
----------
Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2015, arXiv 1511.04561;
bitsandbytes ``functional.py`` (``create_dynamic_map``), ``csrc/kernels.cu`` (``dQuantize``),
``csrc/cpu_ops.cpp`` (``build_quantize_lut``, ``norm_to_lut_index``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.absmax_blocks import (
    Blockwise,
    codebook_steps,
    decode_blocks,
    normalize_blocks,
)
from refquant.formats.card import Card, Step
from refquant.formats.codebook import float32_input, fused_linspace, nearest

__all__ = ["CARD", "DYNAMIC_SIGNED", "DYNAMIC_UNSIGNED", "dequantize", "dynamic_map", "quantize"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]

FLAVOURS = ("bnb_torch", "bnb_cpu", "bnb_cuda")
GRID = 65536


def dynamic_map(*, signed: bool, max_exponent_bits: int, num_bits: int) -> F32:
    """Return the marks of eq. (2), ascending, 2^``num_bits`` of them: ``num_bits`` is 2 to 8.

    ``max_exponent_bits`` is 1 to ``num_bits`` - 1. With fewer decades than that, the largest decade
    has further marks, n - 1 instead of the power of two n, as bitsandbytes has them; the unsigned
    map is defined for the full number of decades only.

    >>> dynamic_map(signed=True, max_exponent_bits=2, num_bits=3).tolist()[4:]
    [0.055000003427267075, 0.32500001788139343, 0.7749999761581421, 1.0]
    """
    if not 2 <= num_bits <= 8 or not 1 <= max_exponent_bits < num_bits:
        raise ValueError(
            "num_bits must be in 2..8 and max_exponent_bits in 1..num_bits - 1; "
            f"got {num_bits} and {max_exponent_bits}"
        )
    spare = num_bits - 1 - max_exponent_bits
    if spare and not signed:
        raise ValueError(
            f"max_exponent_bits must be {num_bits - 1} for an unsigned map, got {max_exponent_bits}"
        )
    decades = range(max_exponent_bits)
    parts = [(i - max_exponent_bits + 1, 1 << (i + spare + (0 if signed else 1))) for i in decades]
    if spare:
        parts.append((0, (1 << spare) - 1))
    positive = np.concatenate([_decade(power, count) for power, count in parts])
    negative = -positive if signed else positive[:0]
    return np.sort(np.concatenate([negative, positive, np.array([0, 1], np.float32)]))


def _decade(power: int, count: int) -> F32:
    """Return the middles of ``count`` parts of [0.1, 1], times 10^power: eq. (2)."""
    ends = fused_linspace(0.1, 1, count + 1)
    middles = (ends[:-1] + ends[1:]) / np.float32(2)
    return np.asarray(np.float32(10.0**power) * middles, np.float32)


DYNAMIC_SIGNED: F32 = dynamic_map(signed=True, max_exponent_bits=7, num_bits=8)
DYNAMIC_UNSIGNED: F32 = dynamic_map(signed=False, max_exponent_bits=7, num_bits=8)
DYNAMIC_SIGNED.flags.writeable = False
DYNAMIC_UNSIGNED.flags.writeable = False


def quantize(x: ArrayLike, *, values: F32, block_size: int, flavour: str) -> Blockwise:
    """Return the codes of ``x`` (float32, any shape) in a map of 256 ``values``, and the absmax.

    ``flavour`` is ``bnb_torch``, ``bnb_cuda`` or ``bnb_cpu``: eq. (3). bitsandbytes takes blocks of
    4096 by default, of 256 for states and for the absmax of 4-bit blocks.

    >>> x = np.array([2, -2, 0], np.float32)
    >>> quantize(x, values=DYNAMIC_SIGNED, block_size=256, flavour="bnb_torch").codes.tolist()
    [255, 0, 127]
    >>> quantize(x, values=DYNAMIC_SIGNED, block_size=256, flavour="bnb_cpu").codes.tolist()
    [255, 0, 131]
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour must be one of {', '.join(FLAVOURS)}; got {flavour!r}")
    if np.shape(values) != (256,) or np.asarray(values).dtype != np.float32:
        raise ValueError(f"values must be float32 of shape (256,), got {np.shape(values)}")
    array = float32_input(x)
    scaled, absmax = normalize_blocks(array, block_size=block_size, flavour=flavour)
    if flavour == "bnb_cpu":
        codes = _by_grid(scaled, values)
    else:
        codes = nearest(scaled, values, ties="low" if flavour == "bnb_torch" else "even")
    if flavour != "bnb_torch":
        codes[np.isnan(scaled)] = 0
    return Blockwise(codes.reshape(array.shape), absmax, block_size)


def _by_grid(scaled: F32, values: F32) -> Codes:
    """Return the codes of the grid points that ``scaled`` is rounded to: eq. (3), in float32."""
    one = np.float32(1)
    points = -one + (np.float32(2) * np.arange(GRID, dtype=np.float32)) / np.float32(GRID - 1)
    table = nearest(points, values, ties="low")
    inside = np.clip(np.where(np.isnan(scaled), -one, scaled), -one, one)
    place = (inside + one) * np.float32(0.5) * np.float32(GRID - 1) + np.float32(0.5)
    return table[place.astype(np.int32)]


def dequantize(quantized: Blockwise, *, values: F32) -> F32:
    """Return the reals that the codes mean, float32 of their shape: one product each.

    >>> q = Blockwise(np.array([255, 127], np.uint8), np.array([2.0], np.float32), 256)
    >>> dequantize(q, values=DYNAMIC_SIGNED).tolist()
    [2.0, 0.0]
    """
    return decode_blocks(quantized, values)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    scaled, _ = normalize_blocks(x, block_size=256, flavour="bnb_torch")
    quantized = quantize(x, values=DYNAMIC_SIGNED, block_size=256, flavour="bnb_torch")
    return codebook_steps(x, scaled, quantized, dequantize(quantized, values=DYNAMIC_SIGNED))


CARD = Card(
    name="dynamic_map",
    title="8-bit dynamic map: seven decades, finer the larger",
    bits_per_value=8.125,
    block_size=256,
    layout="absmax f32 | 256 x 8 bits: place in the ascending map",
    equation="x = map[code] * absmax",
    source="arXiv 1511.04561; bitsandbytes functional.py, create_dynamic_map",
    explain=_explain,
)
