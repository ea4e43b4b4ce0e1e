"""What is rewritten between reading and lowering; every pass leaves all bits as they are."""

from refquant_runtime.graph import Graph
from refquant_runtime.passes.bias import fuse_bias
from refquant_runtime.passes.fuse import fuse_bounds
from refquant_runtime.passes.normalization import unrolled
from refquant_runtime.passes.transposed import convolved

__all__ = ["simplified"]


def simplified(graph: Graph) -> Graph:
    """Return the graph with fewer nodes, or with simpler ones."""
    return convolved(fuse_bounds(fuse_bias(unrolled(graph))))
