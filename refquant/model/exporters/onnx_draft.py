"""An ONNX model in the making, as plain data: nodes, constants, names.

One module of this package knows the library (`refquant.model.exporters.onnx_write`); the others
write down here what it shall write. Values keep their names; what is made besides gets a name that
nothing else has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, names_of
from refquant.model.names import free_name

__all__ = ["MICROSOFT", "Draft", "Made", "NoForm", "Tensor"]

Array = NDArray[Any]

MICROSOFT = "com.microsoft"
_CONTAINERS = {"int2": "int8", "int4": "int8", "uint2": "uint8", "uint4": "uint8"}


class NoForm(ValueError):  # noqa: N818  # not an error of its own: one line of the list
    """A node that ONNX, or the form that is asked for, cannot say; its message is the reason."""


@dataclass(frozen=True, slots=True)
class Made:
    """One node of the ONNX graph."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant: ``dtype`` is ONNX's word where NumPy has none (``int4``, ``float8e4m3fn``)."""

    array: Array
    dtype: str


@dataclass(slots=True)
class Draft:
    """What is made of ``graph`` so far, in the ``form`` that is asked for.

    ``opset`` is the least version that has all nodes so far; ``real_names`` the float32 twins of
    values of codes.
    """

    graph: Graph
    form: str
    nodes: list[Made] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    real_names: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    opset: int = 21

    def __post_init__(self) -> None:
        """Leave the names of the graph to the graph."""
        self.taken.update(names_of(self.graph))

    def free(self, name: str) -> str:
        """Return ``name``, or what nothing else is called, and keep it.

        >>> d = Draft(Graph("g", (), (), {}, (), {}, {}, {}), "float")
        >>> d.free("w"), d.free("w")
        ('w', 'w_')
        """
        free = free_name(name, self.taken)
        self.taken.add(free)
        return free

    def number(self, name: str, value: Any, dtype: str) -> str:
        """Add a constant and return its name, that of an equal one where there is one."""
        array = np.asarray(value, np.dtype(_CONTAINERS.get(dtype, dtype)))
        label = name
        while label in self.taken:
            old = self.constants.get(label)
            if old is not None and _same(old, array, dtype):
                return label
            label += "_"
        self.taken.add(label)
        self.constants[label] = Tensor(array, dtype)
        return label

    def own(self, name: str, dtype: str | None = None) -> str:
        """Take over a constant of the graph under its own name, once."""
        dtype = dtype or self.graph.values[name].dtype
        there = self.constants.setdefault(name, Tensor(self.graph.constants[name], dtype))
        if there.dtype != dtype:
            raise NoForm(f"{name!r} is read as {there.dtype} and as {dtype}")
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str] | str,
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        since: int = 0,
    ) -> str:
        """Add a node whose operator is there ``since`` an opset; return its first output."""
        names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        self.nodes.append(Made(op, tuple(inputs), names, dict(attributes or {}), domain))
        self.opset = max(self.opset, since)
        return names[0]

    def step(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        since: int = 0,
    ) -> str:
        """Add a node whose only output is new; return its name."""
        return self.add(op, inputs, self.free(name), attributes, since=since)


def _same(old: Tensor, array: Array, dtype: str) -> bool:
    return (old.dtype, old.array.shape, old.array.tobytes()) == (
        dtype, array.shape, array.tobytes(),
    )  # fmt: skip
