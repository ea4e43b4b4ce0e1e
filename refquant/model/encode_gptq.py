r"""GPTQ to a table of marks: NF4, FP8, MXFP4 and NVFP4, their scales fixed before the walk.

GPTQ decides in which order weights are rounded and who pays for each error; what a weight may
become is a `Target`. Here that is a format's table, with the scale that the format itself gives the
block of the *original* weights, dead columns as zeros:

.. math::

    s_G = \mathrm{scale}_{format}(W_{:,G}), \qquad q = \mathrm{nearest}_{format}(w / s_G), \qquad
    \hat w = \mathrm{f32}(T[q] \cdot s_G)                                              \tag{1}

NVFP4's tensor scale is the whole matrix's. ``nearest`` has the format's own ties, so that inputs
that know nothing of each other (a diagonal Hessian) give the codes of rounding, byte for byte. A
weight that the walk has pushed beyond the last mark becomes the last mark; a block of zeros stays
zeros where its scale is 0, as NF4's.

`refquant.algorithms.gptq_target.LevelTarget` is the same idea for a table by itself: one tie rule,
a scale from its largest level.

References
----------
Egiazarian et al., "Bridging the Gap Between Promise and Performance for Microscaling FP4
Quantization" (MR-GPTQ), arXiv:2509.23202; `refquant.model.encode_tables` (the formats' producers).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.gptq import GptqSettings, gptq
from refquant.model.coded import Coded
from refquant.model.encode_tables import encode_rows, nearest_codes, tensor_scale_of
from refquant.model.graph import Node
from refquant.model.table_formats import TABLE_FORMATS, scale_values, table_values
from refquant.model.weight_matrix import Layout, constant_of, matrix_of
from refquant.numerics.blocks import parameter_shape

__all__ = ["gptq_table"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


class _Ruler(NamedTuple):
    """The scales of a group of columns: as they are ``stored``, and as ``reals``, (n,) each."""

    stored: NDArray[Any]
    reals: F32


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A `Target`: eq. (1)."""

    format: str
    table: F32
    tensor_scale: np.float32

    def ruler(self, weights: F32) -> _Ruler:
        """Return the scales of each row of ``weights``, (n, g)."""
        _, stored = encode_rows(weights, format=self.format, tensor_scale=self.tensor_scale)
        return _Ruler(stored, scale_values(self.format, stored, self.tensor_scale))

    def quantize_column(self, column: F32, ruler: _Ruler) -> tuple[NDArray[np.uint8], F32]:
        """Return codes and values of a column, (n,) each."""
        codes = nearest_codes(column, ruler.reals, format=self.format)
        return codes, np.asarray(self.table[codes] * ruler.reals, np.float32)


def gptq_table(
    node: Node, w: F32, h: F64, *, format: str, cut: Layout, settings: GptqSettings
) -> tuple[Coded, float]:
    """Return the weight ``w`` of ``node`` in a ``format`` of `TABLE_FORMATS` by GPTQ, and its damp.

    ``h`` is the Hessian of the inputs, ``settings.groups`` is ``static``. `ValueError` as in
    `gptq`, and for weights that are not finite.

    >>> node = Node("y", "Gemm", ("x", "w"), ("y",), {"transB": 1})
    >>> w = np.float32([[0.25, 0.25, 6]])  # ties: 0 and 0.5 are marks; the first two move together
    >>> h = np.array([[2.0, 1.9, 0.0], [1.9, 2.0, 0.0], [0.0, 0.0, 2.0]])
    >>> how = GptqSettings(groups="static", group_size=3)
    >>> cut = Layout(3, (1, 3))
    >>> gptq_table(node, w, h, format="mxfp4", cut=cut, settings=how)[0].codes.tolist()
    [[0, 1, 7]]
    """
    matrix = matrix_of(node, w)
    if not np.isfinite(matrix).all():
        bad = int(np.count_nonzero(~np.isfinite(matrix)))
        raise ValueError(f"w must be finite, got {bad} NaN or infinity in {matrix.size} weights")
    row = TABLE_FORMATS[format]
    alive = matrix if cut.group_size is None else np.where(np.diag(h) == 0, np.float32(0), matrix)
    tensor_scale = tensor_scale_of(alive, format=format)
    target = _Table(format, table_values(row.table, bits=row.bits), tensor_scale)
    result = gptq(matrix, h, target=target, settings=settings)
    grid = parameter_shape(w.shape, cut.block_shape)
    stored = np.stack([ruler.stored for ruler in result.rulers], axis=1)
    coded = Coded(
        f"uint{row.bits}",
        constant_of(node, result.codes, w.shape),
        constant_of(node, stored, grid),
        np.zeros(grid, np.int32),
        cut.block_shape,
        None,
        format,
        tensor_scale,
    )
    return coded, result.damp
