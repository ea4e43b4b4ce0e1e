r"""What a decoder asks before it decodes: codes that exist, parameters that fit.

Codes and parameters come out of files, so a decoder meets codes that no encoder wrote. NumPy would
let most of them through: code -1 is the last entry of a table, code 5 of a ternary is five scales,
a scale of another shape makes a tensor of another shape. So each decoder states its range once:

.. math::

    q_{min} \le k_i \le q_{max}, \qquad
    \operatorname{broadcast}(\mathrm{shape}(s), \mathrm{shape}(k)) = \mathrm{shape}(k) \tag{1}

Left out: what a NaN or an infinity among the parameters means; it decodes as IEEE says.

References
----------
``CONTRIBUTING.md``, rule 6: what has no meaning is refused, never repaired in silence.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.blocks import is_integer

__all__ = [
    "as_array",
    "code_array",
    "count_of",
    "parameter_array",
    "row_length",
    "scale_bytes",
    "tensor_number",
]

F32 = NDArray[np.float32]


def code_array(
    codes: ArrayLike, *, low: int, high: int, name: str = "codes"
) -> NDArray[np.integer[Any]]:
    """Return ``codes`` as an array of integers in [low, high]: eq. (1), left.

    >>> code_array([0, 3], low=0, high=3).tolist()
    [0, 3]
    >>> code_array(np.array([-1], np.int8), low=0, high=3)
    Traceback (most recent call last):
    ...
    ValueError: codes must be in 0..3, got -1..-1
    """
    array = as_array(codes, name, "integers")
    if not array.size and isinstance(codes, list):
        array = array.astype(np.uint8)  # NumPy gives [] a float type
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, got {array.dtype}")
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        got = f"{int(array.min())}..{int(array.max())}"
        raise ValueError(f"{name} must be in {low}..{high}, got {got}")
    return array


def parameter_array(values: ArrayLike, *, name: str, shape: tuple[int, ...]) -> F32:
    """Return the float32 ``values``, which broadcast against ``shape``, that of the codes: eq. (1).

    >>> parameter_array(np.float32(0.5), name="scale", shape=(2, 3)).tolist()
    0.5
    """
    array = as_array(values, name, "float32")
    if array.dtype != np.float32:
        raise ValueError(f"{name} must be float32, got {array.dtype}")
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} must broadcast against codes of shape {shape}, got {array.shape}")
    return array


def scale_bytes(scales: ArrayLike, *, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the stored ``scales`` of blocks, which must be uint8 of this shape.

    >>> scale_bytes(np.array([127], np.uint8), shape=(1,)).tolist()
    [127]
    """
    array = as_array(scales, "scales", "uint8")
    if array.dtype != np.uint8 or array.shape != shape:
        raise ValueError(f"scales must be uint8 of shape {shape}, got {array.dtype} {array.shape}")
    return array


def tensor_number(value: Any, *, name: str) -> np.float32:
    """Return one real number of at least 0 as float32; infinity is one, NaN is not.

    >>> float(tensor_number(0.5, name="tensor_scale"))
    0.5
    """
    array = as_array(value, name, "one number")
    if array.size != 1 or array.dtype.kind not in "fiu" or not array.reshape(-1)[0] >= 0:
        raise ValueError(f"{name} must be one real number of at least 0, got {value!r}")
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(array.reshape(-1)[0])


def count_of(value: Any, *, name: str, low: int = 1) -> int:
    """Return ``value`` as an int of at least ``low``: a block's size, a number of bits.

    >>> count_of(np.int64(64), name="block_size")
    64
    >>> count_of(2.0, name="block_size")
    Traceback (most recent call last):
    ...
    ValueError: block_size must be an integer of at least 1, got 2.0
    """
    if not is_integer(value) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}")
    return int(value)


def as_array(values: ArrayLike, name: str, what: str) -> NDArray[Any]:
    """Return ``values`` as an array; rows of different lengths are a ``ValueError``.

    >>> as_array([[1], [2, 3]], "codes", "integers")
    Traceback (most recent call last):
    ...
    ValueError: codes must be an array of integers; its rows have different lengths
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(
            f"{name} must be an array of {what}; its rows have different lengths"
        ) from None


def row_length(x: ArrayLike) -> int:
    """Return n of ``x`` of shape (..., n), 0 for a number.

    >>> row_length(np.zeros((2, 32), np.float32))
    32
    """
    shape = as_array(x, "x", "float32").shape
    return shape[-1] if shape else 0
