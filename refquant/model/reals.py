r"""What the codes of a value mean, whatever its format: one law, and where its parameters are.

Real x of code q, by the entry k of the parameters that q belongs to:

.. math::

    x = \mathrm{f32}(\mathrm{f32}(q - z_k) \cdot s_k)                                      \tag{1}

    x = \mathrm{f32}(T[q] \cdot s_k)                                                        \tag{2}

(1) with an integer or a float32 zero point z, (2) with a table T of float32. Scales are float32,
or themselves codes, read by (1) or (2) with scales of float32: so MXFP4 has eight bits a block, and
NVFP4 eight and one float32 for all. On each axis

.. math::

    k_i = \lfloor j_i / b_i \rfloor \quad \text{or} \quad k_i = g[j_i]                      \tag{3}

for blocks of neighbours, or by the list g, ``g_idx``, that act-order leaves behind. ::

    format     codes   table T   scale                    block
    nf4        uint4   NF4       float32                  64
    fp8_e4m3   uint8   E4M3      float32                  a channel or all
    mxfp4      uint4   E2M1      uint8, table E8M0        32
    nvfp4      uint4   E2M1      uint8, table UE4M3 * g   16
    hqq        uint3   none      float32, and float z     64

Left out: tables of vectors, an offset beside a scale (MLX, double quantization of NF4).

References
----------
docs/spec/rq-format.md, section 2 (QUANT); docs/spec/operators.md, section 2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, Quant

__all__ = ["grouped_axis", "reals", "scale_of", "zero_point_of"]

F32 = NDArray[np.float32]


def reals(graph: Graph, name: str, codes: NDArray[Any]) -> F32:
    """Return what the ``codes`` of the value ``name`` mean, float32 of their shape: eq. (1), (2).

    A product beyond float32 is infinite, below it zero.

    >>> from refquant.model.graph import Value
    >>> values = {"w": Value("uint2", (3,), Quant(0.5, 0, None, table="t")),
    ...           "t": Value("float32", (4,))}
    >>> t = np.array([-2.0, -1.0, 0.0, 6.0], np.float32)
    >>> g = Graph("g", (), (), values, (), {"t": t}, {}, {})
    >>> reals(g, "w", np.array([0, 3, 2], np.uint8)).tolist()
    [-1.0, 3.0, 0.0]
    """
    quant = graph.values[name].quant
    assert quant is not None, "validated: codes have a meaning"
    scale = _of_each(graph, quant, scale_of(graph, name), codes.shape)
    if quant.table is not None:
        marks = graph.constants[quant.table][codes]
    else:
        zero_point = _of_each(graph, quant, zero_point_of(graph, name), codes.shape)
        wide = np.int64 if zero_point.dtype == np.int32 else np.float32
        marks = (codes.astype(wide) - zero_point).astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(marks * scale, np.float32)


def scale_of(graph: Graph, name: str) -> F32:
    """Return the scales of the value ``name``, float32 of shape () or of its blocks.

    >>> from refquant.model.graph import Value
    >>> x = Value("int8", ("N",), Quant(0.5, 3))
    >>> scale_of(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}), "x").tolist()
    0.5
    """
    quant = graph.values[name].quant
    assert quant is not None, "it has a scale"
    if not isinstance(quant.scale, str):
        return np.asarray(quant.scale, np.float32)
    array = graph.constants[quant.scale]
    return array if array.dtype == np.float32 else reals(graph, quant.scale, array)


def zero_point_of(graph: Graph, name: str) -> NDArray[Any]:
    """Return the zero points of the value ``name``, int32 or float32, of shape () or its blocks.

    >>> from refquant.model.graph import Value
    >>> x = Value("int8", ("N",), Quant(0.5, 3))
    >>> zero_point_of(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}), "x").tolist()
    3
    """
    quant = graph.values[name].quant
    assert quant is not None, "it has a zero point"
    if isinstance(quant.zero_point, str):
        return graph.constants[quant.zero_point]
    return np.asarray(quant.zero_point, np.int32)


def grouped_axis(listed: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Return the axis that a ``g_idx`` of shape ``listed`` is about, of a value of ``shape``.

    The first that is not 1 long, or if there is none the first that is in both.

    >>> grouped_axis((1, 64), (8, 64)), grouped_axis((1, 1), (8, 1))
    (1, 1)
    """
    longer = [axis for axis, size in enumerate(listed) if size != 1]
    single = [axis for axis, size in enumerate(shape) if size == 1]
    return next(iter(longer or single), 0)


def _of_each(
    graph: Graph, quant: Quant, params: NDArray[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return the parameter of each element, or one for all: eq. (3)."""
    if quant.block_shape is None or params.ndim == 0:
        return params
    g_idx = None if quant.g_idx is None else graph.constants[quant.g_idx]
    for axis, (size, block) in enumerate(zip(shape, quant.block_shape, strict=True)):
        index = np.arange(size) // block
        if g_idx is not None and axis == grouped_axis(g_idx.shape, shape):
            index = g_idx.reshape(-1)
        params = np.take(params, index, axis=axis)  # (.., blocks, ..) -> (.., size, ..)
    return params
