r"""Codes by the range of a quantizer: OpenVINO's FakeQuantize, alone and behind a product.

Scale and zero point become the ends of a range, and these the multiplier again. In float32, one
operation after the other, with n = qmax - qmin:

.. math::

    lo = (q_{min} - z)\,s, \qquad hi = (q_{max} - z)\,s, \qquad k = n / (hi - lo)       \tag{1}

    q = \operatorname{rint}(\operatorname{clip}(x, lo, hi)\,k - lo\,k) + q_{min}            \tag{2}

If every shift :math:`-lo\,k` is 128 to 1e-4 and the codes are int8, it is left out, with
:math:`q_{min}`. A quantizer to 16 bits is dropped if every s = 1 and z = 0: the real is cut to an
int32, and that to 16 bits.

Behind a product of codes the range is divided by :math:`d = s_a s_b` and moved by
:math:`m = z_a \sum b`, which is a constant of the column:

.. math::

    l = lo / d + m, \qquad h = hi / d + m, \qquad K = n / (h - l), \qquad
    T = (-l\,n) / (h - l) + q_{min}                                                          \tag{3}

    y = \operatorname{clamp}(\operatorname{rint}(acc\,K + T))                                \tag{4}

Shifts that are 5e-5 from the first become the first; one below n 1e-5 becomes 0. If K and T are
one number each, (4) is one fused operation, else a product and a sum. A convolution has no m: it
corrects its sums. Sums of int8 weights without a zero point are int32 sums of the codes a, modulo
2^32; all other sums are float32, so no sum beyond 2^24 is asked but one that leaves int32.

References
----------
OpenVINO 2026.4.1, ``src/frontends/onnx/frontend/src/op/quantize_linear.cpp``,
``src/common/snippets/src/pass/fq_decomposition.cpp``,
``src/common/low_precision_transformations/src/fake_quantize.cpp``,
``src/plugins/intel_cpu/src/dnnl_postops_composer.cpp``.
"""

import numpy as np

from refquant.numerics.casts import wrap
from refquant.numerics.fused import fused_multiply_add
from refquant_conformance.protocol import Array
from refquant_conformance.types import code_range

__all__ = ["by_range", "reals_by_range", "sums_by_range"]

Float = np.float32
_ONE = np.float32(1)


def by_range(x: Array, scale: Array, zero_point: Array, dtype: str) -> Array:
    """Return the codes of ``x`` by eq. (1) and (2), int64; the parameters broadcast against it.

    >>> x = np.float32([-1.0, 0.3, 9.0])
    >>> by_range(x, np.float32(0.25), np.int64(3), "uint8").tolist()
    [0, 4, 39]
    """
    qmin, qmax = code_range(dtype)
    scale = np.asarray(scale, Float)
    with np.errstate(all="ignore"):
        if qmax - qmin > 255 and (scale == 1).all() and not np.any(zero_point):
            whole = np.trunc(x)
            inside = np.abs(whole) < 2.0**31
            cut = np.where(inside, whole, -(2.0**31)).astype(np.int64)
            return wrap(cut, num_bits=16, signed=qmin < 0)
        low = (qmin - zero_point).astype(Float) * scale
        high = (qmax - zero_point).astype(Float) * scale
        return _in_range(x, low, high, dtype)


def reals_by_range(
    v: Array, y: tuple[Array, int], dtype: str, *, unit: Array | np.float32 = _ONE
) -> Array:
    """Return the codes of ``v`` times ``unit`` by eq. (2), the range divided by ``unit``, int64.

    >>> reals_by_range(np.float32([1.0, 3.0]), (np.float32(0.5), 3), "uint8").tolist()
    [5, 9]
    """
    qmin, qmax = code_range(dtype)
    with np.errstate(all="ignore"):
        low, high = (Float(q - y[1]) * np.asarray(y[0], Float) / unit for q in (qmin, qmax))
        return _in_range(v, low, high, dtype)


def _in_range(x: Array, low: Array, high: Array, dtype: str) -> Array:
    qmin, qmax = code_range(dtype)
    k = Float(qmax - qmin) / (high - low)
    clipped = np.where(x > low, np.minimum(x, high), low)  # NaN is the low end
    start = low * k
    if dtype == "int8" and (np.abs(start + Float(128)) < 1e-4).all():
        return np.asarray(np.rint(clipped * k)).astype(np.int64)
    return np.asarray(np.rint(clipped * k - start)).astype(np.int64) + qmin


def sums_by_range(
    sums: Array,
    shifts: Array,
    scales: tuple[Array, Array, Array],
    *,
    zero_point: int,
    codes: str,
    limits: tuple[int, int],
) -> Array:
    """Return the codes of sums (..., N) by eq. (3) and (4), int64.

    ``shifts`` is m, one a column (N,); ``scales`` are those of a, b (one, or one a column) and y.

    >>> scales = np.float32(0.5), np.float32(0.25), np.float32(0.5)
    >>> sums_by_range(np.array([[6, 10]]), np.zeros(2), scales, zero_point=3, codes="uint8",
    ...               limits=(0, 255)).tolist()
    [[4, 6]]
    """
    qmin, qmax = code_range(codes)
    sa, sb, sy = (np.asarray(s, Float) for s in scales)
    steps, moved = Float(qmax - qmin), shifts.astype(Float)
    with np.errstate(all="ignore"):
        low, high = (Float(q - zero_point) * sy / (sa * sb) + moved for q in (qmin, qmax))
        width = high - low
        k, t = steps / width, (-low * steps) / width
        if (np.abs(t - t[0]) < Float(5e-5)).all():
            t = np.broadcast_to(t[0], t.shape)
        shift = t + Float(qmin)
        if (shift == shift[0]).all() and abs(shift[0]) < steps * Float(1e-5):
            shift = np.zeros_like(shift)
        real = sums.astype(Float)
        if (shift == shift[0]).all() and (k == k[0]).all():
            real = fused_multiply_add(real, k, shift)
        else:
            real = real * k + shift
    return np.asarray(np.clip(np.rint(real), *limits)).astype(np.int64)
