"""Operators with float32 results as tables: their weights may be codes, their sums are rounded.

``matmul_nbits`` is (m, k) by (k, n): ``b`` are codes, ``block_size`` of a column share a scale and
a zero point, the last block may be shorter::

    b (k, n) uint4      b_scale, b_zero_point (ceil(k / block_size), n)

``layer_norm`` is of rows: x (rows, c), scale and bias (c). ``lstm`` and ``gru``, of H units and
G gates, walk N sequences forward::

    x (N, T, I)    w (G H, I)    r (G H, H)    bias (2 G H): of w, then of r
    h, c (N, H) before the first step          y (N, T, H)    y_h, y_c (N, H) after the last
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

_LAYER_NORM = Table(
    "layer_norm",
    "float32 of rows whose mean becomes 0 and whose variance becomes 1",
    ("x", "scale", "bias?"),
    ("y",),
    {"f32": {"x": "float32", "scale": "float32", "bias": "float32", "y": "float32"}},
    {"epsilon": "what is added to the variance"},
)

_CELL = ("x", "w", "r", "bias", "h", "y", "y_h")

_LSTM = Table(
    "lstm",
    "float32 of a sequence through an LSTM, gates i, o, f, c",
    ("x", "w", "r", "bias?", "h", "c"),
    ("y", "y_h", "y_c"),
    {"f32": dict.fromkeys((*_CELL, "c", "y_c"), "float32")},
    {},
)

_GRU = Table(
    "gru",
    "float32 of a sequence through a GRU, gates z, r, h",
    ("x", "w", "r", "bias?", "h"),
    ("y", "y_h"),
    {"f32": dict.fromkeys(_CELL, "float32")},
    {"linear_before_reset": "1: r multiplies the product with the state, 0: the state"},
)

FLOAT_OPERATORS = (_MATMUL_NBITS, _LAYER_NORM, _LSTM, _GRU)
"""Every operator of this family, in the order of reports."""
