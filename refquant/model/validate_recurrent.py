"""The rules of `GRU` and `LSTM` of codes: docs/spec/operators.md, section 4.

Codes in, codes out, as for the other operators of that section; but biases and what a step keeps
are float32. The two products have an accumulator each: that of the state is proved for the whole
range of the output's dtype, which is what the state is quantized to.
"""

from refquant.model.graph import DTYPES, Graph, Node
from refquant.model.params import qparams_of
from refquant.model.validate_codes import codes_of
from refquant.ops.accumulate import prove_accumulator
from refquant.ops.dynamic_lstm import row_scales
from refquant.ops.dynamic_range import ORDERS

__all__ = ["check_static_recurrent"]


def check_static_recurrent(graph: Graph, node: Node) -> None:
    """Refuse a `GRU` or `LSTM` of codes with other operands, or whose sums could leave int32."""
    contract = graph.contracts[node.contract or ""]
    if contract.requantize in ORDERS:
        raise ValueError(
            f"contract {contract.name!r} gives reals, not codes (requantize "
            f"{contract.requantize!r}); use another contract"
        )
    x, y = (
        codes_of(graph, node.inputs[0], most_bits=8),
        codes_of(graph, node.outputs[0], most_bits=8),
    )
    for name in (*node.inputs[3:], *node.outputs[1:]):
        value = graph.values[name] if name else None
        if value is not None and (value.dtype != "float32" or value.quant is not None):
            raise ValueError(
                f"its bias and its states are float32, but {name!r} is {value.dtype} "
                f"{'with' if value.quant else 'without'} quant; dequantize it"
            )
    for name, left, of in (
        (node.inputs[1], x, node.inputs[0]),
        (node.inputs[2], y, node.outputs[0]),
    ):
        w = graph.values[name]
        signed = DTYPES[w.dtype].bits <= 8 and DTYPES[w.dtype].qmin < 0
        if w.quant is None or name not in graph.constants or not signed:
            raise ValueError(
                f"the weight {name!r} is a constant of int8 codes, or narrower ones, got {w.dtype} "
                f"{'with' if w.quant else 'without'} quant"
            )
        row_scales(graph.constants[name], qparams_of(graph, name))
        zero = int(qparams_of(graph, of).zero_point)
        for part in graph.constants[name]:
            prove_accumulator(part, 0, left.dtype, zero, None, channel_axis=0, name=node.name)
