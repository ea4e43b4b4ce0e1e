r"""Codes that move: the largest of each window, and elements at other places.

Nothing is computed, so there is nothing to round; one thing can be chosen. A window that leaves the
image sees padding, and an image that is padded gets some: axis ``padding``,

* of ``max_pool``: ``ignored``, as the specification says; ``zero_point`` and ``code_zero``, which
  win against codes below them;
* of ``move``: ``zero_point``, the code of the real 0, or ``code_zero``.

References
----------
ONNX MaxPool-22 ("implicit padding ... ignored"), Pad-24; ``docs/spec/operators.md`` section 6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.ops.gather import gather
from refquant.ops.movement import concat, pad, reshape, slice_axes, transpose
from refquant.ops.pool import max_pool
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs
from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.arithmetic.geometry import Geometry, cut_out, geometry
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_movement import largest_exact, source_exact
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range, storage

__all__ = ["MAX_POOL", "MOVE", "moved_case"]

_KERNELS = ((1, 2), (2, 2), (3, 3), (2, 3), (5, 1), (1, 7), (8, 8))
_SIZE = (9, 10)


def moved_case(op: str, scheme: str, x: Array, zero_point: int, **params: Param) -> Case:
    """Return the case of one tensor of codes; its scale is 1/4.

    >>> moved_case("move", "u8", np.zeros((1, 2)), 3, kind="transpose", perm=(1, 0)).params["perm"]
    (1, 0)
    """
    types = types_of(op, scheme)
    kind = storage(types["x"])
    inputs = {
        "x": np.asarray(x).astype(kind),
        "scale": np.asarray(0.25, np.float32),
        "zero_point": np.asarray(zero_point, kind),
    }
    return Case(op, scheme, inputs, params, types=types)


def _fill(case: Case, axes: Axes) -> int | None:
    """Return the code that padding is; None for none at all."""
    known = {"ignored": None, "code_zero": 0, "zero_point": int(case.inputs["zero_point"])}
    return known[str(axes["padding"])]


def _window(case: Case) -> Geometry:
    return geometry(case, _numbers(case, "kernel"))


def _numbers(case: Case, name: str) -> tuple[int, ...]:
    value = case.params[name]
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(str(value)),)


def _pool(case: Case, axes: Axes) -> Outputs:
    window, x, fill = _window(case), case.inputs["x"], _fill(case, axes)
    pads = window.pads
    if fill is not None:
        x = pad(x, pads=(0, 0, *pads[:2], 0, 0, *pads[2:]), value=fill)
        pads = (0, 0, 0, 0)
    return {"y": max_pool(x, kernel_shape=window.kernel, strides=window.strides, pads=pads)}


def _pool_exactly(case: Case, axes: Axes, output: str, index: int) -> int:
    window = _window(case)
    plane, at = _at(case, window, index)
    image = case.inputs["x"].reshape(-1, *window.size)[plane]
    codes = [None if place is None else int(image[place]) for place in window.places(at)]
    return largest_exact(codes, _fill(case, axes))


def _at(case: Case, window: Geometry, index: int) -> tuple[int, tuple[int, int]]:
    rows, columns = window.output
    plane, place = divmod(index, rows * columns)
    return plane, divmod(place, columns)


def _one_window(case: Case, index: int) -> Case:
    window = _window(case)
    plane, at = _at(case, window, index)
    image = case.inputs["x"].reshape(-1, 1, *window.size)[plane : plane + 1]
    return cut_out(case, image, window, at)


def _zero_points(scheme: str) -> tuple[int, int, int]:
    qmin, qmax = code_range(types_of("max_pool", scheme)["x"])
    return (qmin + qmax + 1) // 2 + 9, qmin, qmin + 200


def _pool_probes(scheme: str) -> Sequence[Case]:
    """Return windows of every shape, with padding on some sides, over codes low and high."""
    kind = types_of("max_pool", scheme)["x"]
    found = []
    for k, kernel in enumerate(_KERNELS):
        for zero in _zero_points(scheme):
            x = scrambled(kind, (2, 3, *_SIZE), 5 * k)
            x[0] = code_range(kind)[0] + x[0].astype(np.int64) % 40  # below the padding
            for strides in ((1, 1), (2, 1)):
                pads = _same(kernel, strides) if strides != (1, 1) else (0, 0, 0, 0)
                found.append(moved_case("max_pool", scheme, x, zero, kernel=kernel,
                                        strides=strides, pads=pads))  # fmt: skip
        found.append(moved_case("max_pool", scheme, x, zero, kernel=kernel, strides=(1, 1),
                                pads=_same(kernel, (1, 1))))  # fmt: skip
    found.append(moved_case("max_pool", scheme, x, zero, kernel=(4, 3), strides=(2, 1),
                            pads=(3, 0, 0, 2)))  # fmt: skip
    return found


def _same(kernel: tuple[int, int], strides: tuple[int, int]) -> tuple[int, ...]:
    """Return the padding for ceil(n / s) rows and columns, the larger half behind."""
    total = [
        max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(_SIZE, strides, kernel, strict=True)
    ]
    return (*(t // 2 for t in total), *(-(-t // 2) for t in total))


def _move(case: Case, axes: Axes) -> Outputs:
    x, kind = case.inputs["x"], case.params["kind"]
    if kind == "reshape":
        y = reshape(x, shape=_numbers(case, "shape"))
    elif kind == "transpose":
        y = transpose(x, perm=_numbers(case, "perm"))
    elif kind == "slice":
        y = slice_axes(x, starts=_numbers(case, "starts"), ends=_numbers(case, "ends"),
                       axes=range(x.ndim))  # fmt: skip
    elif kind == "gather":
        indices = np.array(_numbers(case, "indices"), np.int32)
        y = gather(x, indices, axis=_numbers(case, "axis")[0])
    elif kind == "pad":
        y = pad(x, pads=_numbers(case, "pads"), value=_fill(case, axes) or 0)
    else:
        y = concat([x, x], axis=_numbers(case, "axis")[0])
    return {"y": y}


def _move_exactly(case: Case, axes: Axes, output: str, index: int) -> int:
    x, kind = case.inputs["x"], str(case.params["kind"])
    params = {name: _numbers(case, name) for name in case.params if name != "kind"}
    place = source_exact(kind, params, x.shape, index)
    return (_fill(case, axes) or 0) if place < 0 else int(x.reshape(-1)[place])


_MOVES: tuple[tuple[tuple[int, ...], Mapping[str, Param]], ...] = (
    ((3, 4, 10), {"kind": "reshape", "shape": (5, 2, 12)}),
    ((3, 4, 5, 7), {"kind": "transpose", "perm": (0, 2, 3, 1)}),
    ((3, 4, 5, 7), {"kind": "transpose", "perm": (0, 3, 1, 2)}),
    ((17, 33), {"kind": "transpose", "perm": (1, 0)}),
    ((6, 6, 6), {"kind": "transpose", "perm": (1, 2, 0)}),
    ((2, 5, 5, 9), {"kind": "transpose", "perm": (3, 0, 2, 1)}),
    ((5, 9, 6), {"kind": "slice", "starts": (1, 0, 2), "ends": (4, 9, 3)}),
    ((4, 67), {"kind": "slice", "starts": (0, 33), "ends": (4, 66)}),
    ((6, 5, 4), {"kind": "gather", "axis": 0, "indices": (5, 0, 0, 3, 2)}),
    ((6, 5, 4), {"kind": "gather", "axis": 1, "indices": (4, 4, 1)}),
    ((6, 5, 9), {"kind": "gather", "axis": 2, "indices": (8, 7, 6, 5, 4, 3, 2, 1, 0)}),
    ((3, 4, 5), {"kind": "pad", "pads": (0, 1, 2, 0, 0, 3)}),
    ((1, 3, 6, 5), {"kind": "pad", "pads": (0, 0, 1, 2, 0, 0, 2, 1)}),
    ((4, 3, 5), {"kind": "concat", "axis": 0}),
    ((4, 3, 5), {"kind": "concat", "axis": 1}),
    ((4, 33), {"kind": "concat", "axis": 1}),
)
"""Shapes of x, and where its elements go."""


def _move_probes(scheme: str) -> Sequence[Case]:
    """Return every kind of movement, of codes that are all over the range."""
    kind, zero = types_of("move", scheme)["x"], _zero_points(scheme)[0]
    return [
        moved_case("move", scheme, scrambled(kind, shape, k), zero, **params)
        for k, (shape, params) in enumerate(_MOVES)
    ]


def _whole(case: Case, index: int) -> Case:
    return replace(case)  # where an element comes from is said by the shape


MAX_POOL = Arithmetic(
    op="max_pool",
    schemes=("u8", "i8"),
    axes=MappingProxyType({"padding": ("ignored", "zero_point", "code_zero")}),
    spec=MappingProxyType({"padding": "ignored"}),
    clause="ONNX MaxPool-22: the maximum of the elements of the window that are in the image",
    compute=_pool,
    exact=_pool_exactly,
    probes=_pool_probes,
    element=_one_window,
    equal=(Equal("padding", ("ignored", "code_zero"), "no code of uint8 is below 0", ("u8",)),),
)

MOVE = Arithmetic(
    op="move",
    schemes=("u8", "i8"),
    axes=MappingProxyType({"padding": ("zero_point", "code_zero")}),
    spec=MappingProxyType({"padding": "zero_point"}),
    clause="ONNX Reshape, Transpose, Slice, Gather, Pad, Concat: elements are copied",
    compute=_move,
    exact=_move_exactly,
    probes=_move_probes,
    element=_whole,
)
