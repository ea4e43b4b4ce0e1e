"""What a TFLite model is, as data: tensors, operators, inputs and outputs.

`refquant.model.importers.tflite_read` makes these from a file; nothing after it sees a flatbuffer.
Tensors and operators are numbered, as in the file, and have no other identity: a tensor's name is
for people, an operator has none.

Left out: subgraphs but the first and those that are called once, signatures, metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Option", "TfliteModel", "TfliteOperator", "TfliteTensor", "UnsupportedError",
           "misplaced"]  # fmt: skip

Option = int | float | bool | str | tuple[int, ...]


class UnsupportedError(ValueError):
    """An operator, or a form of one, that this importer does not know; the message is the reason.

    Never seen by a user: `refquant.model.importers.tflite` collects them into one error.
    """


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """One tensor. ``data`` is its constant, None where it is computed.

    ``scale`` and ``zero_point`` have one entry, or one for each index of ``axis``; both are empty
    where there is no quantization. A dimension of ``signature`` that is -1 may change.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    data: NDArray[Any] | None
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    special: str

    @property
    def quantized(self) -> bool:
        """Say whether it is of codes."""
        return self.scale.size > 0 and self.dtype.startswith(("int", "uint"))


@dataclass(frozen=True, slots=True, eq=False)
class TfliteOperator:
    """One operator: ``op`` is TFLite's name (``CUSTOM name`` for others'), -1 an absent input."""

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Option]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteModel:
    """A whole file, called ``path`` in errors, of ``size`` bytes.

    ``once``: the subgraphs that CALL_ONCE runs, by their number in the file.
    """

    path: str
    size: int
    description: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    once: Mapping[int, "TfliteModel"] = field(default_factory=dict)

    def label(self, operator: TfliteOperator) -> str:
        """Return how an error calls ``operator``: number, kind, the name of what it makes."""
        made = ", ".join(repr(self.tensors[i].name) for i in operator.outputs)
        return f"operator {operator.index} {operator.op} ({made})"


def misplaced(model: TfliteModel) -> str:
    """Say what is computed twice, before it is there, or beside a constant; nothing if all is well.

    A subgraph that is called once has no ends; then it is asked about its operators only.
    """
    if -1 in model.inputs or -1 in model.outputs:
        return "it has an input or output that is no tensor"
    known = {t.index for t in model.tensors if t.data is not None or t.special == "a variable"}
    if len(set(model.inputs)) < len(model.inputs) or known.intersection(model.inputs):
        return "an input is a constant, or stands twice"
    known.update(model.inputs)
    for operator in model.operators:
        for i in operator.inputs:
            if i >= 0 and i not in known:
                return f"{model.label(operator)} reads tensor {i} before it is computed"
        if known.intersection(operator.outputs):
            return f"{model.label(operator)} computes a tensor that is there already"
        known.update(operator.outputs)
    return "" if known.issuperset(model.outputs) else "an output is never computed"
