"""What a function of `refquant.model.execute_node` is given: one call of one operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.model.graph import Graph, Node
from refquant.model.params import qparams_of
from refquant.model.reals import reals

__all__ = ["Call"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A node, its operands, and where to look up parameters; ``sums`` as in `execute.run`."""

    graph: Graph
    node: Node
    operands: Sequence[Array | None]
    sums: str

    def operand(self, index: int) -> Array:
        """Return a required operand."""
        array = self.operands[index]
        assert array is not None, "validated: the input is there"
        return array

    def optional(self, index: int) -> Array | None:
        """Return an operand that may be absent."""
        return self.operands[index] if index < len(self.operands) else None

    @property
    def contract(self) -> Contract:
        """Return the contract of integer arithmetic."""
        assert self.node.contract is not None, "validated: integer arithmetic has a contract"
        return self.graph.contracts[self.node.contract]

    @property
    def quantized(self) -> bool:
        """Say whether the output is of codes."""
        return self.graph.values[self.node.outputs[0]].quant is not None

    def x(self, index: int = 0) -> QParams:
        """Return the parameters of an input."""
        return qparams_of(self.graph, self.node.inputs[index])

    @property
    def y(self) -> QParams:
        """Return the parameters of the output."""
        return qparams_of(self.graph, self.node.outputs[0])

    def attributes(self, *names: str) -> dict[str, Any]:
        """Return those of ``names`` that the node has; the functions have ONNX's defaults."""
        return {name: self.node.attributes[name] for name in names if name in self.node.attributes}

    @property
    def clamps(self) -> dict[str, Any]:
        """Return the codes to clamp to."""
        return self.attributes("clamp_min", "clamp_max")

    @property
    def window(self) -> dict[str, Any]:
        """Return what a convolution's window looks like."""
        return self.attributes("strides", "pads", "dilations", "group", "output_padding")

    @property
    def pool(self) -> dict[str, Any]:
        """Return what a pool's window looks like."""
        return self.attributes("kernel_shape", "strides", "pads", "count_include_pad")

    def weight(self, index: int = 1) -> Array:
        """Return the float32 weight of a float32 node, dequantized if it is of codes."""
        w = self.operand(index)
        if self.graph.values[self.node.inputs[index]].quant is None:
            return w
        return reals(self.graph, self.node.inputs[index], w)

    def three(self) -> dict[str, Any]:
        """Return the parameters of x, w, y and the contract."""
        return {
            "x_qparams": self.x(),
            "w_qparams": self.x(1),
            "y_qparams": self.y,
            "contract": self.contract,
        }

    def two(self) -> dict[str, Any]:
        """Return the parameters of x and y and the contract."""
        return {"x_qparams": self.x(), "y_qparams": self.y, "contract": self.contract}
