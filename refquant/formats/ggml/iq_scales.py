r"""The search for a sub-block's scale in IQ2 and IQ3: trials around the largest value, then a fit.

Values x >= 0 (but for a flipped sign) of a sub-block become q = 2 l + 1 at scale s; for chosen q,
the weighted error is least at

.. math::

    s = \frac{\langle x q \rangle}{\langle q^2 \rangle}, \qquad
    \langle x q \rangle = \sum_i (w_i x_i) q_i, \qquad
    \langle q^2 \rangle = \sum_i (w_i q_i) q_i                                    \tag{1}

and is then :math:`\langle x^2 \rangle - s \langle x q \rangle`. So the trials

.. math::

    \kappa_t = (Q + t \cdot \Delta) / \max x, \qquad t = -n, \dots, n             \tag{2}

with Q the largest q, 5 or 15, each give points (``iq_nearest.py``), and a trial is better if

.. math::

    \langle x q \rangle^2 > \text{best} \cdot \langle q^2 \rangle, \qquad
    \text{best} \leftarrow s \langle x q \rangle                                  \tag{3}

In float32 "better" is not an order (best is rounded), so the trials are walked one by one. At the
end the points are looked up again at the best scale, and eq. (1) once more, by ``refine``:

* ``off_grid``: only the groups whose rounded levels were no point of the grid (IQ2_XS, IQ2_S,
  IQ3_XXS);
* ``whole``: all groups, if there was one such (IQ3_S);
* ``always``: all groups (IQ2_XXS).

The scale may come out negative where a flipped value outweighs the others: the types then turn the
scale and every sign. **Left out**: a scale for each group; the codes of scales are in
``iq_rows.py``.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_iq2_xxs_impl``, ``quantize_row_iq2_xs_impl``,
``quantize_row_iq2_s_impl``, ``quantize_row_iq3_xxs_impl``, ``quantize_row_iq3_s_impl``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.iq_grids import GRIDS, grid_levels
from refquant.formats.ggml.iq_nearest import nearest_points
from refquant.formats.ggml.iq_rows import sequential_sum

__all__ = ["GridSearch", "fit_sub_blocks", "largest_value"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSearch:
    """One type's search: its grid, N of the lists, n and Delta of eq. (2), and ``refine``.

    ``smallest``: a sub-block whose largest value is below has scale 0 and no search.

    >>> GridSearch(grid="iq3_s", distances=3, trials=9, step=0.2, refine="whole", smallest=0).top
    15
    """

    grid: str
    distances: int
    trials: int
    step: float
    refine: Literal["off_grid", "whole", "always"]
    smallest: float

    @property
    def top(self) -> int:
        """Q of eq. (2): the largest q of the grid."""
        return 2 * GRIDS[self.grid].levels - 1


def largest_value(x: F32) -> F32:
    """Return the largest value of each sub-block, (m,) of (m, size).

    >>> largest_value(np.array([[-5, 1, 3]], np.float32)).tolist()
    [3.0]
    """
    return np.asarray(x.max(axis=-1), np.float32)


def fit_sub_blocks(
    x: F32, weights: F32, *, span: F32, scale: F32, search: GridSearch
) -> tuple[F32, I32]:
    """Return the scale (m,) and the points (m, size / d) of sub-blocks (m, size).

    ``span`` (m,) is max x of eq. (2), ``scale`` (m,) what stands if no trial is better: then the
    points are number 0, unless they are refined.

    >>> search = GridSearch(
    ...     grid="iq3_s", distances=3, trials=9, step=0.2, refine="whole", smallest=0)
    >>> x = np.array([[30, 2, 2, 2]], np.float32)
    >>> fitted, points = fit_sub_blocks(
    ...     x, np.ones_like(x), span=x.max(axis=1), scale=x.max(axis=1) / 15, search=search)
    >>> fitted.tolist(), (2 * grid_levels("iq3_s")[points] + 1).tolist()
    ([2.0], [[[15, 1, 1, 1]]])
    """
    dimensions = GRIDS[search.grid].dimensions
    groups = x.reshape(len(x), -1, dimensions)
    roots = np.sqrt(weights).reshape(groups.shape)
    best = np.zeros(len(x), np.float32)
    points = np.zeros(groups.shape[:2], np.int32)
    # Without a better trial, the types differ in what counts as "was on the grid".
    exact = np.full(groups.shape[:2], search.refine == "off_grid")
    for t in range(-search.trials, search.trials + 1):
        inverse = (np.float32(search.top) + np.float32(t) * np.float32(search.step)) / span
        found, on_grid = nearest_points(
            groups,
            roots,
            inverse,
            np.float32(1) / inverse,
            name=search.grid,
            distances=search.distances,
        )
        xq, qq = _sums(x, weights, found, search)
        better = (qq > 0) & (xq * xq > best * qq)  # eq. (3)
        scale = np.where(better, xq / qq, scale)
        best = np.where(better, scale * xq, best)
        points = np.where(better[:, None], found, points)
        exact = np.where(better[:, None], on_grid, exact)
    return _refined(x, weights, scale, points, ~exact, search)


def _refined(
    x: F32, weights: F32, scale: F32, points: I32, off: Bools, search: GridSearch
) -> tuple[F32, I32]:
    """Look up the points again at the best scale, where ``refine`` says so, and fit it again."""
    if search.refine == "whole":
        off = np.broadcast_to(off.any(axis=1, keepdims=True), off.shape)
    elif search.refine == "always":
        off = np.ones_like(off)
    off = off & (scale > 0)[:, None]
    again = off.any(axis=1)
    if not again.any():
        return scale, points
    x, weights, off = x[again], weights[again], off[again]
    groups = x.reshape(*off.shape, -1)
    roots = np.sqrt(weights).reshape(groups.shape)
    found, _ = nearest_points(
        groups, roots, np.float32(1) / scale[again], scale[again], name=search.grid,
        distances=search.distances,
    )  # fmt: skip
    points = points.copy()
    points[again] = np.where(off, found, points[again])
    xq, qq = _sums(x, weights, points[again], search)
    scale = scale.copy()
    scale[again] = np.where(qq > 0, xq / qq, scale[again])
    return scale, points


def _sums(x: F32, weights: F32, points: I32, search: GridSearch) -> tuple[F32, F32]:
    """Return the two sums of eq. (1), each (m,)."""
    levels = grid_levels(search.grid)[points].reshape(x.shape)
    q = 2 * levels.astype(np.float32) + np.float32(1)
    return sequential_sum(weights * x * q), sequential_sum(weights * q * q)
