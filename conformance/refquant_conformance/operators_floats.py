"""Operators with float32 results as tables: their weights may be codes, their sums are rounded.

``matmul_nbits`` is (m, k) by (k, n): ``b`` are codes, ``block_size`` of a column share a scale and
a zero point, the last block may be shorter::

    b (k, n) uint4      b_scale, b_zero_point (ceil(k / block_size), n)
"""

from refquant_conformance.operators_tables import Table

__all__ = ["FLOAT_OPERATORS"]

_MATMUL_NBITS = Table(
    "matmul_nbits",
    "float32 of a matrix product of float32 and codes",
    ("a", "b", "b_scale", "b_zero_point?"),
    ("y",),
    {
        "f32_u4": {
            **{"a": "float32", "b": "uint4", "b_scale": "float32"},
            **{"b_zero_point": "uint4", "y": "float32"},
        }
    },
    {"block_size": "elements of a column of b that share a scale; without a zero point it is 8"},
)

FLOAT_OPERATORS = (_MATMUL_NBITS,)
"""Every operator of this family, in the order of reports."""
