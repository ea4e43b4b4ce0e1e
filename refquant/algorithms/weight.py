r"""What a weight quantizer returns: codes of a matrix, and the ruler of each group of a row.

A weight matrix has one row an output, one column an input: shape (n, k). Column j of row i belongs
to the group :math:`g_j`, and

.. math::

    \hat w_{ij} = s_{i g_j} (q_{ij} - z_{i g_j})                                  \tag{1}

in float32: the difference first, then the product. ``g_idx`` is the list of the :math:`g_j`. Groups
are runs of ``group_size`` columns unless an algorithm that orders the columns has made others
(GPTQ's act-order without static groups).

References
----------
AutoGPTQ, ``g_idx``; refquant/formats/affine.py (the same ruler, for blocks that are boxes).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["QuantizedWeight", "group_indices"]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeight:
    """Codes, integers (n, k); ``scale`` float32 (n, groups); ``zero_point`` (n, groups); ``g_idx``.

    ``g_idx`` is (k,). ``zero_point`` holds integers, or float32 where a format has float zero
    points. ``num_bits`` and ``signed`` say which codes there are.

    >>> w = QuantizedWeight(np.array([[1, 3]]), np.array([[0.5]], np.float32), np.array([[1]]),
    ...                     np.array([0, 0]), num_bits=2, signed=False)
    >>> w.dequantize().tolist()
    [[0.0, 1.0]]
    """

    codes: NDArray[np.integer[Any]]
    scale: NDArray[np.float32]
    zero_point: NDArray[Any]
    g_idx: NDArray[np.integer[Any]]
    num_bits: int
    signed: bool

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        n, k = self.codes.shape if self.codes.ndim == 2 else (-1, -1)
        groups = self.scale.shape[1] if self.scale.ndim == 2 else -1
        if n < 0 or self.scale.shape != (n, groups) or self.zero_point.shape != (n, groups):
            raise ValueError(
                "codes must be (n, k), scale and zero_point (n, groups), got shapes "
                f"{self.codes.shape}, {self.scale.shape}, {self.zero_point.shape}"
            )
        if self.g_idx.shape != (k,) or (
            k and not 0 <= self.g_idx.min() <= self.g_idx.max() < groups
        ):
            raise ValueError(f"g_idx must be {k} indices of {groups} groups, got {self.g_idx}")

    def dequantize(self) -> NDArray[np.float32]:
        """Return the matrix, float32 (n, k): eq. (1).

        >>> one = np.ones((1, 1), np.float32)
        >>> zero = np.zeros((1, 1), np.int32)
        >>> w = QuantizedWeight(np.array([[-8]]), one, zero, np.array([0]), 4, True)
        >>> w.dequantize().tolist()
        [[-8.0]]
        """
        zero_point = self.zero_point.astype(np.float32)[:, self.g_idx]
        difference = self.codes.astype(np.float32) - zero_point
        return np.asarray(difference * self.scale[:, self.g_idx], np.float32)


def group_indices(k: int, *, group_size: int | None) -> NDArray[np.int32]:
    """Return ``g_idx`` of runs of ``group_size`` columns; None is one group a row.

    ``ValueError`` if ``group_size`` does not divide ``k``: a short last group is another format.

    >>> group_indices(6, group_size=2).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    size = k if group_size is None else group_size
    if size < 1 or k % size:
        raise ValueError(f"group_size must divide the {k} columns of the weight, got {group_size}")
    return (np.arange(k) // size).astype(np.int32)
