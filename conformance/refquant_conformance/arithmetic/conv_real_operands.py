r"""What the codes of a convolution mean: filters, windows, and the operands of one element.

.. math::

    \bar w_{m,c,k,l} = (w_{m,c,k,l} - z_m)\, s_m \qquad \bar x_{c,n,k,l} = (x_{c,n,k,l} - z_x)\, s_x

each rounded to float32 once; padding is the zero point, and means 0.

References
----------
ONNX, Conv-11, DequantizeLinear-23.
"""

import numpy as np

from refquant.ops.windows import columns, pad_spatial
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.arithmetic.geometry import geometry
from refquant_conformance.arithmetic.product_axes import limits_of
from refquant_conformance.arithmetic.rules import real_quantized, rule
from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, float32, multiply
from refquant_conformance.types import storage

__all__ = [
    "code_of_sum_exactly",
    "codes_of_sums",
    "group_of",
    "operands_exactly",
    "real_filters",
    "real_windows",
]

Float = np.float32


def group_of(case: Case) -> int:
    """Return how many groups the channels are in."""
    return int(case.params.get("group") or 1)  # type: ignore[arg-type]  # a number, the catalogue says


def _of_channels(values: Array, count: int) -> Array:
    return np.broadcast_to(values, (count,)).reshape(-1, 1)


def real_filters(case: Case) -> Array:
    """Return what the filters mean: (group, filters of it, products), float32."""
    w, group = case.inputs["w"], group_of(case)
    zero, scale = (_of_channels(case.inputs[f"w_{n}"], len(w)) for n in ("zero_point", "scale"))
    filters = (w.reshape(len(w), -1).astype(Float) - zero.astype(Float)) * scale
    return np.asarray(filters.reshape(group, len(w) // group, -1))


def real_windows(case: Case, x: Array) -> Array:
    """Return what windows of the images ``x`` mean: (group, products, windows), float32."""
    w, group, zero = case.inputs["w"], group_of(case), case.inputs["x_zero_point"]
    window = geometry(case, w.shape[2:])
    padded = pad_spatial(x, window.window(), int(zero))
    seen = columns(padded, window.window(padded=True), group=group)
    by_tap = seen.reshape(group, -1, w.shape[1], seen.shape[2]).swapaxes(1, 2)
    shifted = by_tap.reshape(seen.shape).astype(Float) - zero.astype(Float)
    return np.asarray(shifted * case.inputs["x_scale"])


def codes_of_sums(case: Case, real: Array) -> Outputs:
    """Return the codes of sums (..., filters, windows), the bias added last; in their shape."""
    inputs, count = case.inputs, real.shape[-2]
    if "bias" in inputs:
        step = inputs["x_scale"] * _of_channels(inputs["w_scale"], count)
        real = real + _of_channels(inputs["bias"], count).astype(Float) * step
    y = real_quantized(real, rule(case, "y"), limits_of(case))
    return {"y": y.astype(storage(case.types["y"]))}


def operands_exactly(
    case: Case, image: int, channel: int, at: tuple[int, int]
) -> tuple[list[float], list[float]]:
    """Return the products of one element by the oracle: what weights, and what codes mean."""
    w, x = case.inputs["w"], case.inputs["x"]
    (sx, zx), first = rule(case, "x"), channel // (w.shape[0] // group_of(case)) * w.shape[1]
    z, s = _of_weight(case, channel)
    filters, seen = [], []
    for c in range(w.shape[1]):
        for tap, place in enumerate(geometry(case, w.shape[2:]).places(at)):
            code = zx if place is None else int(x[image, first + c][place])
            seen.append(multiply(float(code - zx), sx))
            filters.append(multiply(float(int(w[channel, c].reshape(-1)[tap]) - z), s))
    return filters, seen


def code_of_sum_exactly(case: Case, channel: int, real: float) -> int:
    """Return the code of one sum by the oracle, the bias added last."""
    if "bias" in case.inputs:
        step = multiply(rule(case, "x")[0], _of_weight(case, channel)[1])
        real = add(real, multiply(float32(int(case.inputs["bias"][channel])), step))
    return quantized_exact(real, rule(case, "y"), limits_of(case))


def _of_weight(case: Case, channel: int) -> tuple[int, float]:
    zw, sw = (case.inputs[f"w_{n}"].reshape(-1) for n in ("zero_point", "scale"))
    return int(zw[channel % zw.size]), float(sw[channel % sw.size])
