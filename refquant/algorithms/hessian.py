r"""The Hessian of a layer's error, as a state that batches and machines can add to.

Quantizing a weight row w to :math:`\hat w` moves the layer's output by
:math:`(w - \hat w) x_t` for every token t, and the mean square of that is a quadratic form with

.. math::

    H = \frac{2}{n} \sum_{t=1}^{n} x_t x_t^T, \qquad x_t \in \mathbb{R}^k               \tag{1}

which is all that GPTQ and its kin need to know of the calibration data. A float sum depends on its
order, so on how the data were cut into batches, on the CPU and on the number of threads. Ours does
not, because it is a sum of integers. Token t is written on a grid of its own,

.. math::

    x_t \approx 2^{c_t - B}\, m_t, \qquad m_t = \operatorname{rint}(2^{B - c_t} x_t), \qquad
    \max_j |x_{tj}| < 2^{c_t}                                                           \tag{2}

where :math:`c_t` is the least **even** such exponent and B = 21, and for each c there is one sum,

.. math::

    S_c = \sum_{t : c_t = c} m_t m_t^T, \qquad H = \frac{2}{n} \sum_c 2^{2(c - B)} S_c  \tag{3}

:math:`|m| \le 2^{21}`, so 2048 tokens make sums of at most :math:`2^{53}`: exact in float64 BLAS
in any order. They are added in int64, which holds :math:`2^{21}` tokens. The grid of a token
depends on nothing but the token, so **any** split of the data, in any order, gives the same
:math:`S_c`, hence the same bits of H; c goes from small to large in (3).

What the grid costs: an element is off by at most :math:`2^{c_t - 22}`, which is :math:`2^{-20}` of
the token's largest or less. Two such factors and the few roundings of (3) in float64 together are
below

.. math::

    |H_{ij} - H_{ij}^{exact}| \le \frac{2}{n} \sum_t 2^{-20}\, 4^{c_t}                  \tag{4}

A float32 sum's own rounding is of that size. Memory: 8 k^2 bytes for each c that occurs; the
tokens of one layer are mostly within a factor of 16, two or three c.

Left out: weights of tokens, and products of two different inputs (GPTAQ).

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, section 3.1 (1). Demmel, Nguyen, "Parallel reproducible
summation", IEEE Trans. Computers 64, 2015 (sums that forget their order).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hessian"]

BITS = 21  # B of eq. (2)
CHUNK = 1 << (53 - 2 * BITS)  # tokens whose products are exact in float64
LARGEST_COUNT = (1 << (63 - 2 * BITS)) - 1  # tokens whose sum int64 holds


@dataclass(frozen=True, slots=True, eq=False)
class Hessian:
    """The sums of eq. (3) of ``count`` tokens with ``columns`` inputs each, by exponent c.

    Immutable: ``update`` and ``merge`` return new states. ``==`` compares values.

    >>> x = np.array([[1.0, 2.0], [0.0, -1.0], [0.5, 0.0]], np.float32)
    >>> whole = Hessian(2).update(x)
    >>> parts = Hessian(2).update(x[2:]).merge(Hessian(2).update(x[:2]))
    >>> whole == parts, (3 * whole.matrix()).tolist()
    (True, [[2.5, 4.0], [4.0, 10.0]])
    """

    columns: int
    count: int = 0
    sums: tuple[tuple[int, NDArray[np.int64]], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a layer without inputs."""
        if self.columns < 1:
            raise ValueError(f"columns must be at least 1, got {self.columns}")

    def update(self, batch: NDArray[np.float32]) -> Self:
        """Return the state after ``batch``, float32 (..., columns), each row a token: eq. (2, 3).

        ``ValueError`` for another dtype or width, for an empty batch, for NaN and infinity, and
        beyond 2**21 - 1 tokens in all. Tokens of zeros only count.
        """
        x = np.asarray(batch)
        if x.dtype != np.float32 or x.ndim < 1 or x.shape[-1] != self.columns or not x.size:
            raise ValueError(
                f"batch must be float32 (..., {self.columns}) and not empty, "
                f"got {x.dtype} {x.shape}"
            )
        if bad := int(np.count_nonzero(~np.isfinite(x))):
            raise ValueError(f"batch must be finite, got {bad} NaN or infinity in {x.size}")
        x = x.reshape(-1, self.columns)
        sums: dict[int, NDArray[np.int64]] = {}
        for exponent, units in _grids(x):
            product = (units.T @ units).astype(np.int64)  # exact: see CHUNK
            sums[exponent] = sums[exponent] + product if exponent in sums else product
        return self._with(x.shape[0], sums)

    def merge(self, other: Self) -> Self:
        """Return the state of both data sets: exact, in any order; ``columns`` must be equal."""
        if type(other) is not type(self) or other.columns != self.columns:
            raise ValueError(
                f"merge needs a Hessian of {self.columns} columns, got {type(other).__name__} "
                f"of {getattr(other, 'columns', 'none')}"
            )
        return self._with(other.count, dict(other.sums))

    def matrix(self) -> NDArray[np.float64]:
        """Return H, float64 (columns, columns), symmetric: eq. (3). No data is a ``ValueError``."""
        if not self.count:
            raise ValueError("no calibration data: call update(batch) before matrix()")
        h = np.zeros((self.columns, self.columns))
        for exponent, total in self.sums:
            h += np.ldexp(total.astype(np.float64), 2 * (exponent - BITS))
        return np.asarray(h * (2.0 / self.count))

    def __eq__(self, other: object) -> bool:
        """Two states are equal when their counts and all sums are."""
        if not isinstance(other, Hessian):
            return NotImplemented
        return (self.columns, self.count, len(self.sums)) == (
            other.columns,
            other.count,
            len(other.sums),
        ) and all(
            c == d and np.array_equal(s, t)
            for (c, s), (d, t) in zip(self.sums, other.sums, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def _with(self, count: int, added: dict[int, NDArray[np.int64]]) -> Self:
        """Return the state with ``count`` tokens and their sums more."""
        if self.count + count > LARGEST_COUNT:
            raise ValueError(
                f"a Hessian holds at most {LARGEST_COUNT} tokens, got {self.count} + {count}"
            )
        sums = dict(self.sums)
        for exponent, product in added.items():
            sums[exponent] = sums[exponent] + product if exponent in sums else product
        return type(self)(self.columns, self.count + count, tuple(sorted(sums.items(), key=_first)))


def _first(item: tuple[int, NDArray[np.int64]]) -> int:
    return item[0]


def _grids(x: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield c and the m of at most CHUNK tokens of that c, float64 integers: eq. (2)."""
    largest = np.abs(x).max(axis=1)
    exponent = np.frexp(largest)[1]
    exponent = exponent + (exponent & 1)  # the even one at or above
    for c in np.unique(exponent[largest > 0]).tolist():
        rows = np.flatnonzero((exponent == c) & (largest > 0))
        for start in range(0, rows.size, CHUNK):
            chunk = x[rows[start : start + CHUNK]].astype(np.float64)
            yield c, np.rint(np.ldexp(chunk, BITS - c))
