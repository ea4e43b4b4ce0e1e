"""What the weights of a `.rq` file are: format, bits a weight, and how the runtime reads them.

A file names no format (docs/spec/rq-format.md, section 2), so the names here are recognized: a
table of known numbers, and for MX and NVFP4 the scales' table and the block. The bits of a weight
count its codes, scales, zero points and ``g_idx``; tables are shared, and count nowhere.

* **native**: integers on rulers; the runtime computes with the codes, or decodes them by
  arithmetic, beside float32 activations;
* **decoded by table**: each code is looked up while the weight is read.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.cli.common import plain, print_table
from refquant.model.graph import Graph
from refquant.model.metrics import tensor_bytes
from refquant.model.params import is_ruler
from refquant.model.table_formats import TABLE_FORMATS, table_values

__all__ = ["describe_weights", "print_weights"]


def describe_weights(graph: Graph) -> list[dict[str, Any]]:
    """Return one object for each constant of codes that a node reads, in the order of the nodes.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import Quant
    >>> b = Builder("g")
    >>> w = b.constant("w", np.int8([[1, -8]]), dtype="int4", quant=Quant(0.5, 0))
    >>> y = b.node("MatMul", [b.input("x", ("N", 1)), w], contract=preset("ort"))
    >>> describe_weights(b.graph([y]))[0]["format"]
    'int4'
    """
    stored, found = tensor_bytes(graph), {}
    for node in graph.nodes:
        for name in node.inputs:
            value = graph.values.get(name)
            if value is None or name not in graph.constants or name in found:
                continue
            quant, size = value.quant, graph.constants[name].size
            if quant is None or value.dtype in ("int32", "int64") or not size:
                continue
            own = {name, *quant.names} - {quant.table}
            found[name] = {
                "name": name,
                "format": format_of(graph, name),
                "shape": list(value.shape),
                "block_shape": None if quant.block_shape is None else list(quant.block_shape),
                "bits_per_weight": round(8 * sum(stored[part] for part in own) / size, 3),
                "runtime": "native" if quant.table is None else "decoded by table",
            }
    return list(found.values())


def format_of(graph: Graph, name: str) -> str:
    """Return what people call the format of the constant ``name``, which has ``quant``."""
    value = graph.values[name]
    quant = value.quant
    assert quant is not None, "the caller has looked"
    if quant.table is not None:
        table, scales = _known(graph, quant.table), "float32"
        inner = graph.values[quant.scale].quant if isinstance(quant.scale, str) else None
        if inner is not None:
            scales = "codes" if inner.table is None else _known(graph, inner.table)
        for label, row in TABLE_FORMATS.items():
            if (table, scales) == (row.table, row.scale_table or "float32"):
                return label
        return f"{table}, {scales} scales"
    words = [value.dtype]
    if not is_ruler(graph, replace(quant, g_idx=None)):
        words.append("float zero points")
    if quant.g_idx is not None:
        words.append("g_idx")
    return ", ".join(words)


def print_weights(weights: list[dict[str, Any]]) -> None:
    """Print what `describe_weights` found as a table."""
    columns = {"weight": "left", "format": "left", "bits/weight": "right", "runtime": "left"}
    rows = [(plain(w["name"]), w["format"], f"{w['bits_per_weight']:g}", w["runtime"])
            for w in weights]  # fmt: skip
    sys.stdout.write("\n")
    print_table(columns, rows)


def _known(graph: Graph, name: str) -> str:
    """Return the name of a table with these numbers, or its dtype."""
    table = graph.constants[name]
    bits = table.size.bit_length() - 1
    labels = {row.table: row.bits for row in TABLE_FORMATS.values()}
    labels |= {row.scale_table: 8 for row in TABLE_FORMATS.values() if row.scale_table}
    for label, width in labels.items():
        if width == bits and np.array_equal(table, table_values(label, bits=bits), equal_nan=True):
            return label
    return f"a table of {table.size}"
