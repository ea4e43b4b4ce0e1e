r"""GPTQ: round the columns one after the other, and let the rest make up for each error.

Rounding to nearest treats weights as if they did not know each other. But inputs are correlated:
an error in one column can be undone by the columns whose inputs move with it. What counts is the
layer's output, for each row w of the weight matrix

.. math::

    L(\hat w) = (w - \hat w)\, H\, (w - \hat w)^T, \qquad H = \frac{2}{n} X X^T          \tag{1}

(``refquant.algorithms.hessian``). Fix :math:`w_j` to its mark, and the optimal answer of all free
columns F has a closed form (Optimal Brain Surgeon):

.. math::

    \delta_F = -\frac{w_j - \hat w_j}{[H_F^{-1}]_{jj}}\, [H_F^{-1}]_{j,:}               \tag{2}

All rows take the columns in one order, so they share the inverses, and these are the rows of one
triangle: with :math:`(H + \lambda I)^{-1} = U^T U` (``refquant.algorithms.gptq_factor``)

.. math::

    e_j = \frac{w_j - \hat w_j}{U_{jj}}, \qquad w_{j'} \leftarrow w_{j'} - e_j U_{jj'}
        \quad (j' > j), \qquad L_\lambda(\hat w) = \sum_j e_j^2                          \tag{3}

the last for H + lambda I. Columns go in blocks: (3) inside, and after a block B of them at once

.. math::

    W_{:,j'} \leftarrow W_{:,j'} - E_B\, U_{B,j'} \qquad (j' \text{ after the block})    \tag{4}

**Order.** Natural, or by ``act_order`` the largest :math:`H_{jj}` first (at a tie the lower index),
so that errors of what matters most can still be spread.

**Groups** get their ruler from ``static`` (the original weights; g_idx are plain runs), ``lazy``
(when the walk reaches them, from the weights as the *block's start* left them, as in the authors'
code) or ``fresh`` (with the block's own updates, too; the same where groups start with blocks).
With ``act_order`` the last two make groups of columns that are not neighbours.
One group a row is the original weights' in each case, dead columns included, as the authors do.

**Dead columns** (:math:`H_{jj} = 0`: the input never was nonzero): weight 0, and 1 in H.

**Arithmetic.** W, U and errors in float64, columns to float32 where the target rounds them.
(3) is element by element, (4) ``matmul_sliced``: the codes do not depend on CPU or threads. The
authors compute all in float32; what that changes: ``docs/concepts/gptq.md``.

References
----------
Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", arXiv:2210.17323, eq. (2)-(5), algorithm 1;
IST-DASLab/gptq ``gptq.py``. ``act_order``, static groups: the same repository's README.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.gptq_factor import inverse_factor
from refquant.algorithms.gptq_target import AffineTarget, Target
from refquant.algorithms.rtn import check_weight
from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.numerics.ranges import dtype_range
from refquant.numerics.sliced_matmul import matmul_sliced

__all__ = ["GROUPS", "GptqResult", "GptqSettings", "gptq", "gptq_affine"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
RulerT = TypeVar("RulerT")

GROUPS = ("static", "lazy", "fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class GptqSettings:
    """How to walk. The defaults are the authors', but for ``damp_increment`` (theirs: none).

    ``group_size`` (None: a row), ``groups`` one of ``GROUPS``, ``act_order``, ``block_size`` >= 1
    (speed; and what ``lazy`` sees), ``damp`` and ``damp_increment`` of ``inverse_factor``.

    >>> GptqSettings(group_size=64).block_size
    128
    """

    group_size: int | None = None
    groups: str = "lazy"
    act_order: bool = False
    block_size: int = 128
    damp: float = 0.01
    damp_increment: float = 0.01

    def __post_init__(self) -> None:
        """Refuse settings that are none; numbers about the data are checked with them."""
        if self.groups not in GROUPS or self.block_size < 1:
            raise ValueError(
                f"groups must be one of {', '.join(GROUPS)} and block_size >= 1, "
                f"got {self.groups!r} and {self.block_size}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class GptqResult(Generic[RulerT]):
    """Codes (n, k), values float32 (n, k), a ruler for each group, and g_idx (k,).

    ``loss`` is float64 (n,), eq. (3) of each row; ``damp`` is the one that made H definite.
    """

    codes: Ints
    values: F32
    rulers: tuple[RulerT, ...]
    g_idx: NDArray[np.int32]
    loss: F64
    damp: float


def gptq(w: F32, h: F64, *, target: Target[RulerT], settings: GptqSettings) -> GptqResult[RulerT]:
    """Return ``w``, float32 (n, k), rounded to ``target``'s marks by eq. (3) and (4).

    ``h`` is float64 (k, k), symmetric, finite, with a diagonal that is not negative; its unit only
    shows in ``loss``. ``ValueError`` for others, for a group size that does not divide k, for a w
    that is empty or not finite, and if no damping makes h positive definite.

    >>> from refquant.algorithms.rtn import min_max
    >>> from refquant.contracts import preset
    >>> w = np.array([[0.4, 0.4, 3.0]], np.float32)  # marks 0, 1, 2, 3
    >>> h = np.array([[2.0, 1.9, 0.0], [1.9, 2.0, 0.0], [0.0, 0.0, 2.0]])  # 0 and 1 move together
    >>> target = AffineTarget(dtype="uint2", symmetric=False, contract=preset("gptq"), clip=min_max)
    >>> gptq(w, h, target=target, settings=GptqSettings()).codes.tolist()  # nearest: 0, 0, 3
    [[0, 1, 3]]
    """
    w = check_weight(w)
    k = w.shape[1]
    h = _checked_hessian(h, k)
    natural = group_indices(k, group_size=settings.group_size)
    dead = np.diag(h) == 0
    h[dead, dead] = 1.0
    alive = np.where(dead, np.float32(0), w)
    order = np.arange(k)
    if settings.act_order:
        order = np.argsort(-np.diag(h), kind="stable")
    u, damp = inverse_factor(
        h[np.ix_(order, order)], damp=settings.damp, damp_increment=settings.damp_increment
    )
    static = settings.groups == "static" or settings.group_size is None
    g_idx, rulers = natural, []
    if static:
        first = w if settings.group_size is None else alive
        rulers = [target.ruler(first[:, natural == g]) for g in range(natural[-1] + 1)]
    else:
        g_idx = np.empty_like(natural)
        g_idx[order] = natural
    state = _Walk(alive[:, order].T.astype(np.float64), u, g_idx[order], rulers)
    codes, values, loss = _walk(state, target, settings)
    back = np.argsort(order, kind="stable")
    return GptqResult(codes[back].T.copy(), values[back].T.copy(), tuple(rulers), g_idx, loss, damp)


def gptq_affine(w: F32, h: F64, *, target: AffineTarget, settings: GptqSettings) -> QuantizedWeight:
    """Return ``gptq`` of evenly spaced marks as a ``QuantizedWeight``.

    >>> from refquant.algorithms.rtn import min_max
    >>> from refquant.contracts import preset
    >>> target = AffineTarget(dtype="uint4", symmetric=True, contract=preset("gptq"), clip=min_max)
    >>> q = gptq_affine(np.array([[-7.5, 1.0]], np.float32), np.eye(2), target=target,
    ...                 settings=GptqSettings())
    >>> q.codes.tolist(), q.zero_point.tolist(), q.dequantize().tolist()
    ([[0, 9]], [[8]], [[-8.0, 1.0]])
    """
    result = gptq(w, h, target=target, settings=settings)
    qmin, qmax = dtype_range(target.dtype)
    return QuantizedWeight(
        result.codes,
        np.stack([np.asarray(r.scale) for r in result.rulers], axis=1),
        np.stack([np.asarray(r.zero_point) for r in result.rulers], axis=1),
        result.g_idx,
        num_bits=(qmax - qmin).bit_length(),
        signed=qmin < 0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Walk(Generic[RulerT]):
    """What the walk goes over, in its order: ``w`` (k, n), a row a column of the matrix; U; groups.

    ``rulers`` grows as groups are reached; ``w`` is overwritten.
    """

    w: F64
    u: F64
    groups: NDArray[np.int32]
    rulers: list[RulerT]


def _walk(
    state: _Walk[RulerT], target: Target[RulerT], settings: GptqSettings
) -> tuple[Ints, F32, F64]:
    """Return codes and values (k, n), and the loss of each row (n,): eq. (3), (4)."""
    k, n = state.w.shape
    codes: list[Ints] = []
    values, loss = np.empty((k, n), np.float32), np.zeros(n)
    for start in range(0, k, settings.block_size):
        stop = min(start + settings.block_size, k)
        w, u = state.w[start:stop].copy(), state.u[start:stop, start:stop]
        errors = np.empty_like(w)
        for i in range(stop - start):
            if state.groups[start + i] >= len(state.rulers):
                first, end = start + i, start + i + (settings.group_size or k)
                columns = state.w[first:end]
                if settings.groups == "fresh":
                    columns = _paid(state, w, errors[:i], first=first, end=end)
                state.rulers.append(target.ruler(columns.T.astype(np.float32)))
            ruler = state.rulers[state.groups[start + i]]
            code, values[start + i] = target.quantize_column(w[i].astype(np.float32), ruler)
            codes.append(code)
            errors[i] = (w[i] - values[start + i]) / u[i, i]
            w[i + 1 :] -= u[i, i + 1 :, None] * errors[None, i]
            loss += errors[i] * errors[i]
        if stop < k:
            state.w[stop:] -= matmul_sliced(state.u[start:stop, stop:].T, errors)
    return np.stack(codes), values, loss


def _paid(state: _Walk[RulerT], w: F64, errors: F64, *, first: int, end: int) -> F64:
    """Return columns ``first`` to ``end`` with the block's ``errors`` so far; ``w`` has its own."""
    i = len(errors)
    columns = state.w[first:end].copy()
    inside = min(end - first, len(w) - i)
    columns[:inside] = w[i : i + inside]
    if i and first + inside < end:
        u = state.u[first - i : first, first + inside : end]
        columns[inside:] -= matmul_sliced(u.T, errors)
    return columns


def _checked_hessian(h: F64, k: int) -> F64:
    """Return a copy of ``h`` if it can be a Hessian of ``k`` columns."""
    h = np.array(h)
    if h.dtype != np.float64 or h.shape != (k, k):
        raise ValueError(f"h must be float64 ({k}, {k}), got {h.dtype} {h.shape}")
    if not np.isfinite(h).all():
        raise ValueError(f"h must be finite, got {np.count_nonzero(~np.isfinite(h))} NaN or inf")
    if not np.array_equal(h, h.T) or (np.diag(h) < 0).any():
        raise ValueError("h must be symmetric with a diagonal >= 0; Hessian.matrix() makes one")
    return h
