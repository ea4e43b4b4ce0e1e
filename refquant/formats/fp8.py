r"""FP8 with a scale: eight-bit floats for tensors that do not live between 2^-9 and 448.

A small float covers its range with a constant relative step, so one float32 scale for a tensor, a
channel, a token or a block of 128 x 128 is enough to move the data into it:

.. math::

    \hat{x}_i = \mathrm{f32}(d_i \cdot s), \qquad
    d_i = \mathrm{fp8}(\mathrm{f32}(x_i / s))                                    \tag{1}

    s = \mathrm{f32}(\max_{i \in \text{block}} |x_i| / M)                         \tag{2}

where M is the largest number of the format. A granularity is a block shape (``numerics.blocks``).
*Dynamic* is eq. (2) on the data at hand, *static* a scale calibrated before.

::

    e4m3fn    s eeee mmm   M = 448      e4m3fnuz  s eeee mmm   M = 240
    e5m2      s eeeee mm   M = 57344    e5m2fnuz  s eeeee mm   M = 57344

What producers do differently:

* a block of zeros has s = 0 by eq. (2), and 0/0 is NaN (ModelOpt stores exactly that). Here it has
  ``zero_scale``: 1.0, or 2^-23 as compressed-tensors;
* ``scale_op``: ``divide_f32``, or ``reciprocal_f32`` for kernels that multiply by f32(1/s);
* beyond M: ``overflow``. PyTorch's cast made NaN of it before 2.13, so tools clamp first. With
  eq. (2), x/s may exceed M by rounding only, and never by half a step;
* DeepSeek-V3 blocks weights by 128 x 128 and activations by 1 x 128: block shapes. The last block
  of an axis may be short.

ONNX's QuantizeLinear is ``quantize_linear``: eq. (1) with ONNX's ``saturate``. Its zero point is 0
and carries the type; it is added nevertheless, which makes +0 of -0 (ONNX's node cases expect that;
onnxruntime keeps -0). FLOAT4E2M1 is served, too; it always saturates, NaN becomes 6.

Left out: scales rounded to powers of two (MX has them); torchao's training path, which computes 1/s
in float64.

References
----------
OCP 8-bit Floating Point Specification 1.0; ONNX ``QuantizeLinear`` 25, "Float stored in 8 bits";
ModelOpt ``fp8_tensor.py``; compressed-tensors ``quantization/utils/helpers.py``; DeepSeek-V3,
arXiv 2412.19437, section 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.block_float import bits_text, float32_input, float_texts
from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array
from refquant.numerics.blocks import block_sizes, expand, parameter_shape, reduce_blocks
from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import FloatFormat, float_format

__all__ = [
    "CARDS",
    "FP8_FORMATS",
    "ScaledFloat",
    "choose_scale",
    "dequantize",
    "quantize",
    "quantize_linear",
]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]
FP8_FORMATS = ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")
SCALE_OPS = ("divide_f32", "reciprocal_f32")


@dataclass(frozen=True, slots=True, eq=False)
class ScaledFloat:
    """A tensor of small floats: ``codes`` (uint8, its shape) and ``scale`` (float32, one a block).

    ``format`` is a name of ``FLOAT_FORMATS``; ``block_shape`` has one size an axis.
    """

    format: str
    codes: Codes
    scale: F32
    block_shape: tuple[int, ...]


def choose_scale(
    x: ArrayLike, *, format: str, block_shape: Sequence[int], zero_scale: float = 1.0
) -> F32:
    """Return the scales of the blocks of ``x`` (float32, finite), in their shape: eq. (2).

    A block whose scale is zero, of zeros or of denormals, has ``zero_scale``.

    >>> x = np.array([[448.0, 2.0], [0.0, 0.0]], np.float32)
    >>> choose_scale(x, format="e4m3fn", block_shape=(1, 2)).tolist()
    [[1.0], [1.0]]
    """
    y, form = float32_input(x), _format(format)
    if not np.isfinite(y).all():
        raise ValueError("x must be finite to choose a scale from it; pass a calibrated scale")
    if not (np.isfinite(zero_scale) and zero_scale > 0):
        raise ValueError(f"zero_scale must be finite and positive, got {zero_scale}")
    amax = reduce_blocks(y, block_sizes(block_shape), "absmax")
    with np.errstate(under="ignore"):
        scale = amax / np.float32(form.max_value)
    return np.where(scale == 0, np.float32(zero_scale), scale)


def quantize(
    x: ArrayLike,
    *,
    format: str,
    block_shape: Sequence[int],
    scale: ArrayLike | None = None,
    zero_scale: float = 1.0,
    scale_op: str = "divide_f32",
    rounding: str = "half_even",
    overflow: str = "saturate",
) -> ScaledFloat:
    """Return ``x`` (float32) as ``format`` with one scale a block: eq. (1).

    ``scale`` None is dynamic: eq. (2), which refuses NaN and infinities. A given one is static,
    float32 in the shape of the blocks, finite and positive; infinities then follow ``overflow``, a
    policy of ``minifloat.encode``, and NaN stays NaN.

    >>> x = np.array([896.0, 33.0, -2.0, 0.001], np.float32)
    >>> q = quantize(x, format="e4m3fn", block_shape=(4,))
    >>> q.scale.tolist(), q.codes.tolist(), dequantize(q).tolist()
    ([2.0], [126, 88, 184, 0], [896.0, 32.0, -2.0, 0.0])
    """
    y, form, shape = float32_input(x), _format(format), block_sizes(block_shape)
    if scale_op not in SCALE_OPS:
        raise ValueError(f"scale_op must be one of {', '.join(SCALE_OPS)}; got {scale_op!r}")
    if scale is None:
        s = choose_scale(y, format=format, block_shape=shape, zero_scale=zero_scale)
    else:
        s = _checked(scale, parameter_shape(y.shape, shape))
    each = expand(s, y.shape, shape)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # a signalling NaN
        v = y / each if scale_op == "divide_f32" else y * (np.float32(1) / each)
    codes = encode(v, form, rounding=rounding, overflow=overflow)
    return ScaledFloat(format, np.asarray(codes, np.uint8), s, shape)


def quantize_linear(
    x: ArrayLike,
    scale: ArrayLike,
    *,
    format: str,
    block_shape: Sequence[int],
    saturate: bool = True,
) -> ScaledFloat:
    """Return what ONNX's QuantizeLinear returns for a float type; ``format`` may be ``e2m1``, too.

    ``saturate`` True: numbers beyond the largest become it, and infinities too, but NaN in the FNUZ
    types. False: infinity in E5M2, NaN in the others; not for E2M1, which has neither.

    >>> x = np.array([0.0, 1e6, -300.0], np.float32)
    >>> one = np.ones(1, np.float32)
    >>> for flag in (True, False):
    ...     quantize_linear(x, one, format="e4m3fn", block_shape=(3,), saturate=flag).codes.tolist()
    [0, 126, 249]
    [0, 127, 249]
    """
    y, form, shape = float32_input(x), _format(format, "e2m1"), block_sizes(block_shape)
    if not saturate and format == "e2m1":
        raise ValueError("saturate must be True for e2m1, which has no NaN and no infinity")
    s = _checked(scale, parameter_shape(y.shape, shape))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # a signalling NaN
        v = y / expand(s, y.shape, shape) + np.float32(0)  # the zero point: -0 becomes +0
    overflow = "saturate" if saturate else ("inf" if form.has_inf else "nan")
    infinity = "nan" if form.nan == "negative_zero" else None
    nan = "max" if form.nan == "none" else "nan"
    codes = encode(v, form, overflow=overflow, infinity=infinity, nan=nan)
    return ScaledFloat(format, np.asarray(codes, np.uint8), s, shape)


def dequantize(q: ScaledFloat) -> F32:
    """Return the reals of the codes, float32 of their shape: eq. (1); ONNX's DequantizeLinear.

    >>> q = ScaledFloat("e2m1", np.array([7, 9], np.uint8), np.array([0.5], np.float32), (2,))
    >>> dequantize(q).tolist()
    [3.0, -0.25]
    """
    form = _format(q.format, "e2m1")
    codes = code_array(q.codes, low=0, high=(1 << form.num_bits) - 1, name=f"codes of {q.format}")
    s = _checked(q.scale, parameter_shape(codes.shape, q.block_shape))
    with np.errstate(over="ignore", under="ignore"):
        return decode(codes, form) * expand(s, codes.shape, q.block_shape)


def _format(name: str, *more: str) -> FloatFormat:
    if name not in (*FP8_FORMATS, *more):
        raise ValueError(f"format must be one of {', '.join((*FP8_FORMATS, *more))}; got {name!r}")
    return float_format(name)


def _checked(scale: ArrayLike, shape: tuple[int, ...]) -> F32:
    s = np.asarray(scale)
    if s.dtype != np.float32 or s.shape != shape:
        raise ValueError(f"scale must be float32 of shape {shape}, got {s.dtype} {s.shape}")
    if not (np.isfinite(s) & (s > 0)).all():
        raise ValueError(f"scale must be finite and positive, got {s}")
    return s


def _explain(x: F32, format: str) -> Sequence[Step]:
    """Return the steps of a tensor with one dynamic scale."""
    form, values = _format(format), float32_input(x)
    q = quantize(values, format=format, block_shape=values.shape)
    amax, s = np.abs(values).max(), q.scale[0]
    top = number(form.max_value)
    zero = " (0 would divide by zero: 1)" if amax == 0 else ""
    steps = [
        Step("amax", "largest |x| of the tensor: one scale for all values given", number(amax)),
        Step("s", f"amax / {top} = {number(amax)} / {top}, float32{zero}", number(s)),
        Step("fields", f"{form.name.upper()}: sign, exponent, mantissa", bits_text(0, form)),
    ]
    texts = float_texts(values / s, q.codes, form)
    return [*steps, *value_steps(values, texts, dequantize(q))]


def _card(name: str, format: str) -> Card:
    form = float_format(format)
    fields = "s" + "e" * form.exponent_bits + "m" * form.mantissa_bits
    return Card(
        name=name,
        title=f"FP8 with a scale: {form.name.upper()} (dynamic, one scale)",
        bits_per_value=8.0,
        block_size=0,
        layout=f"scale s: float32, one a tensor, channel, token or block   elements: {fields} ...",
        equation="x_i = d_i * s, s = max |x| / " + number(form.max_value),
        source="OCP 8-bit Floating Point Specification 1.0; ONNX QuantizeLinear 25",
        explain=partial(_explain, format=format),
    )


CARDS: tuple[Card, ...] = (_card("fp8", "e4m3fn"), _card("fp8_e5m2", "e5m2"))
