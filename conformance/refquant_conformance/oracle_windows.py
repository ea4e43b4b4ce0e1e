r"""The exact oracle of windows: which elements an output of a convolution or a pool sees.

With strides s, dilations d and pads p (top, left, bottom, right), output (i, j) sees at kernel
position (k, l) the element

.. math::

    (i s_0 + k d_0 - p_0,\; j s_1 + l d_1 - p_1)    \tag{1}

of an image of H rows and W columns, or padding where that is outside.

References
----------
ONNX, Conv-22 and AveragePool-22: attributes of the same names.
"""

__all__ = ["output_size", "places"]

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def output_size(size: Pair, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair) -> Pair:
    """Return the rows and columns of the output: the windows that fit, all of the window.

    >>> output_size((5, 5), (3, 3), (2, 2), (1, 1, 0, 0), (1, 1))
    (2, 2)
    """
    found = []
    for axis in (0, 1):
        reach = dilations[axis] * (kernel[axis] - 1)
        last = size[axis] + pads[axis] + pads[axis + 2] - 1 - reach  # where the last may start
        found.append(len(range(0, last + 1, strides[axis])))
    return found[0], found[1]


def places(
    at: Pair, size: Pair, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair
) -> list[Pair | None]:
    """Return the element of each kernel position, row by row; None for padding: eq. (1).

    >>> places((0, 0), (2, 2), (2, 2), (1, 1), (1, 0, 0, 0), (1, 1))
    [None, None, (0, 0), (0, 1)]
    """
    found: list[Pair | None] = []
    for k in range(kernel[0]):
        for m in range(kernel[1]):
            row = at[0] * strides[0] + k * dilations[0] - pads[0]
            column = at[1] * strides[1] + m * dilations[1] - pads[1]
            inside = 0 <= row < size[0] and 0 <= column < size[1]
            found.append((row, column) if inside else None)
    return found
