r"""Means of codes: QLinearAveragePool, of windows, and the mean over the last two axes.

.. math::

    y = \operatorname{quantize}\Bigl(\frac{1}{n} \sum_{i \in \text{window}} s_x (q_i - z_x)\Bigr)
    \tag{1}

is what both stand for; the axes ``average_pool`` and ``mean`` say in which arithmetic. They have
the contract's values, and

* ``dequantize``: (1) in float32, the sum in row-major order, one rounding each; with
  ``dequantize_zero_point_first`` the zero point is added before the last rounding, in float32;
* ``dequantize_pairwise``: as ``dequantize``, but the sum is made as NumPy does, ``pairwise``;
* ``by_range`` of a pool: ``pools_by_range``;
* ``float_multiplier`` of a mean: as of a pool;
* ``float_multiplier_ratio_first``: the multiplier is :math:`(s_x \oslash s_y) \oslash n` (PyTorch);
* ``rounded_zero_point`` of a mean: :math:`z_y - \operatorname{trunc}(f32(z_x s_x / s_y) \pm 1/2)`
  is added to the rescaled sum of raw codes; ``rounded_zero_point_by_sixteen``: the same, with the
  second rounding upwards for the first 16 floor(C/16) of C channels, sixteen at a time.

References
----------
``docs/spec/operators.md``, section 4; onnxruntime ``qlinear_pool.cc``; LiteRT
``optimized/integer_ops/mean.h``.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AXES
from refquant.numerics.fixedpoint import quantize_multiplier, rounding_divide_by_pot, srdhm
from refquant.ops.mean import reduce_mean_quantized
from refquant.ops.pool import average_pool_quantized
from refquant.ops.windows import pad_spatial, taps
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs, contract_of
from refquant_conformance.arithmetic.elementwise import qparams, real_quantized, rule
from refquant_conformance.arithmetic.geometry import Geometry, cut_out, geometry
from refquant_conformance.arithmetic.pairwise import pairwise_means
from refquant_conformance.arithmetic.pool_probes import mean_probes, pool_probes
from refquant_conformance.arithmetic.pools_by_range import (
    average_by_range,
    average_by_range_exactly,
)
from refquant_conformance.oracle_pools import average_exact, mean_exact
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range, storage

__all__ = ["QLINEAR_AVERAGE_POOL", "QLINEAR_MEAN"]

_REALS = ("dequantize", "dequantize_zero_point_first", "dequantize_pairwise")
_BY_SIXTEEN = "rounded_zero_point_by_sixteen"
_RATIO_FIRST = "float_multiplier_ratio_first"


def _window(case: Case) -> Geometry:
    kernel = tuple(int(v) for v in case.params["kernel"])  # type: ignore[union-attr]  # a pair
    return geometry(case, kernel)


def _average(case: Case, axes: Axes) -> Outputs | None:
    window, how = _window(case), str(axes["average_pool"])
    counted = int(bool(case.params.get("count_include_pad", 0)))
    if how in _REALS:
        return _of_reals(case, window, how, counted)
    if how == "by_range":
        return average_by_range(case, window, counted)
    if how == _RATIO_FIRST:
        return _ratio_first(case, window, counted)
    try:
        y = average_pool_quantized(
            case.inputs["x"],
            x_qparams=qparams(case, "x"),
            y_qparams=qparams(case, "y"),
            contract=contract_of(axes),
            kernel_shape=window.kernel,
            strides=window.strides,
            pads=window.pads,
            count_include_pad=counted,
        )
    except ValueError:  # parameters of input and output that are not equal
        return None
    return {"y": y}


def _of_reals(case: Case, window: Geometry, how: str, counted: int) -> Outputs:
    (sx, zx), y, plan = rule(case, "x"), rule(case, "y"), window.window()
    real = (case.inputs["x"].astype(np.int64) - zx).astype(np.float32) * np.float32(sx)
    if how == _REALS[2]:
        means = pairwise_means(real, window, counted)
    else:
        total = np.zeros((*real.shape[:2], *plan.output), np.float32)
        for part in taps(pad_spatial(real, plan, 0.0), plan):
            total = total + part
        ones = np.ones((1, 1, *window.size), np.int64)
        means = total / np.asarray(sum(taps(pad_spatial(ones, plan, counted), plan)), np.float32)
    codes = real_quantized(means, y, code_range(case.types["y"]), early=how == _REALS[1])
    return {"y": codes.astype(storage(case.types["y"]))}


def _ratio_first(case: Case, window: Geometry, counted: int) -> Outputs:
    (sx, zx), (sy, zy) = rule(case, "x"), rule(case, "y")
    total = _window_sums(case.inputs["x"].astype(np.int64) - zx, window, 0)
    n = _window_sums(np.ones((1, 1, *window.size), np.int64), window, counted)
    m = (np.float32(sx) / np.float32(sy)) / n.astype(np.float32)
    codes = np.rint(total.astype(np.float32) * m).astype(np.int64) + zy
    return {"y": codes.clip(*code_range(case.types["y"])).astype(storage(case.types["y"]))}


def _window_sums(values: Array, window: Geometry, padding: int) -> Array:
    plan = window.window()
    return np.asarray(sum(taps(pad_spatial(values, plan, padding), plan)))


def _average_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    window = _window(case)
    image, channel, at = _at(case, window, index)
    plane = case.inputs["x"][image, channel]
    places = window.places(at)
    codes = [int(plane[place]) for place in places if place is not None]
    n = len(places) if case.params.get("count_include_pad") else len(codes)
    if axes["average_pool"] == "by_range":
        return average_by_range_exactly(case, codes, n)
    if n > len(codes):  # padding that counts is a real 0, and takes a place in the order
        codes = [rule(case, "x")[1] if place is None else int(plane[place]) for place in places]
    try:
        return average_exact(
            codes, n, rule(case, "x"), rule(case, "y"), how=str(axes["average_pool"]),
            limits=code_range(case.types["y"]),
        )  # fmt: skip
    except ValueError:
        return None


def _at(case: Case, window: Geometry, index: int) -> tuple[int, int, tuple[int, int]]:
    rows, columns = window.output
    plane, place = divmod(index, rows * columns)
    image, channel = divmod(plane, case.inputs["x"].shape[1])
    return image, channel, divmod(place, columns)


def _one_window(case: Case, index: int) -> Case:
    window = _window(case)
    image, channel, at = _at(case, window, index)
    part = case.inputs["x"][image : image + 1, channel : channel + 1]
    return cut_out(case, part, window, at)


def _mean(case: Case, axes: Axes) -> Outputs | None:
    how, x = str(axes["mean"]), case.inputs["x"]
    limits, kind = code_range(case.types["y"]), storage(case.types["y"])
    if how in ("folded_multiplier", "float_zero_point"):
        y = reduce_mean_quantized(
            x,
            axes=(x.ndim - 2, x.ndim - 1),
            x_qparams=qparams(case, "x"),
            y_qparams=qparams(case, "y"),
            contract=contract_of(axes),
        )
        return {"y": y}
    if how.startswith("rounded_zero_point"):
        return {"y": _rounded_zero_point(case, how).clip(*limits).astype(kind)}
    images = x.reshape(-1, 1, *x.shape[-2:])
    params: dict[str, Param] = {"kernel": tuple(x.shape[-2:]), "count_include_pad": 0}
    pool = replace(case, inputs={**case.inputs, "x": images}, params=params)
    found = _average(pool, {"average_pool": how})
    return None if found is None else {"y": found["y"].reshape(*x.shape[:-2], 1, 1)}


def _rounded_zero_point(case: Case, how: str) -> Array:
    x, (sx, zx), (sy, zy) = case.inputs["x"], rule(case, "x"), rule(case, "y")
    n = x.shape[-2] * x.shape[-1]
    scale, out = np.float32(sx), np.float32(sy)
    shifted = (np.float32(zx) * scale) / out
    shifted = shifted + np.float32(0.5 if shifted > 0 else -0.5)
    m, shift = (int(v) for v in quantize_multiplier(np.float64(scale / (np.float32(n) * out))))
    total = x.astype(np.int64).sum(axis=(-2, -1), keepdims=True)
    high, right = srdhm(total << max(shift, 0), m).astype(np.int64), max(-shift, 0)
    moved = rounding_divide_by_pot(high, right).astype(np.int64)
    if how != "rounded_zero_point":
        whole = x.shape[1] // 16 * 16
        moved[:, :whole] = (high[:, :whole] + ((1 << right) >> 1)) >> right
    return moved + (zy - int(np.trunc(shifted)))


def _mean_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    x = case.inputs["x"]
    codes = [int(v) for v in x.reshape(-1, x.shape[-2] * x.shape[-1])[index]]
    how, limits = str(axes["mean"]), code_range(case.types["y"])
    if how == _BY_SIXTEEN and index % x.shape[1] >= x.shape[1] // 16 * 16:
        how = "rounded_zero_point"
    try:
        return mean_exact(codes, rule(case, "x"), rule(case, "y"), how=how, limits=limits)
    except ValueError:
        return None


def _one_plane(case: Case, index: int) -> Case:
    x = case.inputs["x"]
    plane = x.reshape(-1, *x.shape[-2:])[index]
    return replace(case, inputs={**case.inputs, "x": plane[(None,) * (x.ndim - 2)]})


def _values(axis: str, *more: str) -> Sequence[str]:
    return (*(str(v) for v in AXES[axis] if v != "unspecified"), *more)


QLINEAR_AVERAGE_POOL = Arithmetic(
    op="qlinear_average_pool",
    schemes=("u8", "i8"),
    axes=MappingProxyType(
        {"average_pool": tuple(_values("average_pool", *_REALS, _RATIO_FIRST, "by_range"))}
    ),
    spec=MappingProxyType({"average_pool": None}),
    clause="onnxruntime QLinearAveragePool: the average of the window, quantized; how it is "
    "rounded is not said",
    compute=_average,
    exact=_average_exactly,
    probes=pool_probes,
    element=_one_window,
)

QLINEAR_MEAN = Arithmetic(
    op="qlinear_mean",
    schemes=("u8", "i8"),
    axes=MappingProxyType(
        {
            "mean": tuple(
                _values("mean", "float_multiplier", "rounded_zero_point", _BY_SIXTEEN, *_REALS)
            )
        }
    ),
    spec=MappingProxyType({"mean": None}),
    clause="onnxruntime QLinearGlobalAveragePool: the average of each plane, quantized; how it is "
    "rounded is not said",
    compute=_mean,
    exact=_mean_exactly,
    probes=mean_probes,
    element=_one_plane,
    equal=(
        Equal(
            "mean",
            ("rounded_zero_point", _BY_SIXTEEN),
            "raw sums of unsigned codes are not negative: up is away from zero",
            ("u8",),
        ),
    ),
)
