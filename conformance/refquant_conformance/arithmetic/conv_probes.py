r"""Cases of convolutions: the products of ``product_probes`` as pixels, and windows of every shape.

A matrix product is a convolution by filters of one pixel: rows become places, columns channels,

.. math::

    x_{0,k,i,0} = a_{i,k}, \qquad w_{n,k,0,0} = b_{k,n};    \tag{1}

and a depthwise one by filters of one row, over images that are all equal:

.. math::

    x_{0,n,i,k} = a_{i,k}, \qquad w_{n,0,0,k} = b_{k,n}.    \tag{2}
"""

from collections.abc import Sequence

import numpy as np

from refquant_conformance.arithmetic import product_probes
from refquant_conformance.arithmetic.product_probes import middle
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range, storage

__all__ = [
    "as_depthwise",
    "as_pixels",
    "conv_case",
    "depthwise_probes",
    "probes",
    "scrambled",
    "shapes",
]

_PLAIN: dict[str, Param] = {
    **{"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1},
    **{"clamp_min": None, "clamp_max": None},
}


def conv_case(
    scheme: str,
    x: Array,
    w: Array,
    scales: tuple[float, float | Array, float] = (1.0, 1.0, 1.0),
    zero_points: tuple[int, int | Array, int] = (0, 0, 0),
    *,
    bias: Array | None = None,
    op: str = "qlinear_conv",
    **params: Param,
) -> Case:
    """Return the case of a convolution of ``x`` (N, C, H, W) by ``w`` (M, C/group, rows, columns).

    Scale and zero point of w become one a channel where the scheme says so.

    >>> case = conv_case("u8_i8_channel", np.ones((1, 2, 4, 4)), np.ones((3, 2, 2, 2)))
    >>> case.inputs["w_scale"].shape, case.params["strides"]
    ((3,), (1, 1))
    """
    types = types_of(op, scheme)
    channels = (w.shape[0],) if scheme.endswith("_channel") else ()
    given: dict[str, Array] = {"x": x, "w": w}
    for name, scale, point in zip(("x", "w", "y"), scales, zero_points, strict=True):
        for kind, value in (("scale", scale), ("zero_point", point)):
            shape = (channels if name == "w" else ()) or np.shape(value)
            given[f"{name}_{kind}"] = np.broadcast_to(np.asarray(value), shape)
    if bias is not None:
        given["bias"] = bias
    inputs = {name: np.asarray(array, storage(types[name])) for name, array in given.items()}
    return Case(op, scheme, inputs, {**_PLAIN, **params}, types=types)


def _renamed(case: Case, op: str, x: Array, w: Array, group: int) -> Case:
    """Return the product ``case`` as a convolution with the same scales, zero points and bias."""
    inputs = {"x": x, "w": w}
    for ours, theirs in (("x", "a"), ("w", "b"), ("y", "y")):
        for kind in ("scale", "zero_point"):
            inputs[f"{ours}_{kind}"] = case.inputs[f"{theirs}_{kind}"]
    if "bias" in case.inputs:
        inputs["bias"] = case.inputs["bias"]
    clamp = {name: case.params.get(name) for name in ("clamp_min", "clamp_max")}
    params = {**_PLAIN, **clamp, "group": group}
    return Case(op, case.scheme, inputs, params, types=types_of(op, case.scheme))


def as_pixels(case: Case) -> Case:
    """Return a matrix product as a convolution: eq. (1).

    >>> one = product_probes.near_ties("u8_i8", product_probes.SCALES[0], 0)
    >>> as_pixels(one).inputs["x"].shape[2:] == (one.inputs["a"].shape[0], 1)
    True
    """
    a, b = case.inputs["a"], case.inputs["b"]
    return _renamed(case, "qlinear_conv", a.T[None, :, :, None], b.T[:, :, None, None], 1)


def as_depthwise(case: Case) -> Case:
    """Return a matrix product as a depthwise convolution: eq. (2).

    >>> one = product_probes.near_ties("u8_i8", product_probes.SCALES[0], 0)
    >>> as_depthwise(one).params["group"] == one.inputs["b"].shape[1]
    True
    """
    a, b = case.inputs["a"], case.inputs["b"]
    count = b.shape[1]
    x = np.repeat(a[None, None], count, axis=1)
    return _renamed(case, "qlinear_depthwise_conv", x, b.T[:, None, None, :], count)


def probes(scheme: str) -> Sequence[Case]:
    """Return the cases that tell the axes of a convolution apart."""
    return [*(as_pixels(case) for case in product_probes.probes(scheme)), *shapes(scheme)]


def depthwise_probes(scheme: str) -> Sequence[Case]:
    """Return the cases that tell the axes of a depthwise convolution apart.

    Its sums are of a few products, so that the bias takes one out of int32.
    """
    small = [c for c in product_probes.probes(scheme) if c.inputs["a"].shape[1] <= 2_000]
    found = [as_depthwise(case) for case in small]
    return [*found, _overflowing(scheme), *shapes(scheme, depthwise=True)]


def _overflowing(scheme: str) -> Case:
    """Return the case of a sum that leaves int32 by its bias."""
    types = types_of("qlinear_depthwise_conv", scheme)
    zx, zw = middle(types["x"]), middle(types["w"])
    x, w = np.full((1, 2, 2, 2), zx + 100), np.full((2, 1, 2, 2), zw + 100)
    bias = np.array([2**31 - 1000, 1000])
    scales, points = (1.0, 2.0**-25, 1.0), (zx, zw, middle(types["y"]))
    op = "qlinear_depthwise_conv"
    return conv_case(scheme, x, w, scales, points, bias=bias, op=op, group=2)


def shapes(scheme: str, *, depthwise: bool = False) -> list[Case]:
    """Return windows of every shape: strides, dilations, pads on one side, groups, a bias."""
    op = "qlinear_depthwise_conv" if depthwise else "qlinear_conv"
    types = types_of(op, scheme)
    zero_points = (middle(types["x"]) + 3, middle(types["w"]), middle(types["y"]) - 5)
    plain: dict[str, Param] = {}
    windows: tuple[tuple[int, dict[str, Param]], ...] = (
        (1, plain),
        (1, {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
        (1, {"pads": (1, 0, 0, 1), "dilations": (2, 1)}),
        (2, {"pads": (0, 2, 1, 0), "strides": (1, 2)}),
    )
    found = []
    for k, (group, params) in enumerate(windows):
        channels = 4
        group = channels if depthwise else group
        x = _symmetric(types["x"], (2, channels, 7, 6), k)
        w = _symmetric(types["w"], (2 * channels, channels // group, 3, 2), k + 10)
        bias = np.linspace(-4000, 4000, 2 * channels).round() if k % 2 else None
        scales = (0.02, 0.003, 0.02)
        found.append(
            conv_case(scheme, x, w, scales, zero_points, bias=bias, op=op, group=group, **params)
        )
    return found


def _symmetric(code: str, shape: tuple[int, ...], salt: int) -> Array:
    """Return scrambled codes without the lowest of signed ones, which some engines have not."""
    return scrambled(code, shape, salt).clip(min=code_range(code)[0] + (middle(code) == 0))


def scrambled(code: str, shape: tuple[int, ...], salt: int) -> Array:
    """Return codes without a pattern that a window could hide; the same ones every time.

    >>> scrambled("uint8", (4,), 0).tolist()
    [0, 232, 208, 7]
    """
    qmin, qmax = code_range(code)
    steps = np.arange(int(np.prod(shape)), dtype=np.int64) + 1009 * salt
    mixed = (steps * 2_654_435_761 >> 7) * 40_503 >> 9
    return np.asarray(mixed % (qmax - qmin + 1) + qmin).reshape(shape)
