"""How a node of an operator looks: the entry of a table of operators."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Kind", "Operator"]

Kind = str | tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """How a node of this operator looks: ``least`` to ``most`` inputs, and so on.

    ``fused`` operators may carry ``clamp_min`` and ``clamp_max`` when their output is quantized.
    """

    least: int
    most: int
    outputs: int = 1
    attributes: Mapping[str, Kind] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    fused: bool = False
