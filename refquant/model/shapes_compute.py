"""Shapes of operators that sum: products, convolutions, pools, normalization.

Each rule takes the operator's name (for errors), the shapes of its inputs and its attributes.
"""

from collections.abc import Sequence

from refquant.model.graph import Shape
from refquant.model.operators_imported import SHAPES as IMPORTED
from refquant.model.shapes_common import (
    Attributes,
    axis_of,
    fixed,
    integer,
    ints,
    joined,
    need,
    within,
)
from refquant.numerics.hadamard import hadamard_base
from refquant.ops.windows import plan_window

__all__ = [
    "batch_norm",
    "conv",
    "gemm",
    "global_pool",
    "hadamard",
    "matmul",
    "pool",
    "product_of_codes",
    "softmax",
]

Shapes = Sequence[Shape]


def conv(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (N, M, output) of a convolution of x, w and perhaps a bias."""
    x, group = shapes[0], integer(attributes, "group", 1)
    w = fixed(op, "w", shapes[1])
    if len(x) not in (3, 4) or len(w) != len(x):
        raise ValueError(
            f"{op}: x is (N, C, L) or (N, C, H, W) and w has as many axes, "
            f"got {list(x)} and {list(w)}"
        )
    (channels,), out_channels = fixed(op, "the channels", x[1:2]), w[0]
    if group < 1 or channels < 1 or out_channels < 1 or channels % group or out_channels % group:
        raise ValueError(
            f"{op}: group divides the channels, got {group} for {channels} in, {out_channels} out"
        )
    if w[1] * group != channels:
        raise ValueError(
            f"{op}: w is (M, C/group, kernel) with C/group = {channels // group}, got {list(w)}"
        )
    if len(shapes) == 3:
        need(op, "the bias", shapes[2], (out_channels,))
    kernel = ints(attributes, "kernel_shape")
    need(op, "kernel_shape", w[2:] if kernel is None else kernel, w[2:])
    window = plan_window(
        op,
        fixed(op, "the window over", x[2:]),
        kernel=w[2:],
        strides=ints(attributes, "strides"),
        pads=ints(attributes, "pads"),
        dilations=ints(attributes, "dilations"),
    )
    return ((x[0], out_channels, *window.output),)


def gemm(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (M, N) of a two-dimensional product."""
    x, w = shapes[:2]
    if len(x) != 2 or len(w) != 2:
        raise ValueError(f"{op}: both operands have two axes, got {list(x)} and {list(w)}")
    w = fixed(op, "w", w)
    product = matmul(op, [x, w[::-1] if integer(attributes, "transB", 0) else w], {})
    if len(shapes) == 3:
        need(op, "the bias", shapes[2], product[0][-1:])
    return product


def matmul(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (..., M, N) of a product, leading axes broadcast."""
    x, w = shapes[:2]
    if len(x) < 2 or len(w) < 2 or x[-1] != w[-2] or 0 in (x[-1], w[-1]):
        raise ValueError(
            f"{op}: the operands are (..., M, K) and (..., K, N) with K, N >= 1, "
            f"got {list(x)} and {list(w)}"
        )
    within(op, "the sum over", x[-1:])
    result = (*joined(op, x[:-2], w[:-2]), x[-2], w[-1])
    if len(shapes) == 3:
        need(op, "the bias", shapes[2], result[-1:])
    return (result,)


def product_of_codes(
    op: str, shapes: Sequence[Shape | None], attributes: Attributes
) -> tuple[Shape, ...]:
    """Infer ``..Integer`` and ``..IntegerToFloat``; zero points and scales have no say."""
    x, w = shapes[:2]
    operands = [shape for shape in (x, w) if shape is not None]
    if op.endswith("ToFloat") and len(shapes) == 5 and shapes[4] is not None:
        operands.append(shapes[4])
    if op == "ConvTransposeIntegerToFloat":
        return IMPORTED["ConvTranspose"](op, operands, attributes)
    return (conv if op.startswith("Conv") else matmul)(op, operands, attributes)


def pool(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (N, C, output) of a pool."""
    x = shapes[0]
    if len(x) not in (3, 4) or x[1] == 0:
        raise ValueError(f"{op}: x is (N, C, L) or (N, C, H, W) with C >= 1, got {list(x)}")
    dilations = ints(attributes, "dilations")
    if dilations is not None and set(dilations) != {1}:
        raise ValueError(f"{op}: dilations are 1, got {list(dilations)}")
    window = plan_window(
        op,
        fixed(op, "the window over", x[2:]),
        kernel=ints(attributes, "kernel_shape") or (),
        strides=ints(attributes, "strides"),
        pads=ints(attributes, "pads"),
        dilations=dilations,
    )
    # A window all of padding has no maximum, and counting no element an average of 0 / 0.
    for axis, kernel in enumerate(window.kernel):
        if max(window.begins[axis], window.ends[axis]) >= kernel:
            raise ValueError(f"{op}: pads are less than the kernel, got pads {attributes['pads']}")
    return ((*x[:2], *window.output),)


def global_pool(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (N, C, 1, ...)."""
    x = shapes[0]
    if len(x) not in (3, 4) or 0 in x[1:]:
        raise ValueError(f"{op}: x is (N, C, L) or (N, C, H, W), not empty, got {list(x)}")
    fixed(op, "the window over", x[2:])
    return ((*x[:2], *(1,) * (len(x) - 2)),)


def batch_norm(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of x, whose parameters are (C,)."""
    x = shapes[0]
    if len(x) < 2 or x[1] == 0:
        raise ValueError(f"{op}: x is (N, C, ...) with C >= 1, got {list(x)}")
    epsilon = attributes.get("epsilon", 1e-5)
    if not isinstance(epsilon, int | float) or epsilon < 0:
        raise ValueError(f"{op}: epsilon is >= 0, got {epsilon!r}")
    for name, shape in zip(("scale", "bias", "mean", "variance"), shapes[1:], strict=True):
        need(op, name, shape, (x[1],))
    return (x,)


def hadamard(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of x, whose axis is whole blocks that have a Hadamard matrix."""
    x = shapes[0]
    axis = axis_of(op, x, integer(attributes, "axis", -1))
    (n,) = fixed(op, "the sums over", x[axis : axis + 1])
    size = integer(attributes, "block_size", 0) or n
    if size < 1 or n % size:
        raise ValueError(f"{op}: block_size divides the {n} elements of the axis, got {size}")
    try:
        hadamard_base(size)
    except ValueError as error:
        raise ValueError(f"{op}: block_size: {error}") from error
    if len(shapes) == 2:
        need(op, "signs", shapes[1], (n,))
    return (x,)


def softmax(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of x; the axis must not be the batch, nor empty."""
    axis = axis_of(op, shapes[0], integer(attributes, "axis", -1))
    if 0 in within(op, "the sum over", shapes[0][axis : axis + 1]):
        raise ValueError(f"{op}: axis {axis} of {list(shapes[0])} is empty")
    if len(shapes) == 2:
        entries = shapes[1] if shapes[1] == (65536,) else (256,)  # of codes of 16 bits
        need(op, "the table (input 1)", shapes[1], entries)
    return (shapes[0],)
