r"""Convolutions and pools: padding made explicit.

``auto_pad`` asks for as many outputs as inputs over strides. With o = ceil(n / s) outputs of the
window d (k - 1) + 1 the padding is

.. math:: p = \max(0, (o - 1) s + d (k - 1) + 1 - n)                                       \tag{1}

half of it at either side, the odd one at the end (``SAME_UPPER``) or the begin. ``ceil_mode`` is
more padding at the end, as much as the last window sticks out, unless it would begin there:

.. math:: e = (o - 1) s + d (k - 1) + 1 - (n + p)                                          \tag{2}

Left out: indices of ``MaxPool``, dilated pools, three spatial axes.
"""

from collections.abc import Callable, Mapping, Sequence

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Reals, Scope, Seen, Unsupported

__all__ = ["WINDOWS", "pool_window", "same_pads", "window_of"]

Lower = Callable[[Scope, OnnxNode], None]
Window = dict[str, Attribute]


def same_pads(
    mode: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """Return the pads that ``auto_pad`` means: eq. (1).

    >>> same_pads("SAME_UPPER", [5], [2], [1], [1])
    (0, 1)
    """
    totals = [
        max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    less = [total // 2 for total in totals]
    more = [total - half for total, half in zip(totals, less, strict=True)]
    return (*less, *more) if mode == "SAME_UPPER" else (*more, *less)


def _space(s: Scope, node: OnnxNode) -> list[int]:
    x = s.shape(node.inputs[0])[2:]
    if not 1 <= len(x) <= 2:
        raise Unsupported(f"{len(x)} spatial axes; there are 1 or 2")
    if any(isinstance(d, str) for d in x):
        raise Unsupported(f"a window over {list(x)}, which only a run knows; give it a number")
    return [int(d) for d in x]


def window_of(s: Scope, node: OnnxNode, kernel: Sequence[int]) -> Window:
    """Return the window of a convolution or pool, padding explicit."""
    a, space = node.attributes, _space(s, node)
    rank = len(space)
    strides = tuple(a.get("strides", (1,) * rank))
    dilations = tuple(a.get("dilations", (1,) * rank))
    mode = a.get("auto_pad", "NOTSET")
    pads = tuple(a.get("pads", (0,) * 2 * rank))
    if mode == "VALID":
        pads = (0,) * 2 * rank
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = same_pads(mode, space, kernel, strides, dilations)
    elif mode not in ("NOTSET", ""):
        raise Unsupported(f"auto_pad {mode!r}")
    if min(pads, default=0) < 0:
        raise Unsupported(f"negative pads {list(pads)}")
    return {"kernel_shape": tuple(kernel), "strides": strides, "pads": pads, "dilations": dilations}


def _kernel(s: Scope, node: OnnxNode) -> tuple[int, ...]:
    shape = tuple(int(d) for d in s.shape(node.inputs[1])[2:])
    given = tuple(node.attributes.get("kernel_shape", shape))
    if given != shape:
        raise Unsupported(f"kernel_shape {given} of weights with the kernel {shape}")
    return shape


def _conv(s: Scope, node: OnnxNode) -> None:
    window = window_of(s, node, _kernel(s, node))
    group = int(node.attributes.get("group", 1))
    x = s.real(node, 0)
    w = weight(s, node, 1)
    bias = [s.real(node, 2)] if s.has(node, 2) else []
    coded = s.b.values[w].quant is not None
    contract = s.contract if coded else None
    given: Window = {**window, "group": group}
    made = s.node("Conv", [x, w, *bias], node.outputs[0], given, contract=contract)
    s.items[node.outputs[0]] = Seen(made, "float32")


def weight(s: Scope, node: OnnxNode, index: int) -> str:
    """Return the weight: codes stay codes beside float32 activations."""
    item = s.item(node.inputs[index])
    if isinstance(item, Reals) and item.value in s.b.constants:
        return item.value
    return s.real(node, index)


def _conv_transpose(s: Scope, node: OnnxNode) -> None:
    a, space, kernel = node.attributes, _space(s, node), _kernel(s, node)
    rank = len(space)
    strides = tuple(a.get("strides", (1,) * rank))
    dilations = tuple(a.get("dilations", (1,) * rank))
    extra = tuple(a.get("output_padding", (0,) * rank))
    pads = tuple(a.get("pads", (0,) * 2 * rank))
    mode, wanted = a.get("auto_pad", "NOTSET"), a.get("output_shape")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(n * t for n, t in zip(space, strides, strict=True))
    if wanted is not None:
        totals = [
            t * (n - 1) + e + d * (k - 1) + 1 - o
            for n, t, e, d, k, o in zip(
                space, strides, extra, dilations, kernel, wanted[-rank:], strict=True
            )
        ]
        extra = tuple(e + max(-total, 0) for e, total in zip(extra, totals, strict=True))
        less = [max(total, 0) // 2 for total in totals]
        more = [max(total, 0) - half for total, half in zip(totals, less, strict=True)]
        pads = (*less, *more) if mode == "SAME_UPPER" else (*more, *less)
    elif mode == "VALID":
        pads = (0,) * 2 * rank
    elif mode != "NOTSET":
        raise Unsupported(f"auto_pad {mode!r}")
    given: Window = {
        "kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads,
        "output_padding": extra, "group": int(a.get("group", 1)),
    }  # fmt: skip
    w = weight(s, node, 1)
    inputs = [s.real(node, 0), w, *([s.real(node, 2)] if s.has(node, 2) else [])]
    contract = s.contract if s.b.values[w].quant is not None else None
    made = s.node("ConvTranspose", inputs, node.outputs[0], given, contract=contract)
    s.items[node.outputs[0]] = Seen(made, "float32")


def pool_window(s: Scope, node: OnnxNode) -> Window:
    """Return the window of a pool, with eq. (2) where ``ceil_mode`` is set."""
    kernel = tuple(node.attributes["kernel_shape"])
    window = window_of(s, node, kernel)
    strides, pads, apart = (window[k] for k in ("strides", "pads", "dilations"))
    assert isinstance(strides, tuple), "window_of: lists"
    assert isinstance(pads, tuple), "window_of: lists"
    if apart != (1,) * len(kernel):
        raise Unsupported(f"dilations {apart}; those of a pool are 1")
    if node.attributes.get("ceil_mode", 0):
        space, ends = _space(s, node), list(pads[len(kernel) :])
        for i, (n, k, t) in enumerate(zip(space, kernel, strides, strict=True)):
            padded = pads[i] + n + ends[i]
            outputs = -(-(padded - k) // t) + 1
            if (outputs - 1) * t >= n + pads[i]:
                outputs -= 1
            ends[i] += max((outputs - 1) * t + k - padded, 0)
        window["pads"] = (*pads[: len(kernel)], *ends)
    del window["dilations"]
    return window


def _max_pool(s: Scope, node: OnnxNode) -> None:
    if any(name in s.outputs or s.readers.get(name) for name in node.outputs[1:]):
        raise Unsupported("the indices of MaxPool (output 1)")
    window = pool_window(s, node)
    item = s.item(node.inputs[0])
    if isinstance(item, Reals):
        made = s.node("MaxPool", [item.value], f"{node.outputs[0]}/codes", window)
        s.items[node.outputs[0]] = Reals(made, item.maker)
        return
    s.emit(node, "MaxPool", [s.value(node, 0)], window, dtype=s.dtype(node.inputs[0]))


def _average_pool(s: Scope, node: OnnxNode) -> None:
    x, window = s.real(node, 0), pool_window(s, node)
    counted = int(node.attributes.get("count_include_pad", 0))
    plain = window_of(s, node, tuple(node.attributes["kernel_shape"]))["pads"]
    if counted and plain != window["pads"]:
        # What ceil_mode adds never counts: the padding that does becomes zeros of the input.
        assert isinstance(plain, tuple), "window_of: a list"
        all_pads, half = window["pads"], len(plain) // 2
        assert isinstance(all_pads, tuple), "window_of: a list"
        x = s.step(node, "Pad", [x], {"pads": (0, 0, *plain[:half], 0, 0, *plain[half:])})
        window["pads"] = tuple(a - b for a, b in zip(all_pads, plain, strict=True))
        counted = 0
    s.emit(node, "AveragePool", [x], {**window, "count_include_pad": counted})


def _global(s: Scope, node: OnnxNode) -> None:
    if not 1 <= len(s.shape(node.inputs[0])) - 2 <= 2:
        raise Unsupported(f"{len(s.shape(node.inputs[0])) - 2} spatial axes; there are 1 or 2")
    s.emit(node, node.op, [s.real(node, 0)])


WINDOWS: Mapping[str, Lower] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
}
