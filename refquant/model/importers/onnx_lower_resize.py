r"""``Resize``, ``Upsample`` and ``Pad``: elements from fixed places, and what lies between them.

For the output place i of an axis of n elements, resized by s (to :math:`\lfloor n s \rfloor`, or
given) the place in the input is, by ``coordinate_transformation_mode``,

.. math::

    c = \begin{cases} i / s & \mathrm{asymmetric} \\
        (i + 0.5) / s - 0.5 & \mathrm{half\_pixel} \\
        0\ \text{if one output, else half\_pixel} & \mathrm{pytorch\_half\_pixel} \\
        i (n - 1) / (m - 1) & \mathrm{align\_corners} \end{cases}                          \tag{1}

in float64. ``nearest`` takes the element at c rounded by ``nearest_mode``; ``linear``

.. math:: y = x_{\lfloor c \rfloor} (1 - w) + x_{\lfloor c \rfloor + 1} w, \quad
    w = c - \lfloor c \rfloor                                                              \tag{2}

with c inside the axis; axis after axis. Both become ``Gather``, ``Mul``, ``Add``.

Left out: ``cubic``, ``antialias``, ``tf_crop_and_resize``, ``keep_aspect_ratio_policy``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.onnx_lower_layout import move
from refquant.model.importers.onnx_lower_places import bounded, take
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Reals, Scope, Seen, Unsupported
from refquant.model.importers.onnx_sizes import axis_in

__all__ = ["RESIZE", "places_of"]

Lower = Callable[[Scope, OnnxNode], None]
Places = NDArray[np.float64]

_NEAREST: Mapping[str, Callable[[Places], Places]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda c: np.ceil(c - 0.5),
    "round_prefer_ceil": lambda c: np.floor(c + 0.5),
}


def places_of(mode: str, length: int, size: int, scale: float) -> Places:
    """Return where each of the ``size`` outputs lies in an axis of ``length`` elements: eq. (1).

    >>> places_of("half_pixel", 2, 4, 2.0).tolist()
    [-0.25, 0.25, 0.75, 1.25]
    """
    i = np.arange(size, dtype=np.float64)
    if mode == "asymmetric":
        return i / scale
    if mode == "align_corners":
        return i * (length - 1) / (size - 1) if size > 1 else i * 0
    if mode == "half_pixel_symmetric":
        # Around the middle, where the output is not as long as length * scale says.
        adjustment = size / (scale * length)
        return length / 2 * (1 - adjustment) + (i + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel" and size == 1:
        return i * 0
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return (i + 0.5) / scale - 0.5
    raise Unsupported(f"coordinate_transformation_mode {mode!r}")


def _targets(s: Scope, node: OnnxNode, x: Sequence[Any]) -> list[tuple[int, int, float]]:
    """Return (axis, size, scale) of each axis that changes."""
    attributes = node.attributes
    place = 1 if node.op == "Upsample" or s.opset < 11 else 2
    scales = attributes.get("scales")
    if scales is None:
        known = s.known(node, place, "scales")
        scales = () if known is None else tuple(known.ravel())
    sizes = s.ints(node, 3, "sizes") or ()
    axes = [axis_in(a, len(x)) for a in attributes.get("axes", range(len(x)))]
    if len(scales) not in (0, len(axes)) or len(sizes) not in (0, len(axes)):
        raise Unsupported(f"scales or sizes are {len(axes)} numbers")
    result = []
    for index, axis in enumerate(axes):
        length = x[axis]
        if isinstance(length, str):
            unchanged = str(sizes[index]) == length if sizes else scales[index] == 1
            if not unchanged and not (sizes and length == "N" and sizes[index] == 1):
                raise Unsupported(f"Resize along {length}, which only a run knows")
            continue
        given = sizes[index] if sizes else scales[index]
        if not given > 0:  # NaN, too
            raise Unsupported(f"scales and sizes are > 0, got {given}")
        size = bounded(sizes[index] if sizes else np.floor(length * np.float64(scales[index])))
        scale = size / length if sizes else float(scales[index])
        if scale != 1 or size != length:
            result.append((axis, size, scale))
    return result


def _resize(s: Scope, node: OnnxNode) -> None:
    a = node.attributes
    mode = a.get("mode", "nearest")
    if mode not in ("nearest", "linear") or a.get("antialias", 0):
        raise Unsupported(f"mode {mode!r}{' with antialias' if a.get('antialias', 0) else ''}")
    if a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported(f"keep_aspect_ratio_policy {a['keep_aspect_ratio_policy']!r}")
    old = node.op == "Upsample" or s.opset < 11
    where = "asymmetric" if old else a.get("coordinate_transformation_mode", "half_pixel")
    x = s.shape(node.inputs[0])
    steps = [
        (axis, places_of(where, int(x[axis]), size, scale), int(x[axis]))
        for axis, size, scale in _targets(s, node, x)
    ]
    if mode == "nearest":
        rule = "floor" if old else a.get("nearest_mode", "round_prefer_floor")
        _nearest(s, node, [(axis, _NEAREST[rule](c), n) for axis, c, n in steps])
    else:
        _linear(s, node, steps)


def _nearest(s: Scope, node: OnnxNode, steps: Sequence[tuple[int, Places, int]]) -> None:
    item = s.item(node.inputs[0])
    value = item.value if isinstance(item, Reals) else s.value(node, 0)
    for axis, c, length in steps:
        indices = np.clip(c, 0, length - 1).astype(int).tolist()
        value = take(s, value, f"{node.outputs[0]}/axis{axis}", axis, indices)
    if isinstance(item, Reals):
        s.items[node.outputs[0]] = Reals(value, item.maker)
    else:
        s.items[node.outputs[0]] = Seen(value, s.dtype(node.inputs[0]))


def _linear(s: Scope, node: OnnxNode, steps: Sequence[tuple[int, Places, int]]) -> None:
    value = s.real(node, 0)
    rank = len(s.shape(node.inputs[0]))
    for axis, places, length in steps:
        c = np.clip(places, 0, length - 1)
        low = np.floor(c).astype(int)
        weight = (c - low).astype(np.float32)
        name = f"{node.outputs[0]}/axis{axis}"
        shape = [1] * rank
        shape[axis] = len(low)
        parts = []
        for label, indices, w in (
            ("low", low, np.float32(1) - weight),
            ("high", np.minimum(low + 1, length - 1), weight),
        ):
            taken = take(s, value, f"{name}/{label}", axis, indices.tolist())
            factor = s.constant(f"{name}/{label}/weight", w.reshape(shape))
            parts.append(s.node("Mul", [taken, factor], f"{name}/{label}/part"))
        value = s.node("Add", parts, name)
    s.items[node.outputs[0]] = Seen(value, "float32")


def _pad(s: Scope, node: OnnxNode) -> None:
    x, mode = s.shape(node.inputs[0]), node.attributes.get("mode", "constant")
    pads = s.ints(node, 1, "pads") or ()
    axes = s.ints(node, 3, "axes")
    if axes is not None:
        full = [0] * 2 * len(x)
        for i, axis in enumerate(axis_in(axis, len(x)) for axis in axes):
            full[axis], full[len(x) + axis] = pads[i], pads[len(axes) + i]
        pads = tuple(full)
    if len(pads) != 2 * len(x):
        raise Unsupported(f"pads are {2 * len(x)} numbers, got {len(pads)}")
    if mode == "constant" and min(pads, default=0) >= 0:
        number = node.attributes.get("value")
        if number is None:
            known = s.known(node, 2, "value")
            number = 0.0 if known is None or not known.size else float(known.ravel()[0])
        if _pads_with_nothing(s, node, float(number)):
            move(s, node, "Pad", {"pads": pads})
        else:
            s.emit(node, "Pad", [s.real(node, 0)], {"pads": pads, "value": float(number)})
        return
    if mode not in ("reflect", "edge", "wrap"):
        raise Unsupported(f"mode {mode!r} with pads {list(pads)}")
    _border(s, node, mode, pads)


def _pads_with_nothing(s: Scope, node: OnnxNode, number: float) -> bool:
    """Say whether what is padded is codes, with the code that means 0: then it is a movement."""
    item = s.item(node.inputs[0])
    if isinstance(item, Reals):
        return number == 0
    if not isinstance(item, Seen) or item.dtype not in ("uint8", "int8"):
        return False
    quant = s.b.values[item.value].quant
    if quant is None:
        return False
    if quant.zero_point != number:
        told = f"codes are padded with {number:g}, their zero point is {quant.zero_point}"
        raise Unsupported(f"{told}; pad before QuantizeLinear, or with the zero point")
    return True


def _border(s: Scope, node: OnnxNode, mode: str, pads: tuple[int, ...]) -> None:
    x = s.shape(node.inputs[0])
    steps: list[tuple[int, Places, int]] = []
    for axis, size in enumerate(x):
        begin, end = pads[axis], pads[len(x) + axis]
        if not begin and not end:
            continue
        if isinstance(size, str):
            raise Unsupported(f"Pad along {size}, which only a run knows")
        bounded(size + max(begin, 0) + max(end, 0))
        cut = np.arange(max(-begin, 0), size - max(-end, 0))
        added = (max(begin, 0), max(end, 0))
        places = np.pad(cut, added, mode=mode)  # type: ignore[call-overload]  # one of three words
        steps.append((axis, places.astype(np.float64), size))
    _nearest(s, node, steps)


RESIZE: Mapping[str, Lower] = {"Resize": _resize, "Upsample": _resize, "Pad": _pad}
