r"""What GPTQ rounds to: any set of marks that a group of columns can be given.

GPTQ decides *in which order* weights are rounded and *who pays* for each error. What a weight may
become is not its business, and it asks for two things only:

.. math::

    R_G = \mathrm{ruler}(W_{:,G}), \qquad
    (q, \hat w) = \mathrm{quantize\_column}(w, R_G)                                      \tag{1}

a ruler from the weights of a group of columns, one set of marks a row; and a column's codes and
values by it. ``Target`` is that protocol. Here are the two that most formats need: evenly spaced
integers (every contract of ``refquant.formats.affine``), and a table of levels with one scale a
group (NF4, FP4):

.. math::

    s = \mathrm{scale}\left(\frac{\max_{j \in G} |w_{ij}|}{\max_l |L_l|}\right), \qquad
    q = \arg\min_l \left| L_l - w / s \right|, \qquad \hat w = \mathrm{f32}(s\,L_q)      \tag{2}

in float32, the lower code at a tie and s = 1 for a group of zeros; ``scale`` rounds s to what the
format can store (a power of two for MXFP4). A format with a second, global scale (NVFP4) makes it
from the whole matrix before, and its ``ruler`` closes over it.

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, section 3.3; Egiazarian et al., "Bridging the Gap Between
Promise and Performance for Microscaling FP4 Quantization" (MR-GPTQ), arXiv:2509.23202.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.rtn import Clip
from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams, dequantize, quantize

__all__ = ["AffineTarget", "LevelTarget", "Target"]

F32 = NDArray[np.float32]
Codes = NDArray[np.integer[Any]]
RulerT = TypeVar("RulerT")


class Target(Protocol[RulerT]):
    """What to round to: eq. (1) (structural: nothing inherits from it)."""

    def ruler(self, weights: F32, /) -> RulerT:
        """Return the marks of a group of columns, float32 (n, g), for each of the n rows."""
        ...

    def quantize_column(self, column: F32, ruler: RulerT, /) -> tuple[Codes, F32]:
        """Return codes (n,) and values float32 (n,) of a column, float32 (n,), by ``ruler``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineTarget:
    """Evenly spaced marks: ``dtype``, ``symmetric``, ``contract`` and ``clip`` as in ``rtn``.

    >>> from refquant.algorithms.rtn import min_max
    >>> from refquant.contracts import preset
    >>> target = AffineTarget(dtype="uint2", symmetric=False, contract=preset("gptq"), clip=min_max)
    >>> codes, values = target.quantize_column(
    ...     np.array([1.4], np.float32), target.ruler(np.array([[0, 3]], np.float32)))
    >>> codes.tolist(), values.tolist()
    ([1], [1.0])
    """

    dtype: str
    symmetric: bool
    contract: Contract
    clip: Clip

    def ruler(self, weights: F32) -> QParams:
        """Return scales and zero points, (n,) each."""
        lo, hi = self.clip(weights)
        return choose_qparams(
            lo,
            hi,
            dtype=self.dtype,
            symmetric=self.symmetric,
            contract=self.contract,
            block_shape=(1,),
        )

    def quantize_column(self, column: F32, ruler: QParams) -> tuple[Codes, F32]:
        """Return codes and values by the contract."""
        codes = quantize(column, ruler, contract=self.contract)
        return codes, dequantize(codes, ruler)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelTarget:
    """A table of ``levels``, float32, ascending, and one scale a group: eq. (2).

    ``round_scale`` maps positive float32 scales to those that can be stored, positive as well.

    >>> e2m1 = np.array([-6, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 6], np.float32)
    >>> target = LevelTarget(levels=e2m1, round_scale=np.abs)
    >>> scale = target.ruler(np.array([[12.0, -3.0]], np.float32))
    >>> [a.tolist() for a in target.quantize_column(np.array([-3.2], np.float32), scale)]
    [[3], [-4.0]]
    """

    levels: F32
    round_scale: Callable[[F32], F32]

    def __post_init__(self) -> None:
        """Refuse a table that is no ascending list of finite float32."""
        levels = self.levels
        if (
            levels.dtype != np.float32
            or levels.ndim != 1
            or levels.size < 2
            or not np.isfinite(levels).all()
            or (levels[1:] <= levels[:-1]).any()
        ):
            raise ValueError(f"levels must be ascending finite float32, at least 2, got {levels}")

    def ruler(self, weights: F32) -> F32:
        """Return the scales, (n,)."""
        amax = np.abs(weights).max(axis=1)
        wanted = (amax / np.abs(self.levels).max()).astype(np.float32)
        scale = np.asarray(self.round_scale(np.where(wanted > 0, wanted, np.float32(1))))
        if scale.dtype != np.float32 or not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError(f"round_scale must return positive finite float32, got {scale}")
        return scale

    def quantize_column(self, column: F32, ruler: F32) -> tuple[Codes, F32]:
        """Return the index of the nearest level, and the level times the scale."""
        with np.errstate(over="ignore"):  # beyond float32 is beyond the last level
            x = np.clip(column / ruler, self.levels[0], self.levels[-1])
        distance = np.abs(self.levels[None, :] - x[:, None])
        codes = distance.argmin(axis=1).astype(np.uint16)
        return codes, np.asarray(self.levels[codes] * ruler, np.float32)
