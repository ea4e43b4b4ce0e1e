r"""What every observer shares: the form of an observer, and the one check of its data.

An observer answers "which range should these numbers be quantized over?" without keeping
the numbers. It is an immutable state :math:`S`; two operations make it fit a stream and a
cluster alike:

.. math::

    S' = \mathrm{update}(S, X), \qquad S = \mathrm{merge}(S_a, S_b)                     \tag{1}

The law behind them is that a state depends on the data and not on how they were cut:

.. math::

    \mathrm{merge}(\mathrm{update}(S_0, A), \mathrm{update}(S_0, B))
        = \mathrm{update}(\mathrm{update}(S_0, A), B)                                   \tag{2}

Every observer here obeys (2) exactly, except the moving average, whose purpose is to
depend on the order.

Data policy, the same for all: float32 only, no empty batch, no NaN, no infinity. A
calibration set that holds one is broken, and a range computed from it would be as well;
the observer says so and repairs nothing.
"""

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams

__all__ = ["Observer", "Range", "check_batch", "check_mergeable", "require_data", "require_integer"]

Range = tuple[np.float32, np.float32]


class Observer(Protocol):
    """A mergeable, immutable summary of data (structural: nothing inherits from it)."""

    def update(self, batch: NDArray[np.float32], /) -> Self:
        """Return the state after one more batch of any shape."""
        ...

    def merge(self, other: Self, /) -> Self:
        """Return the state of both states' data; settings must be equal."""
        ...

    def range(self) -> Range:
        """Return ``(lo, hi)``, ``lo <= hi``, in the unit of the data."""
        ...

    def qparams(self, *, dtype: str, symmetric: bool, contract: Contract) -> QParams:
        """Return one scale and zero point for all data."""
        ...


def check_batch(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``batch`` if an observer may see it: float32, not empty, finite.

    >>> check_batch(np.array([1.0, np.inf], np.float32))
    Traceback (most recent call last):
    ValueError: batch must be finite, got 1 NaN or infinity in 2 elements
    """
    if not isinstance(batch, (np.ndarray, np.float32)) or batch.dtype != np.float32:
        got = getattr(batch, "dtype", type(batch).__name__)
        raise ValueError(f"batch must be a float32 array, got {got}")
    if batch.size == 0:
        raise ValueError(f"batch must not be empty, got shape {batch.shape}")
    bad = int(np.count_nonzero(~np.isfinite(batch)))
    if bad:
        raise ValueError(
            f"batch must be finite, got {bad} NaN or infinity in {batch.size} elements"
        )
    return np.asarray(batch)


def require_data(count: int) -> None:
    """Raise unless at least one batch was seen.

    >>> require_data(0)
    Traceback (most recent call last):
    ValueError: no data: call update(batch) before range() or qparams(), got 0 elements
    """
    if count == 0:
        raise ValueError("no data: call update(batch) before range() or qparams(), got 0 elements")


def require_integer(name: str, value: object, *, low: int, high: int) -> None:
    """Raise unless the option ``name`` is an integer in ``[low, high]``.

    >>> require_integer("bins", 1, low=2, high=65536)
    Traceback (most recent call last):
    ValueError: bins must be an integer in [2, 65536], got 1
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be an integer in [{low}, {high}], got {value}")


def check_mergeable(a: object, b: object, *, settings: tuple[str, ...]) -> None:
    """Raise unless ``a`` and ``b`` are the same observer with equal ``settings``.

    >>> check_mergeable(1, 2.0, settings=())
    Traceback (most recent call last):
    ValueError: merge needs two states of one observer, got int and float
    """
    if type(a) is not type(b):
        names = f"{type(a).__name__} and {type(b).__name__}"
        raise ValueError(f"merge needs two states of one observer, got {names}")
    for name in settings:
        first: Any = getattr(a, name)
        second: Any = getattr(b, name)
        if first != second:
            raise ValueError(f"merge needs equal {name}, got {first} and {second}")
