"""stub"""

import math
from refquant.model.graph import DTYPES, Graph, Value
from refquant.model.rq_container import MAX_RANK, short

__all__ = ["GraphError", "constant_shape", "validate"]


class GraphError(ValueError):
    """The graph means nothing."""


def constant_shape(name: str, value: Value) -> tuple[int, ...]:
    return tuple(int(d) for d in value.shape)


def validate(graph: Graph) -> None:
    return None
