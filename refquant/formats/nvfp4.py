r"""NVFP4: blocks of 16 E2M1 floats, a small float for each, one float32 for all.

MXFP4's scales are powers of two: up to half of a block's range is lost. NVFP4 halves the block and
gives its scale three bits of mantissa, which costs range; a float32 for the whole tensor gives
it back. With the scale s of a block and the tensor scale g (as a multiplier),

.. math::

    \hat{x}_i = d_i \cdot \mathrm{f32}(s \cdot g)                                \tag{1}

    g = \mathrm{f32}(A / (448 \cdot 6)), \qquad
    s = \mathrm{UE4M3}(a / (6 g)), \qquad
    d_i = \mathrm{E2M1}(x_i / (s g))                                             \tag{2}

where A is the largest magnitude of the tensor, a that of the block, and 448 and 6 are the largest
numbers of UE4M3 and E2M1. All rounding is to nearest even, and saturates.

::

    tensor:       | g: float32 |
    block of 16:  | s: 0 eeee mmm | d_0: s ee m | d_1 | ... | d_15 |       8 + 16 * 4 bits
    ue5m3:        | s: eeeee mmm  | the same                       |

Eq. (2) is one of eight arithmetics in use; ``nvfp4_producers`` has them as data. On plain random
tensors those with a tensor scale mean the same; they part on ties, zeros and small blocks.

NaN and infinities are refused: with one scale for the tensor, they would poison all of it. A tensor
of zeros gives torchao and ModelOpt a g of 0, and 0/0: both store NaN scales. That is reproduced, as
it is what their files hold; all other producers come back with zeros. A g that is not a normal
number (A below 2^-114) is reproduced, too: torchao's 1/g may be infinite.

Left out: nibble packing (low first: ``numerics.packing``), the swizzled scales of tensor cores,
searched scales (MSE sweep, four-over-six), compressed-tensors' bfloat16 Triton path, and ggml's
NVFP4, which has its own block and bytes (``formats.ggml``).

References
----------
NVIDIA cuDNN documentation, "Block Scaling"; the sources named in ``nvfp4_producers``.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.block_float import BlockFloat, bits_text, float32_input, float_texts
from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import code_array, scale_bytes, tensor_number
from refquant.formats.nvfp4_producers import (
    DECODE,
    ELEMENT,
    NVFP4_PRODUCERS,
    REAL,
    TENSOR,
    Nvfp4Producer,
    convert_tensor_scale,
    nvfp4_producer,
)
from refquant.numerics.blocks import expand, parameter_shape, per_group, reduce_blocks
from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import float_format

__all__ = [
    "CARDS",
    "NVFP4_BLOCK",
    "NVFP4_PRODUCERS",
    "Nvfp4Producer",
    "convert_tensor_scale",
    "dequantize",
    "quantize",
    "tensor_scale_of",
]

F32 = NDArray[np.float32]
NVFP4_BLOCK = 16
_ONE = np.float32(1)


def tensor_scale_of(amax: ArrayLike, *, producer: str) -> np.float32:
    """Return the tensor scale g for the largest magnitude ``amax`` (float32), as a producer has it.

    >>> multiplier = tensor_scale_of(np.float32(2688.0), producer="modelopt")
    >>> divisor = tensor_scale_of(np.float32(5376.0), producer="compressed_tensors")
    >>> float(multiplier), float(divisor)
    (1.0, 0.5)
    """
    row = nvfp4_producer(producer)
    a = tensor_number(amax, name="amax")
    if not np.isfinite(a):
        raise ValueError(f"amax must be finite and not negative, got {float(a)}")
    top = np.float32(float_format(row.scale_format).max_value * 6)
    with np.errstate(all="ignore"):
        return np.float32(TENSOR[row.g](a, top))


def quantize(
    x: ArrayLike,
    *,
    producer: str,
    axis: int = -1,
    tensor_scale: np.float32 | None = None,
    tail: str = "error",
) -> BlockFloat:
    """Return ``x`` (float32) in blocks of 16 along ``axis``, as ``producer`` makes them: eq. (2).

    ``tensor_scale`` is a calibrated g in the producer's direction; None takes that of ``x`` itself.
    An axis that is no multiple of 16 is an error (torchao, ModelOpt's scales, compressed-tensors),
    or with ``tail="pad"`` (AutoRound) ends in a block filled up with zeros, which are not stored.

    >>> x = np.zeros(16, np.float32)
    >>> x[:3] = 2688.0, -448.0, 700.0
    >>> q = quantize(x, producer="modelopt")
    >>> float(q.tensor_scale), q.scales.tolist(), q.codes[:3].tolist()
    (1.0, [126], [7, 10, 3])
    >>> dequantize(q)[:3].tolist()
    [2688.0, -448.0, 672.0]
    """
    y, row = float32_input(x), nvfp4_producer(producer)
    if not np.isfinite(y).all():
        raise ValueError("x must be finite: NVFP4 has one scale for the tensor; clip or drop them")
    block_shape = per_group(y.shape, axis, NVFP4_BLOCK)
    length = y.shape[axis]
    if tail not in ("error", "pad") or (tail == "error" and length % NVFP4_BLOCK):
        raise ValueError(
            f"axis must be a multiple of {NVFP4_BLOCK} (or pass tail='pad'), got {length}"
        )
    if tensor_scale is not None and row.direction == "none":
        raise ValueError(f"tensor_scale must be None: producer {producer!r} has none")
    amax = np.max(np.abs(y), initial=np.float32(0))
    given = tensor_scale_of(amax, producer=producer) if tensor_scale is None else tensor_scale
    g = tensor_number(given, name="tensor_scale")
    scales = _scale_codes(reduce_blocks(y, block_shape, "absmax"), g, row)
    s = expand(decode(scales, float_format(row.scale_format)), y.shape, block_shape)
    codes = _codes(_scaled(y, s, g, row), row)
    stored = None if row.direction == "none" else g
    return BlockFloat("nvfp4", codes, scales, axis, stored, producer)


def dequantize(q: BlockFloat) -> F32:
    """Return the reals of the codes, float32: eq. (1), as the producer computes it.

    >>> codes, one = np.full(16, 7, np.uint8), np.array([0x38], np.uint8)
    >>> for producer in ("modelopt", "compressed_tensors"):
    ...     q = BlockFloat("nvfp4", codes, one, -1, np.float32(4.0), producer)
    ...     print(producer, dequantize(q)[0])
    modelopt 24.0
    compressed_tensors 1.5
    """
    if q.format != "nvfp4" or q.producer is None:
        raise ValueError(f"q must be nvfp4 with a producer, got {q.format!r} and {q.producer!r}")
    row = nvfp4_producer(q.producer)
    if (q.tensor_scale is None) != (row.direction == "none"):
        raise ValueError(
            f"tensor_scale of producer {q.producer!r}: direction {row.direction}, "
            f"got {q.tensor_scale}"
        )
    codes = code_array(q.codes, low=0, high=15, name="codes of e2m1")
    block_shape = per_group(codes.shape, q.axis, NVFP4_BLOCK)
    scales = scale_bytes(q.scales, shape=parameter_shape(codes.shape, block_shape))
    g = _ONE if q.tensor_scale is None else np.float32(q.tensor_scale)
    with np.errstate(all="ignore"):
        s = DECODE[row.decode](decode(scales, float_format(row.scale_format)), g)
        both = expand(np.asarray(s, np.float32), codes.shape, block_shape)
        return np.asarray(decode(codes, float_format("e2m1")) * both, np.float32)


def _scale_codes(a: F32, g: np.float32, row: Nvfp4Producer) -> NDArray[np.uint8]:
    """Return the codes of the block scales, with what the producer does about zeros."""
    form = float_format(row.scale_format)
    with np.errstate(all="ignore"):
        real = np.asarray(REAL[row.real](a, g), np.float32)
    if row.if_real_below is not None:
        bound, instead = row.if_real_below
        real = np.where(real < np.float32(bound), np.float32(instead), real)
    real = np.maximum(real, np.float32(row.lowest))  # keeps NaN
    codes = np.asarray(encode(real, form), np.uint8)
    if row.if_zero is not None:
        codes = np.where(codes == 0, encode(np.float32(row.if_zero), form), codes)
    return np.asarray(codes, np.uint8)


def _scaled(x: F32, s: F32, g: np.float32, row: Nvfp4Producer) -> F32:
    with np.errstate(all="ignore"):
        return np.asarray(ELEMENT[row.element](x, s, g), np.float32)


def _codes(y: F32, row: Nvfp4Producer) -> NDArray[np.uint8]:
    """Return the element codes; a NaN is 0/0 here."""
    codes = np.asarray(encode(y, float_format("e2m1"), nan=row.nan), np.uint8)
    return codes if row.keeps_minus_zero else np.where(y == 0, np.uint8(0), codes)


def _explain(x: F32, producer: str) -> Sequence[Step]:
    """Return the steps of a tensor of one block, as ``producer`` makes it."""
    row = nvfp4_producer(producer)
    block = padded_block(x, block_size=NVFP4_BLOCK)
    q = quantize(block, producer=producer)
    form = float_format(row.scale_format)
    g = _ONE if q.tensor_scale is None else q.tensor_scale
    amax = np.max(np.abs(block))
    code, s = int(q.scales[0]), decode(q.scales, form)[0]
    with np.errstate(all="ignore"):
        real = REAL[row.real](amax, g)
    steps = [Step("amax", "largest |x|, of the tensor (A) and of its one block (a) of "
                  f"{NVFP4_BLOCK}; a short one is filled with 0", number(amax))]  # fmt: skip
    if q.tensor_scale is not None:
        top = f"{number(form.max_value)} * 6"
        steps.append(Step("g", f"tensor scale: A / ({top}) = {number(amax)} / "
                          f"{number(form.max_value * 6)}, float32", number(g)))  # fmt: skip
    rounded = "" if float(real) == float(s) else f", the nearest to {number(real)}"
    bits = f"code {code} = 0x{code:02X} = {bits_text(code, form)}"
    with_g = "" if q.tensor_scale is None else f", g = {number(g)}"
    steps += [
        Step("s, real", f"block scale: {row.real} with a = {number(amax)}{with_g}", number(real)),
        Step("s", f"{form.name.upper()}: {bits}{rounded}", number(s)),
    ]
    scaled = _scaled(x, s, g, row)
    if q.tensor_scale is not None:
        steps.append(Step("s * g", "what every element is divided by, float32", number(s * g)))
    texts = float_texts(scaled, q.codes[: x.size], float_format("e2m1"))
    return [*steps, *value_steps(x, texts, dequantize(q))]


def _card(name: str, producer: str, equation: str, source: str) -> Card:
    scale = float_format(nvfp4_producer(producer).scale_format)
    first = "0 " if scale.num_bits == 7 else ""
    fields = first + "e" * scale.exponent_bits + " " + "m" * scale.mantissa_bits
    return Card(
        name=name,
        title=f"{name.upper()}: blocks of {NVFP4_BLOCK} E2M1 floats, {scale.name.upper()} scales",
        bits_per_value=4 + 8 / NVFP4_BLOCK,
        block_size=NVFP4_BLOCK,
        layout=f"scale s: {fields}   {NVFP4_BLOCK} elements: seem seem ... seem",
        equation=equation,
        source=source,
        explain=partial(_explain, producer=producer),
    )


CARDS: tuple[Card, ...] = (
    _card("nvfp4", "modelopt", "x_i = d_i * (s * g), g: float32, one for the tensor",
          "NVIDIA cuDNN, Block Scaling; steps: ModelOpt qtensor/nvfp4_tensor.py"),
    _card("nvfp4_ue5m3", "autoround_ue5m3", "x_i = d_i * s", "AutoRound data_type/nvfp.py"),
)  # fmt: skip
