r"""Images of codes in another size: weighted means of four neighbours, with weights of b bits.

A row i of the output lies between the rows :math:`p_i` and :math:`r_i` of the input, its weight
:math:`u_i` steps of :math:`2^{-b}` from the first to the second; columns j likewise
(:math:`l_j`, :math:`k_j`, :math:`v_j`). With raw codes q, whose parameters input and output share,

.. math::

    a = (2^b - u_i)\,\bigl((2^b - v_j)\,q_{p_i l_j} + v_j\,q_{p_i k_j}\bigr)
        + u_i\,\bigl((2^b - v_j)\,q_{r_i l_j} + v_j\,q_{r_i k_j}\bigr), \qquad
    y_{ij} = \operatorname{round}(a / 2^{2b})                                               \tag{1}

The weights add up to 1, so the zero point goes through unchanged and y is a code. Rounding is
``half_up`` or ``half_away``. With :math:`b \le 11` every a of 8-bit codes fits int32.

Places and weights come with the model: tools choose them in arithmetics of their own.

Left out: codes of 16 bits; reals, which ``Gather``, ``Mul`` and ``Add`` resize.

Source: ``docs/spec/operators.md`` §12; LiteRT ``reference/resize_bilinear.h`` (b = 10, half away),
XNNPACK ``src/s8-ibilinear`` (b = 11, half up).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_BITS", "check_places", "resize_linear"]

MOST_BITS = 11
Array = NDArray[Any]


def resize_linear(x: Array, rows: Array, columns: Array, *, bits: int, rounding: str) -> Array:
    """Return eq. (1) of codes x (N, C, H, W): (N, C, H', W') of the same dtype.

    ``rows`` (H', 3) and ``columns`` (W', 3) hold first place, second place and weight.
    ``ValueError`` as `check_places`, and for another ``rounding``.

    >>> x = np.array([[[[0, 10]]]], np.int8)
    >>> rows, columns = np.array([[0, 0, 0]]), np.array([[0, 1, 0], [0, 1, 1], [0, 1, 2]])
    >>> resize_linear(x, rows, columns, bits=2, rounding="half_up").tolist()  # 10 / 4 is 2.5
    [[[[0, 3, 5]]]]
    """
    if x.ndim != 4 or x.dtype.name not in ("int8", "uint8"):
        raise ValueError(
            f"ResizeLinear: x must be 8-bit codes (N, C, H, W), got {x.dtype} {x.shape}"
        )
    if rounding not in ("half_up", "half_away"):
        raise ValueError(f"ResizeLinear: rounding must be half_up or half_away, got {rounding!r}")
    check_places("rows", rows, x.shape[2], bits)
    check_places("columns", columns, x.shape[3], bits)
    wide = _between(_between(x.astype(np.int64), columns, 3, bits), rows, 2, bits)
    half = np.int64(1) << (2 * bits - 1)
    if rounding == "half_up":
        made = (wide + half) >> (2 * bits)
    else:
        made = np.sign(wide) * ((np.abs(wide) + half) >> (2 * bits))
    return np.asarray(made, x.dtype)


def check_places(name: str, places: Array, length: int, bits: int) -> None:
    """Refuse ``places`` that are not two of ``length`` and a weight of ``bits`` bits.

    >>> check_places("rows", np.array([[0, 1, 5]]), 2, 2)
    Traceback (most recent call last):
    ...
    ValueError: ResizeLinear: rows: weights must be in [0, 4], got 5..5
    """
    if not 1 <= bits <= MOST_BITS:
        raise ValueError(f"ResizeLinear: bits must be in [1, {MOST_BITS}], got {bits}")
    if places.ndim != 2 or places.shape[1] != 3 or not len(places) or places.dtype.kind != "i":
        raise ValueError(
            f"ResizeLinear: {name} must be integers (size, 3), got {places.dtype} {places.shape}"
        )
    for what, part, most in (
        ("places", places[:, :2], length - 1),
        ("weights", places[:, 2], 1 << bits),
    ):
        if part.min() < 0 or part.max() > most:
            raise ValueError(
                f"ResizeLinear: {name}: {what} must be in [0, {most}], got "
                f"{int(part.min())}..{int(part.max())}"
            )


def _between(x: Array, places: Array, axis: int, bits: int) -> Array:
    """Return the weighted sum of two places along ``axis``, times 2**bits."""
    shape = [1] * x.ndim
    shape[axis] = len(places)
    weight = places[:, 2].astype(np.int64).reshape(shape)
    first, second = (np.take(x, places[:, i], axis) for i in (0, 1))
    result: Array = first * ((1 << bits) - weight) + second * weight
    return result
