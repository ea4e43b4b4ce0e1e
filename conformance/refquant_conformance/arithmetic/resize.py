r"""Images of codes in another size, by the nearest element of each axis, or between four.

Where place i of m looks among n elements is said by the parameter ``coordinates``:

.. math::

    i\,\tfrac{n}{m}\ (\text{asymmetric}), \qquad
    (i + \tfrac12)\tfrac{n}{m} - \tfrac12\ (\text{half\_pixel}), \qquad
    i\,\tfrac{n - 1}{m - 1}\ (\text{align\_corners})    \tag{1}

The nearest element is the one at or before an ``asymmetric`` place, else the rounded place, ties
up. Axis ``source``: ``exact``; ``divided``: float32, i / f32(m / n), and so on; ``multiplied``:
float32, i f32(n / m), of half pixels the floor of (i + 1/2) f32(n / m); ``fixed_16``: the same, but
an ``asymmetric`` place is i (floor(2^16 n / m) + 1) in 2^16ths; ``divided_but_corners``: aligned
corners as ``multiplied``, the others as ``divided``.

Between four elements, with d the distances to them, axis ``interpolate``:

* ``truncated``: places ``divided``; f32 sums of ((d d) q), cut off toward zero;
* ``of_reals``: the same of s (q - z), divided by s, ties to even;
* ``rounded_f64``: float64: of rows first, then of columns, q (1 - d) + q d; ties to even;
* ``of_reals_f64``: the same of s (q - z), rounded to float32, divided by s, ties to even;
* ``half_up``: places ``multiplied``; f32 sums of ((q d) d), then + 1/2, cut off;
* ``fixed_10``: places in 1024ths, the integer sum rounded once, ties away from zero; refused where
  the rounded step leads out of the image;
* ``fixed_11``: places ``multiplied``, distances in 2048ths, ties to even; ties of the sum up.

References
----------
ONNX Resize-19 (it does not say how a place is rounded to a number); :mod:`.oracle_resize`.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.rounding import round_half_away
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.bilinear import divided, interpolated, ratio
from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.arithmetic.movement import moved_case
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_resize import between_exact, nearest_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range, storage

__all__ = ["COORDINATES", "RESIZE_BILINEAR", "RESIZE_NEAREST", "resize_case"]

Places = NDArray[np.int64]
COORDINATES = ("asymmetric", "half_pixel", "align_corners")


def resize_case(op: str, scheme: str, x: Array, size: tuple[int, int], coordinates: str) -> Case:
    """Return the case of images (n, channels, rows, columns).

    >>> resize_case("resize_nearest", "u8", np.zeros((1, 1, 2, 2)), (3, 3), "half_pixel").params
    {'size': (3, 3), 'coordinates': 'half_pixel'}
    """
    low = code_range(types_of(op, scheme)["x"])[0]
    return moved_case(op, scheme, x, low + 131, size=size, coordinates=coordinates)


def _said(case: Case) -> tuple[tuple[int, int], tuple[int, int], str]:
    """Return rows and columns of x and of y, and the coordinates."""
    said: Any = case.params
    rows, columns = case.inputs["x"].shape[2:]
    return (rows, columns), (int(said["size"][0]), int(said["size"][1])), str(said["coordinates"])


def _nearest(n: int, m: int, coordinates: str, source: str) -> Places:
    i = np.arange(m)
    at: Array
    if source == "exact":
        at = {
            "asymmetric": i * n // m,
            "half_pixel": (2 * i + 1) * n // (2 * m),
            "align_corners": (2 * i * (n - 1) + max(m - 1, 1)) // (2 * max(m - 1, 1)),
        }[coordinates]
    elif source == "fixed_16" and coordinates == "asymmetric":
        at = i * (65536 * n // m + 1) >> 16
    else:
        corners = coordinates == "align_corners"
        if source == "divided" or (source == "divided_but_corners" and not corners):
            place = divided(n, m, coordinates)
        else:
            half = np.float32(0.5) if coordinates == "half_pixel" else np.float32(0)
            place = (i.astype(np.float32) + half) * ratio(n, m, coordinates)
        floored = coordinates == "asymmetric" or (
            coordinates == "half_pixel" and not source.startswith("divided")
        )
        at = np.floor(place) if floored else round_half_away(place)
    return np.clip(at, 0, n - 1).astype(np.int64)


def _resized(case: Case, axes: Axes) -> Outputs:
    size, to, coordinates = _said(case)
    rows, columns = (
        _nearest(n, m, coordinates, str(axes["source"])) for n, m in zip(size, to, strict=True)
    )
    return {"y": case.inputs["x"][:, :, rows][..., columns].copy()}


def _at(case: Case, index: int) -> tuple[int, tuple[int, int, int], tuple[int, int, int]]:
    """Return the plane of an output element, and its place on both axes."""
    size, to, _ = _said(case)
    plane, place = divmod(index, to[0] * to[1])
    row, column = divmod(place, to[1])
    return plane, (row, size[0], to[0]), (column, size[1], to[1])


def _resized_exactly(case: Case, axes: Axes, output: str, index: int) -> int:
    plane, row, column = _at(case, index)
    how = {"coordinates": _said(case)[2], "source": str(axes["source"])}
    at = nearest_exact(row, **how), nearest_exact(column, **how)
    return int(case.inputs["x"].reshape(-1, row[1], column[1])[plane][at])


def _between(case: Case, axes: Axes) -> Outputs | None:
    _, to, coordinates = _said(case)
    rule = np.float32(case.inputs["scale"]), int(case.inputs["zero_point"])
    codes = case.inputs["x"].astype(np.int64)
    y = interpolated(codes, to, coordinates, str(axes["interpolate"]), rule)
    if y is None:
        return None
    return {"y": np.clip(y, *code_range(case.types["y"])).astype(storage(case.types["y"]))}


def _between_exactly(case: Case, axes: Axes, output: str, index: int) -> int | None:
    if _between(case, axes) is None:
        return None
    plane, row, column = _at(case, index)
    image = case.inputs["x"].reshape(-1, row[1], column[1])[plane].astype(int).tolist()
    code = between_exact(
        image, row, column, coordinates=_said(case)[2], how=str(axes["interpolate"]),
        rule=(float(case.inputs["scale"]), int(case.inputs["zero_point"])),
    )  # fmt: skip
    low, high = code_range(case.types["y"])
    return min(max(code, low), high)


_SIZES = ((14, 16), (28, 4), (36, 10), (5, 15), (3, 7), (10, 4), (1, 5), (11, 33))
_FINER = ((2, 82), (2, 83))
"""Columns, before and after: for some, places that are whole are not when they are rounded."""


def _probes(op: str, scheme: str) -> Sequence[Case]:
    """Return images of one size in another, and some that are of one color."""
    kind = types_of(op, scheme)["x"]
    found = []
    for k, (n, m) in enumerate((*_SIZES, *(_FINER if op == "resize_nearest" else ()))):
        for j, coordinates in enumerate(COORDINATES):
            x = scrambled(kind, (1, 3, 2 + k % 4, n), 3 * k + j)
            x[0, 0] = code_range(kind)[0] + 16 * k % 256  # one color
            found.append(resize_case(op, scheme, x, ((3, 5, 2, 6)[k % 4], m), coordinates))
    return found


def _whole(case: Case, index: int) -> Case:
    return case  # where an element looks depends on the sizes


def _of(op: str, axis: str, values: tuple[str, ...], compute: Any, exact: Any) -> Arithmetic:
    return Arithmetic(
        op=op,
        schemes=("u8", "i8"),
        axes=MappingProxyType({axis: values}),
        spec=MappingProxyType({axis: None}),
        clause="ONNX Resize-19: the coordinates; in which precision, and how codes are rounded, is "
        "not said",
        compute=compute,
        exact=exact,
        probes=lambda scheme: _probes(op, scheme),
        element=_whole,
    )


RESIZE_NEAREST = _of(
    "resize_nearest",
    "source",
    ("exact", "divided", "divided_but_corners", "multiplied", "fixed_16"),
    _resized,
    _resized_exactly,
)
RESIZE_BILINEAR = _of(
    "resize_bilinear",
    "interpolate",
    ("of_reals", "of_reals_f64", "truncated", "half_up", "rounded_f64", "fixed_10", "fixed_11"),
    _between,
    _between_exactly,
)
