r"""FakeQuantize: what rounding makes of a float32 tensor, in float32.

FP8, MX and NVFP4 activations, an int8 scale a token, LLM.int8's outlier columns: no integer
operator of ours computes with these codes, and what hardware does with them differs in the
accumulator only. This operator rounds and stays in float32, so that a float32 layer behind it
computes what such a layer would if its sums were exact to float32::

    x (float32) --> | quantize --> dequantize | --> y (float32, the shape of x)
                    one scale for B: all of x | one position along ``axis`` | a block along ``axis``
                                     tensor     token                         block (32 or 16)

With B the elements that share a scale and :math:`a_B = \max_{i \in B} |x_i|`,

.. math::

    y_i = \operatorname{dequantize}(\operatorname{quantize}(x_i;\ s_B)), \qquad
    s_B = s(\mathrm{f32}(r \cdot a_B))                                            \tag{1}

* ``int8``, ``int4``: symmetric, ``choose_qparams(-a, a)`` and ``quantize`` of the contract;
* ``fp8_e4m3``, ``fp8_e5m2``: s = f32(a / M), 1 where that is 0; M = 448, 57344; half even,
  and beyond M it is M;
* ``mxfp8_e4m3`` ... ``mxint8``: blocks of 32 along ``axis``, the scale by OCP's ``floor``;
* ``nvfp4``: blocks of 16, ModelOpt's arithmetic; the tensor's g is ``scale``, or that of x.

r is ``clip_ratio``. A ``scale`` given is static: s itself, for the tensor. With a ``threshold`` t

.. math::

    y_{rk} = x_{rk} \text{ where } \max_r |x_{rk}| \ge t, \qquad
    a_r = \max_k \{ |x_{rk}| : |x_{rk}| < t \}                                    \tag{2}

for the other columns k, the indices of ``axis`` (LLM.int8).

A NaN or an infinity has no scale: all of its B becomes NaN, as in every implementation that takes
the plain maximum (NVFP4 without ``scale``: all of x). Under a static scale an infinity saturates;
NaN stays NaN in FP8, and is what the contract says in integers. Under a threshold an infinity is an
outlier. A B of zeros gives zeros. Empty: empty.

Left out: zero points, groups along ``axis`` of other sizes, other producers of MX and NVFP4, and
what an accumulator narrower than float32 does to the sum behind.

References
----------
``docs/spec/operators.md`` section 8 (normative); Dettmers et al., "LLM.int8()", arXiv 2208.07339,
section 3, and bitsandbytes ``backends/default/ops.py``; Ashkboos et al., "QuaRot", arXiv 2404.00456
(``clip_ratio``); the sources named in ``refquant.formats.fp8``, ``mx`` and ``nvfp4``.
"""

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine, fp8, mx, nvfp4
from refquant.formats.mx_formats import MX_BLOCK, MX_FORMATS, MX_PRODUCERS
from refquant.formats.qparams import QParams
from refquant.numerics.blocks import expand, per_group, per_tensor, reduce_blocks
from refquant.numerics.minifloat_formats import float_format
from refquant.ops.fake_quantize_rules import FP8, INTEGERS, check_rules
from refquant.ops.rescale import need_float32

__all__ = ["fake_quantize", "static_scale"]

F32 = NDArray[np.float32]

_OCP = asdict(replace(MX_PRODUCERS["ocp"], tail="pad"))
_SMALLEST_NORMAL = np.float32(2.0**-126)


def fake_quantize(
    x: F32,
    scale: F32 | None = None,
    *,
    format: str,
    granularity: str,
    axis: int = -1,
    clip_ratio: float = 1.0,
    threshold: float | None = None,
    contract: Contract | None = None,
) -> F32:
    """Return what ``x`` (float32, any shape) becomes, float32 of its shape: eq. (1) and (2).

    ``scale`` is float32 of shape (), finite, at least 2^-126. ``contract`` is for the integer
    formats, which need it. ``ValueError`` for settings that mean nothing.

    >>> from refquant.contracts import preset
    >>> x = np.array([[127, 3.4], [0.5, -1.27]], np.float32)
    >>> fake_quantize(x, format="int8", granularity="token", contract=preset("ort")).tolist()
    [[127.0, 3.0], [0.5, -1.2699999809265137]]
    >>> fake_quantize(x, format="mxfp4", granularity="block").tolist()
    [[96.0, 0.0], [0.5, -1.5]]
    """
    need_float32("FakeQuantize", x=x)
    check_rules(format=format, granularity=granularity, static=scale is not None,
                clip_ratio=clip_ratio, threshold=threshold)  # fmt: skip
    if (contract is not None) != (format in INTEGERS):
        raise ValueError(f"contract: {format} {'needs one' if contract is None else 'has none'}")
    if scale is not None:
        _check_scale(scale)
    if granularity != "tensor" and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis: in [-{x.ndim}, {x.ndim - 1}], got {axis}")
    if x.size == 0:
        return x.copy()
    if threshold is None:
        flat = x.reshape(x.shape or (1,))
        y = _rounded(flat, scale, format, granularity, axis, clip_ratio, contract)
        return y.reshape(x.shape)
    large = np.abs(x) >= np.float32(threshold)
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    small = np.where(large, np.float32(0), x)
    y = _rounded(small, None, format, granularity, axis, clip_ratio, contract)
    return np.where(large.any(axis=others, keepdims=True), x, y)


