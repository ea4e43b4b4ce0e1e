"""The window's fields of a plan row, for convolutions, pools and plain matrices."""

import math

from refquant_runtime.graph import Node, Value
from refquant_runtime.shapes import Window, window

__all__ = ["conv_window", "dense_window", "is_depthwise", "rows_of", "window_fields"]


def window_fields(w: Window, x: Value, element: int) -> dict[str, int]:
    """Return the fields of a window over ``x``, channels last; ``element``: log2 of its bytes."""
    channels = x.shape[1]
    return {
        "rows": x.shape[0] * math.prod(w.out), "out_h": w.out[0], "out_w": w.out[1],
        "in_h": w.image[0], "in_w": w.image[1], "row_size": channels,
        "image_size": math.prod(w.image) * channels, "kernel_w": w.kernel[1],
        "stride_h": w.strides[0], "stride_w": w.strides[1], "pad_h": w.pads[0],
        "pad_w": w.pads[1], "dilation_h": w.dilations[0], "dilation_w": w.dilations[1],
        "element": element, "copies": 1, "mr": 1, "taps": math.prod(w.kernel),
    }  # fmt: skip


def conv_window(node: Node, x: Value, w: Value, element: int) -> tuple[dict[str, int], int, int]:
    """Return a convolution's fields, its number of positions, and its rows."""
    shape = window(x.shape, w.shape[2:], node.attributes)
    fields = window_fields(shape, x, element)
    positions = math.prod(shape.kernel)
    if positions == 1 and shape.strides == (1, 1) and not any(shape.pads):
        fields["kernel_w"] = 0  # a plain matrix: no window to walk
    return fields, positions, fields["rows"]


def rows_of(node: Node, x: Value, w: Value, element: int) -> tuple[dict[str, int], int, int]:
    """Return the window of a convolution, or the plain matrix of a product."""
    if node.op.startswith("Conv"):
        return conv_window(node, x, w, element)
    return dense_window(x, element)


def dense_window(x: Value, element: int = 0) -> tuple[dict[str, int], int, int]:
    """Return the fields of a plain matrix whose rows are the last axis of ``x``."""
    rows = math.prod(x.shape[:-1])
    fields = {"rows": rows, "row_size": x.shape[-1], "kernel_w": 0, "element": element}
    return fields, 1, rows


def is_depthwise(node: Node, x: Value, w: Value) -> bool:
    """Return whether every channel has its own window and one output."""
    group = node.attributes.get("group", 1)
    return node.op.startswith("Conv") and group == x.shape[1] == w.shape[0] and group > 1
