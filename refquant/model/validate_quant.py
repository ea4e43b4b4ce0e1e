"""What codes may mean: the rules of QUANT in docs/spec/rq-format.md, section 2.

Here: names, blocks and rulers; tables, float zero points and ``g_idx`` in `validate_tables`.
"""

import math
from collections.abc import Collection

import numpy as np

from refquant.model.graph import DTYPES, Graph, Quant
from refquant.model.params import ruler_of
from refquant.model.validate_tables import check_floats, check_groups, check_table
from refquant.numerics.blocks import parameter_shape

__all__ = ["check_quant", "may_be_negative"]

_LARGEST_FLOAT32 = (2.0 - 2.0**-23) * 2.0**127


def check_quant(graph: Graph, name: str, *, negative: Collection[str]) -> None:
    """Refuse quantization parameters of the value ``name`` that are none; no ``quant`` is fine.

    ``negative`` names the values whose scales may be below zero: `may_be_negative`.
    """
    value = graph.values[name]
    if value.quant is None:
        return
    where = f"value {name!r}: quant"
    if value.dtype == "float32":
        raise ValueError(f"{where} is for integer dtypes, {name!r} is float32; remove it")
    _check_blocks(graph, name, value.quant, where)
    _check_numbers(value.quant, where)
    if isinstance(value.quant.scale, str):  # of codes, perhaps, whose meaning comes first
        check_quant(graph, value.quant.scale, negative=())
    try:
        check_groups(graph, name)
        if value.quant.table is not None:
            check_table(graph, name)
            return
        ruler = ruler_of(graph, name)  # finite, normal, not 0; zero point a code of the dtype
        if ruler.kind == "float":
            check_floats(graph, name, ruler)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if name not in negative and (np.asarray(ruler.scale) < 0).any():
        raise ValueError(
            f"{where}.scale is > 0 unless the contract of every node of the value has "
            f"negative_scale; got {np.asarray(ruler.scale).min()}"
        )


def _check_blocks(graph: Graph, name: str, quant: Quant, where: str) -> None:
    shape = graph.values[name].shape
    block = quant.block_shape
    tensors = [item for item in (quant.scale, quant.zero_point) if isinstance(item, str)]
    if (block is None) == bool(tensors):
        raise ValueError(f"{where}.block_shape stands with tensors and only then, got {block}")
    if block is None:
        return
    if len(block) != len(shape) or not all(type(b) is int and b >= 1 for b in block):
        raise ValueError(
            f"{where}.block_shape is {len(shape)} integers >= 1, as many as the shape, got {block}"
        )
    grid = parameter_shape(tuple(int(d) for d in shape), block)
    for item, dtypes in ((quant.scale, ("float32",)), (quant.zero_point, ("int32", "float32"))):
        if not isinstance(item, str):
            continue
        array = graph.constants.get(item)
        known = array is not None and graph.values[item].dtype in dtypes
        if item == quant.scale and array is not None:
            known = known or _may_be_scales(graph, item)
        if array is None or not known or array.shape != grid:
            got = "none" if array is None else f"{graph.values[item].dtype} {list(array.shape)}"
            raise ValueError(
                f"{where} names {item!r}, a constant of {' or '.join(dtypes)} and of shape "
                f"ceil(shape / block_shape) = {list(grid)}, got {got}"
            )


def _may_be_scales(graph: Graph, name: str) -> bool:
    """Say whether the constant is of codes, with scales of float32."""
    value = graph.values[name]
    if value.quant is None or DTYPES[value.dtype].bits > 8:
        return False
    scale = value.quant.scale
    return not isinstance(scale, str) or (
        scale in graph.constants and graph.values[scale].dtype == "float32"
    )


def _check_numbers(quant: Quant, where: str) -> None:
    scale, zero_point = quant.scale, quant.zero_point
    if not isinstance(scale, str):
        number = isinstance(scale, float) and math.isfinite(scale)
        # The comparison keeps np.float32 from overflowing, which would warn.
        if not number or abs(scale) > _LARGEST_FLOAT32 or float(np.float32(scale)) != scale:
            raise ValueError(f"{where}.scale is exactly a float32, got {scale!r}; round it")
    if not isinstance(zero_point, str) and (
        type(zero_point) is not int or not -(2**31) <= zero_point < 2**31
    ):
        raise ValueError(f"{where}.zero_point is an int32, got {zero_point!r}")


def may_be_negative(graph: Graph) -> frozenset[str]:
    """Return the values all of whose contracts have ``negative_scale``, in one pass."""
    allowed: set[str] = set()
    refused: set[str] = set()
    for node in graph.nodes:
        if node.contract is not None:
            contract = graph.contracts.get(node.contract)
            negative = contract is not None and contract.negative_scale
            (allowed if negative else refused).update(node.inputs, node.outputs)
    return frozenset(allowed - refused)
