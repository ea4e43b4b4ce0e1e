"""Weights in formats that are no integers: tables, float zero points, groups by ``g_idx``.

The rules of docs/spec/rq-format.md, section 2, for what only a weight beside a float32 activation
may have. All of them follow from two wishes: each code that is there has a meaning, and no meaning
is infinite.
"""

import numpy as np

from refquant.formats.qparams import QParams
from refquant.model.graph import DTYPES, Graph
from refquant.model.params import is_ruler
from refquant.model.reals import grouped_axis, scale_of

__all__ = ["check_floats", "check_groups", "check_table", "needs_version_2"]

_VERSION_1 = ("float32", "int32", *(f"{u}int{b}" for b in (16, 8, 4, 2) for u in ("", "u")))


def check_table(graph: Graph, name: str) -> None:
    """Refuse a table that has not one finite meaning for each code of the constant ``name``.

    An entry may be NaN if no code is there; scales are finite and at least 0.
    """
    value = graph.values[name]
    quant, dtype = value.quant, DTYPES[value.dtype]
    assert quant is not None, "the caller has seen the table"
    _need_constant(graph, name, "table")
    if dtype.qmin < 0 or quant.zero_point != 0:
        raise ValueError(
            f"a table goes with unsigned codes and zero_point 0, got {value.dtype} and "
            f"{quant.zero_point!r}"
        )
    table, marks = graph.constants.get(quant.table or ""), dtype.qmax + 1
    if table is None or table.dtype != np.float32 or table.shape != (marks,):
        got = "none" if table is None else f"{table.dtype} {list(table.shape)}"
        raise ValueError(
            f"table {quant.table!r} is a float32 constant with an entry for each of the {marks} "
            f"codes of {value.dtype}, got {got}"
        )
    if np.isinf(table).any():
        raise ValueError(f"table {quant.table!r} has entries that are finite, or NaN for no code")
    void, codes = np.isnan(table), graph.constants[name]
    if void.any() and void[codes].any():
        raise ValueError(f"code {int(codes[void[codes]][0])} has no meaning: its entry is NaN")
    scale = scale_of(graph, name)
    if not (np.isfinite(scale) & (scale >= 0)).all():
        raise ValueError("a scale beside a table is finite and not negative; quantize again")
    _need_finite(np.abs(table[~void]).max(initial=np.float32(0)), scale)


def check_floats(graph: Graph, name: str, ruler: QParams) -> None:
    """Refuse float zero points, finite ones, where codes would mean infinities."""
    _need_constant(graph, name, "float zero point")
    dtype = DTYPES[graph.values[name].dtype]
    zero_point = np.asarray(ruler.zero_point)
    far = np.maximum(np.abs(np.float32(dtype.qmin) - zero_point),
                     np.abs(np.float32(dtype.qmax) - zero_point))  # fmt: skip
    _need_finite(far, np.asarray(ruler.scale))


def check_groups(graph: Graph, name: str) -> None:
    """Refuse a ``g_idx`` that is not the blocks of one axis, its indices in another order."""
    value = graph.values[name]
    quant = value.quant
    assert quant is not None, "the caller has seen it"
    if quant.g_idx is None:
        return
    _need_constant(graph, name, "g_idx")
    if quant.block_shape is None:
        raise ValueError("g_idx stands with block_shape: which of what groups?")
    g_idx = graph.constants.get(quant.g_idx)
    got = "none" if g_idx is None else f"{graph.values[quant.g_idx].dtype} {list(g_idx.shape)}"
    rank = len(value.shape)
    shape = tuple(int(d) for d in value.shape)
    axis = 0 if g_idx is None else grouped_axis(g_idx.shape, shape)
    expected = tuple(d if i == axis else 1 for i, d in enumerate(shape))
    if (
        g_idx is None
        or graph.values[quant.g_idx].dtype != "int32"
        or not rank
        or g_idx.shape != expected
    ):
        raise ValueError(
            f"g_idx {quant.g_idx!r} is an int32 constant of {rank} axes, 1 but for the axis of the "
            f"groups, where it is as long as the value {list(value.shape)}, got {got}"
        )
    groups = np.arange(g_idx.size) // quant.block_shape[axis]
    if not np.array_equal(np.sort(g_idx, axis=None), groups):
        raise ValueError(
            f"g_idx {quant.g_idx!r} has each group {quant.block_shape[axis]} times, in any order; "
            f"got {g_idx.size} indices of {int(g_idx.min())}..{int(g_idx.max())}"
        )


def needs_version_2(graph: Graph, name: str) -> bool:
    """Say whether the value ``name`` is one that ``refquant/1`` has no words for.

    >>> from refquant.model.graph import Value
    >>> g = Graph("g", (), (), {"w": Value("int3", (2,)), "v": Value("int4", (2,))}, (), {}, {}, {})
    >>> needs_version_2(g, "w"), needs_version_2(g, "v")
    (True, False)
    """
    value = graph.values[name]
    quant = value.quant
    if value.dtype not in _VERSION_1:
        return True
    if quant is None:
        return False
    coded = isinstance(quant.scale, str) and graph.values[quant.scale].quant is not None
    return coded or not is_ruler(graph, quant)


def _need_constant(graph: Graph, name: str, what: str) -> None:
    dtype = graph.values[name].dtype
    if name not in graph.constants or DTYPES[dtype].bits > 8:
        raise ValueError(f"a {what} goes with constants of at most 8 bits, got {dtype}")


def _need_finite(largest: np.float32 | np.ndarray, scale: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        product = np.asarray(largest * scale, np.float32)
    if not np.isfinite(product).all():
        raise ValueError("the largest mark times its scale is finite; use smaller scales")
