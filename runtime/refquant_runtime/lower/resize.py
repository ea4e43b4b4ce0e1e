"""ResizeLinear: places and weights are constants that the kernel reads beside the image."""

import math

from refquant_runtime.graph import Node
from refquant_runtime.kernels import resize
from refquant_runtime.lower.context import FIRST, LAST, Lowering, Params

__all__ = ["lower_resize"]


def lower_resize(ctx: Lowering, node: Node) -> None:
    """Lower ResizeLinear."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source, target = ctx.read(x.name, LAST), ctx.write(y.name, LAST)
    rows, columns = (ctx.read(name, FIRST) for name in node.inputs[1:])
    params: Params = {
        "x": source, "y": target, "rows": rows, "columns": columns, "samples": x.shape[0],
        "height": x.shape[2], "width": x.shape[3], "out_height": y.shape[2],
        "out_width": y.shape[3], "n": x.shape[1], "bits": node.attributes["bits"],
        "away": int(node.attributes["rounding"] == "half_away"), "signed": int(x.dtype == "int8"),
    }  # fmt: skip
    ctx.emit(
        resize.resize_linear, resize.RESIZE, params=params, reads=[source, rows, columns],
        writes=[target], macs=4 * math.prod(y.shape),
    )  # fmt: skip
