"""Steps on the way to an output, for operators that are several of ours.

A step is a node whose result nobody but the next one reads. On codes it says what they mean, which
may be something else than what the file says of the codes before it: `reread` gives the same codes
another scale and zero point, by the table that changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, Scope

__all__ = [
    "dequantized",
    "finished",
    "hold_table",
    "mapped",
    "need_codes",
    "plain",
    "reread",
    "step",
]

_MOST = 1 << 26  # bytes of tables, each of 65536 codes: an operator of few bytes asks for one
_LARGEST = 2.0**119  # 255 steps of it are a float32; of 16 bits fewer steps


def step(
    s: Scope, o: TfliteOperator, op: str, inputs: Sequence[str], label: str, *,
    attributes: Mapping[str, Attribute] | None = None, contract: Contract | None = None,
    quant: Quant | None = None, dtype: str = "int8",
) -> str:  # fmt: skip
    """Add a node on the way to the output of ``o``; of codes with their ``quant``."""
    name = s.free(f"{s.tensor(o.outputs[0]).name}/{label}")
    return s.builder.node(
        op, list(inputs), name=name, attributes=dict(attributes or {}), contract=contract,
        dtype=None if quant is None else dtype, quant=quant,
    )  # fmt: skip


def mapped(
    s: Scope, o: TfliteOperator, source: str, table: NDArray[Any], quant: Quant, label: str,
    contract: Contract,
) -> str:  # fmt: skip
    """Return a function of every code, by its table."""
    held = hold_table(s, o, table, quant)
    return step(
        s, o, "Requantize", [source, held], label, contract=contract, quant=quant,
        dtype=table.dtype.name,
    )  # fmt: skip


def hold_table(s: Scope, o: TfliteOperator, table: NDArray[Any], quant: Quant | None) -> str:
    """Add a table, once for all operators that have the same; they are larger than operators."""
    key = table.dtype.name, table.tobytes(), quant
    if key not in s.tables:
        if sum(len(raw) for _, raw, _ in s.tables) + table.nbytes > _MOST:
            raise UnsupportedError(f"needs one more table of {table.nbytes} bytes: too many")
        name = s.free(f"{s.tensor(o.outputs[0]).name}/table")
        s.tables[key] = s.builder.constant(name, table, quant=quant)
    return s.tables[key]


def reread(s: Scope, o: TfliteOperator, source: str, quant: Quant, label: str) -> str:
    """Return the same int8 codes, which mean something else."""
    if s.builder.values[source].quant == quant:
        return source
    same = np.arange(-128, 128).astype(np.int8)
    return mapped(s, o, source, same, quant, label, preset("tflite_reference"))


def dequantized(s: Scope, o: TfliteOperator, index: int, order: str = AS_IS) -> str:
    """Return the reals of an operand, of codes or not."""
    source, quant = s.read(index, order), s.quant(index)
    if quant is None:
        return source
    largest = _LARGEST / 256 if s.tensor(index).dtype == "int16" else _LARGEST
    if isinstance(quant.scale, str) or quant.scale > largest:
        raise UnsupportedError(f"has the scale {quant.scale}, whose reals leave float32")
    own = preset("tflite_reference")
    return step(s, o, "DequantizeLinear", [source], f"real{index}", contract=own)


def finished(s: Scope, o: TfliteOperator, source: str) -> None:
    """Write ``source`` as the output, in the shape that the file says."""
    shape = s.tensor(o.outputs[0]).shape
    first = 0 if s.batched and shape[:1] == (1,) else (shape or (1,))[0]
    if not shape:
        raise UnsupportedError("makes a scalar")
    s.write(o, "Reshape", [source], attributes={"shape": (first, *shape[1:])})


def plain(
    s: Scope, o: TfliteOperator, op: str, inputs: Sequence[str], dtype: str,
    attributes: Mapping[str, Attribute],
) -> None:  # fmt: skip
    """Write an output that is neither reals nor codes: int32 or truths."""
    index = o.outputs[0]
    name = s.free(s.tensor(index).name)
    made = s.builder.node(op, list(inputs), name=name, attributes=dict(attributes), dtype=dtype)
    s.names[index, AS_IS] = made
    s.check_made(index, made, AS_IS)


def need_codes(s: Scope, o: TfliteOperator, indices: Sequence[int]) -> list[Quant]:
    """Return what int8 codes mean; refuse reals, and other codes, among them."""
    quants = [s.quant(i) for i in indices]
    found = [q for q in quants if q is not None]
    if len(found) < len(quants):
        raise UnsupportedError("mixes codes and reals")
    return found
