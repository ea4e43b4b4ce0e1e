"""A weight that has become codes, before it stands in a graph or in a checkpoint.

Codes in the layout of the constant that they replace, and the parameters of
docs/spec/rq-format.md, section 2: a scale and a zero point a block, and ``g_idx`` where blocks are
no neighbours; or the name of a format with a table. That is all that an algorithm leaves behind;
which algorithm it was, the weights do not say. `tensors` and `from_tensors` are the same thing as
arrays that a file can hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.affine import QParams
from refquant.model.build import Builder
from refquant.model.graph import DTYPES, Graph, Quant, Value
from refquant.model.reals import reals
from refquant.model.table_formats import TABLE_FORMATS, table_values
from refquant.numerics.blocks import parameter_shape

__all__ = ["Coded", "add_coded", "coded_reals", "from_qparams", "from_tensors", "tensors"]

_ONE = np.float32(1)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """``codes`` of ``dtype``; ``scale`` float32, ``zero_point`` int32 or float32, one a block.

    In a ``format`` of `TABLE_FORMATS` zero points are 0, and ``scale`` may be the uint8 codes of
    scales, read by the format's own table times ``tensor_scale``.

    ``block_shape`` None: one scale, and both parameters are scalars. ``g_idx``, int32, has the
    shape docs/spec/rq-format.md says, and is None where blocks are runs of neighbours.

    >>> w = Coded("int4", np.int8([[7, -8]]), np.float32([[0.5]]), np.int32([[0]]), (1, 2), None)
    >>> coded_reals(w).tolist()
    [[3.5, -4.0]]
    """

    dtype: str
    codes: NDArray[Any]
    scale: NDArray[np.float32] | NDArray[np.uint8]
    zero_point: NDArray[Any]
    block_shape: tuple[int, ...] | None
    g_idx: NDArray[np.int32] | None
    format: str = "affine"
    tensor_scale: np.float32 = _ONE

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        block, shape = self.block_shape, self.codes.shape
        wanted = () if block is None else parameter_shape(shape, block)
        if self.scale.shape != wanted or self.zero_point.shape != wanted:
            raise ValueError(
                f"scale and zero_point must be {wanted} for codes {shape} in blocks {block}, "
                f"got {self.scale.shape} and {self.zero_point.shape}"
            )


def from_qparams(codes: NDArray[Any], qparams: QParams) -> Coded:
    """Return the codes that ``qparams`` are of.

    >>> from_qparams(np.int8([3]), QParams(np.float32(0.5), np.int32(0), None, "int8")).dtype
    'int8'
    """
    scale, zero_point = np.asarray(qparams.scale), np.asarray(qparams.zero_point)
    return Coded(qparams.dtype, codes, scale, zero_point, qparams.block_shape, None)


def coded_reals(coded: Coded) -> NDArray[np.float32]:
    """Return what the codes mean, by the function that executes the file (`reals`).

    >>> coded_reals(Coded("int8", np.int8([3]), np.float32(0.5), np.int32(1), None, None)).tolist()
    [1.0]
    """
    b = Builder("weight")
    name = add_coded(b, "w", coded)
    graph = Graph("weight", (), (), b.values, (), b.constants, {}, {})
    return reals(graph, name, b.constants[name])


def add_coded(b: Builder, name: str, coded: Coded, *, suffix: str = "") -> str:
    """Add the constant ``name`` and its parameters to ``b``; return its name.

    The parameters are called ``name/scale``, ``name/zero_point`` and ``name/g_idx``; a zero point
    that is 0 everywhere is the number 0. Tables are called ``table/nf4`` and so on, once a graph.
    What is there already is not added again; something else under that name, and it is called
    ``name/suffix``.

    >>> b = Builder("g")
    >>> w = Coded("int4", np.int8([[7, -8]]), np.float32([[0.5]]), np.int32([[0]]), (1, 2), None)
    >>> add_coded(b, "w", w), add_coded(b, "w", w), sorted(b.constants)
    ('w', 'w', ['w', 'w/scale'])
    """
    block = coded.block_shape
    parts: dict[str, NDArray[Any]] = {}
    if block is not None:
        parts["scale"] = coded.scale
        if coded.zero_point.any():
            parts["zero_point"] = coded.zero_point
        if coded.g_idx is not None:
            parts["g_idx"] = coded.g_idx
    names = {part: b.free(f"{name}/{part}") for part in parts}
    quant = Quant(
        names.get("scale", float(coded.scale) if block is None else 0.0),
        names.get("zero_point", int(coded.zero_point) if block is None else 0),
        block,
        table=_table(b, coded.format),
        g_idx=names.get("g_idx"),
    )
    if name in b.constants:
        value = Value(coded.dtype, coded.codes.shape, quant)
        arrays = {name: coded.codes, **{names[part]: array for part, array in parts.items()}}
        alike = b.values[name] == value and all(_same(b, n, a) for n, a in arrays.items())
        if alike and ("scale" not in names or b.values[names["scale"]].quant == _scales(b, coded)):
            return name
        return add_coded(b, b.free(f"{name}/{suffix}"), coded)
    for part, array in parts.items():
        meaning = _scales(b, coded) if part == "scale" else None
        b.constant(names[part], array, quant=meaning)
    container = DTYPES[coded.dtype].container
    return b.constant(name, coded.codes.astype(container), dtype=coded.dtype, quant=quant)


def tensors(coded: Coded) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``coded``, its codes as bytes; `from_tensors` is the way back.

    >>> w = Coded("int8", np.int8([3]), np.float32(0.5), np.int32(1), None, None)
    >>> sorted(tensors(w))
    ['codes', 'scale', 'tensor_scale', 'zero_point']
    """
    container = DTYPES[coded.dtype].container
    found = {"codes": coded.codes.astype(container), "scale": np.asarray(coded.scale)}
    found["zero_point"] = np.asarray(coded.zero_point)
    found["tensor_scale"] = np.asarray(coded.tensor_scale)
    return found if coded.g_idx is None else {**found, "g_idx": coded.g_idx}


def from_tensors(
    arrays: Mapping[str, NDArray[Any]],
    *,
    dtype: str,
    block_shape: tuple[int, ...] | None,
    format: str = "affine",
) -> Coded:
    """Return what `tensors` was made of.

    >>> w = Coded("int8", np.int8([3]), np.float32(0.5), np.int32(1), None, None)
    >>> int(from_tensors(tensors(w), dtype="int8", block_shape=None).zero_point)
    1
    """
    codes, scale, zero_point = (arrays[key] for key in ("codes", "scale", "zero_point"))
    tensor_scale = np.float32(arrays["tensor_scale"][()])
    g_idx = arrays.get("g_idx")
    return Coded(dtype, codes, scale, zero_point, block_shape, g_idx, format, tensor_scale)


def _table(b: Builder, format: str) -> str | None:
    """Return the name of the format's table, which is in ``b`` then; None for rulers."""
    row = TABLE_FORMATS.get(format)
    return None if row is None else _once(b, row.table, row.bits)


def _scales(b: Builder, coded: Coded) -> Quant | None:
    """Return what the scales mean where they are codes."""
    row = TABLE_FORMATS.get(coded.format)
    if row is None or row.scale_table is None:
        return None
    return Quant(float(coded.tensor_scale), 0, None, table=_once(b, row.scale_table, 8))


def _once(b: Builder, table: str, bits: int) -> str:
    name = b.free(f"table/{table}")
    return name if name in b.constants else b.constant(name, table_values(table, bits=bits))


def _same(b: Builder, name: str, array: NDArray[Any]) -> bool:
    return name in b.constants and np.array_equal(b.constants[name], array)
