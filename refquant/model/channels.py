"""Where the output channels of a layer's weight are.

::

    Conv, Gemm transB    (n, ...)             axis 0
    MatMul, Gemm         (k, n)               axis 1, the last
    ConvTranspose        (C, n/group, ...)    axis 1 of each of the groups, which cut axis 0
"""

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Node

__all__ = ["along_channels", "channel_axis", "channel_count", "groups_of"]


def channel_axis(node: Node, ndim: int) -> int:
    """Return the axis of the output channels of a weight of ``ndim`` axes.

    >>> channel_axis(Node("y", "MatMul", ("x", "w"), ("y",)), 2)
    1
    """
    if node.op == "ConvTranspose":
        return 1
    rows = node.op == "Conv" or node.attributes.get("transB", 0) == 1
    return 0 if rows else ndim - 1


def channel_count(node: Node, shape: tuple[int, ...]) -> int:
    """Return how many output channels a weight of ``shape`` gives.

    >>> up = Node("y", "ConvTranspose", ("x", "w"), ("y",), {"group": 4})
    >>> channel_count(up, (8, 3, 2, 2))
    12
    """
    each = shape[channel_axis(node, len(shape))]
    return each * groups_of(node) if node.op == "ConvTranspose" else each


def groups_of(node: Node) -> int:
    """Return ``group``, 1 where there is none.

    >>> groups_of(Node("y", "MatMul", ("x", "w"), ("y",)))
    1
    """
    group = node.attributes.get("group", 1)
    assert isinstance(group, int), "check_signature: an integer"
    return group


def along_channels(
    node: Node, shape: tuple[int, ...], numbers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``numbers``, one an output channel, as an array that broadcasts with the weight.

    >>> up = Node("y", "ConvTranspose", ("x", "w"), ("y",), {"group": 2})
    >>> along_channels(up, (4, 1, 3), np.array([5.0, 7.0]))[:, 0, 0].tolist()
    [5.0, 5.0, 7.0, 7.0]
    """
    if node.op == "ConvTranspose":
        groups = groups_of(node)
        each = np.repeat(numbers.reshape(groups, -1), shape[0] // groups, axis=0)
        return each.reshape(shape[0], shape[1], *(1,) * (len(shape) - 2))
    axis = channel_axis(node, len(shape))
    return numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))])