def _rounded(
    x: F32, scale: F32 | None, format: str, granularity: str, axis: int, ratio: float,
    contract: Contract | None,
) -> F32:  # fmt: skip
    """Return eq. (1) of ``x``, which has an axis and elements."""
    if scale is not None and format != "nvfp4":
        return _static(x, scale, format, contract)
    whole = granularity == "tensor" or (format == "nvfp4" and scale is None)
    block = per_tensor(x.shape) if whole else per_group(x.shape, axis, _size(format, x.shape[axis]))
    amax = reduce_blocks(x, block, "absmax")
    finite = np.isfinite(amax)
    # What has no scale is computed as zeros, and said to be NaN at the end.
    y = np.where(expand(finite, x.shape, block), x, np.float32(0))
    with np.errstate(under="ignore"):
        a = np.where(finite, amax, np.float32(0)) * np.float32(ratio)
    if contract is not None:
        given = affine.choose_qparams(
            -a, a, dtype=format, symmetric=True, contract=contract, block_shape=block
        )
        y = affine.fake_quantize(y, given, contract=contract)
    elif format in FP8:
        s = fp8.choose_scale(a, format=FP8[format], block_shape=(1,) * a.ndim)
        y = fp8.dequantize(fp8.quantize(y, format=FP8[format], block_shape=block, scale=s))
    elif format == "nvfp4":
        g = _tensor_scale(amax) if scale is None else np.float32(scale[()])
        y = nvfp4.dequantize(
            nvfp4.quantize(y, producer="modelopt", axis=axis, tensor_scale=g, tail="pad")
        )
    else:
        y = mx.dequantize(mx.quantize(y, format=format, axis=axis, **_OCP))
    return np.where(expand(finite, x.shape, block), y, np.float32(np.nan))


def static_scale(amax: np.float32, *, format: str) -> np.float32:
    """Return the scale of a largest magnitude ``amax``, for FP8 and (its g) NVFP4: eq. (1).

    One that is no normal number, of zeros or nearly, is 1. Integers have a contract for that.

    >>> float(static_scale(np.float32(896), format="fp8_e4m3"))
    2.0
    """
    if format == "nvfp4":
        return _tensor_scale(np.asarray(amax))
    with np.errstate(under="ignore"):
        s = np.float32(amax) / np.float32(float_format(FP8[format]).max_value)
    return s if s >= _SMALLEST_NORMAL else np.float32(1)


def _static(x: F32, scale: F32, format: str, contract: Contract | None) -> F32:
    """Return ``x`` rounded with one scale from elsewhere."""
    if contract is None:
        whole, s = per_tensor(x.shape), scale.reshape((1,) * x.ndim)
        return fp8.dequantize(fp8.quantize(x, format=FP8[format], block_shape=whole, scale=s))
    narrow = contract.weight_range == "narrow"
    given = QParams(np.float32(scale[()]), np.int32(0), None, format, narrow)
    return affine.fake_quantize(x, given, contract=contract)


def _tensor_scale(amax: F32) -> np.float32:
    """Return NVFP4's g; 1 for zeros, or nearly: their own g would divide by zero."""
    largest = np.max(np.where(np.isfinite(amax), amax, np.float32(0)))
    g = nvfp4.tensor_scale_of(largest, producer="modelopt")
    return g if g >= _SMALLEST_NORMAL else np.float32(1)


def _size(format: str, length: int) -> int:
    """Return how many elements along the axis share a scale; ``length``: all there are."""
    if format == "nvfp4":
        return nvfp4.NVFP4_BLOCK
    return MX_BLOCK if format in MX_FORMATS else length


def _check_scale(scale: F32) -> None:
    s = np.asarray(scale)
    if s.dtype != np.float32 or s.shape != () or not (np.isfinite(s) and s >= _SMALLEST_NORMAL):
        raise ValueError(f"scale: float32 of shape (), finite, at least 2^-126; got {s!r}")
