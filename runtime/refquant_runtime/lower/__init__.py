"""From operators to steps: one function an operator family, chosen by :data:`LOWERINGS`."""

from collections.abc import Callable, Mapping

from refquant_runtime.contracts import Arithmetic
from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Graph, Node
from refquant_runtime.kernels.choose import CHOICES
from refquant_runtime.kernels.elementary import FUNCTIONS
from refquant_runtime.lower.binary import lower_binary
from refquant_runtime.lower.choose import lower_choice, lower_extreme, lower_top_k
from refquant_runtime.lower.coded_recurrent import lower_coded_recurrent
from refquant_runtime.lower.context import FIRST, Lowering
from refquant_runtime.lower.dynamic_range import lower_dynamic_range
from refquant_runtime.lower.elementwise import (
    lower_dequantize,
    lower_dynamic_quantize,
    lower_quantize,
    lower_softmax,
    lower_unary,
)
from refquant_runtime.lower.floating import lower_float
from refquant_runtime.lower.int16 import lower_int16
from refquant_runtime.lower.integer import lower_integer
from refquant_runtime.lower.l2_normalization import lower_l2_normalization
from refquant_runtime.lower.layout import (
    lower_alias,
    lower_concat,
    lower_interleave,
    lower_pad,
    lower_pool,
    lower_slice,
    lower_stuff,
    lower_transpose,
)
from refquant_runtime.lower.products import lower_matmul_codes, lower_matmul_float
from refquant_runtime.lower.recurrent import lower_recurrent
from refquant_runtime.lower.resize import lower_resize
from refquant_runtime.lower.sequence import (
    lower_attention,
    lower_cast,
    lower_gather,
    lower_normalization,
    lower_rotary,
)
from refquant_runtime.lower.statistics import lower_mean, lower_softmax_codes
from refquant_runtime.plan import Buffer, Constants, Plan, finish
from refquant_runtime.weights import is_int16

__all__ = ["lower"]


def _layer(ctx: Lowering, node: Node) -> None:
    """Choose among the forms of Conv, Gemm and MatMul."""
    w = ctx.value(node.inputs[1])
    integer = "Integer" in node.op or ctx.value(node.outputs[0]).quant is not None
    if w.data is None or (not integer and len(w.shape) > 2 and node.op == "MatMul"):
        (lower_matmul_codes if integer else lower_matmul_float)(ctx, node)
    else:
        (lower_integer if integer else lower_float)(ctx, node)


def _softmax(ctx: Lowering, node: Node) -> None:
    """Choose between the forms of Softmax."""
    (lower_softmax_codes if len(node.inputs) > 1 else lower_softmax)(ctx, node)


def _recurrent(ctx: Lowering, node: Node) -> None:
    """Choose between the forms of GRU and LSTM."""
    coded = ctx.value(node.outputs[0]).quant is not None
    (lower_coded_recurrent if coded else lower_recurrent)(ctx, node)


LOWERINGS: Mapping[str, Callable[[Lowering, Node], None]] = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), _layer),
    **dict.fromkeys(
        ("ConvInteger", "ConvIntegerToFloat", "MatMulInteger", "MatMulIntegerToFloat"), _layer
    ),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min"), lower_binary),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), lower_pool),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), lower_alias),
    **dict.fromkeys((name for name in FUNCTIONS if name != "Identity"), lower_unary),
    "Requantize": lower_unary,
    "Transpose": lower_transpose,
    "Concat": lower_concat,
    "Pad": lower_pad,
    "QuantizeLinear": lower_quantize,
    "DequantizeLinear": lower_dequantize,
    "DynamicQuantizeLinear": lower_dynamic_quantize,
    **dict.fromkeys(("ReduceMean", "ReduceSum"), lower_mean),
    "Slice": lower_slice,
    "Stuff": lower_stuff,
    "Interleave": lower_interleave,
    "Gather": lower_gather,
    "Cast": lower_cast,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), lower_normalization),
    "Attention": lower_attention,
    "RotaryEmbedding": lower_rotary,
    **dict.fromkeys(("GRU", "LSTM"), _recurrent),
    **dict.fromkeys(("DynamicQuantizeGRU", "DynamicQuantizeLSTM"), lower_coded_recurrent),
    **dict.fromkeys(("ConvDynamicRange", "MatMulDynamicRange"), lower_dynamic_range),
    **dict.fromkeys((*CHOICES, "Where"), lower_choice),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), lower_extreme),
    "TopK": lower_top_k,
    "ResizeLinear": lower_resize,
    "L2Normalization": lower_l2_normalization,
    "Softmax": _softmax,
}


_MOVES = (
    *(lower_alias, lower_concat, lower_gather, lower_interleave, lower_pad, lower_slice),
    *(lower_stuff, lower_transpose),
)


def lower(
    graph: Graph,
    arithmetics: Mapping[str, Arithmetic],
    *,
    isa: str,
    nthreads: int,
    constants: Constants | None = None,
) -> tuple[Plan, dict[str, Buffer], dict[str, Buffer]]:
    """Return the plan of a checked graph, and the buffers of its inputs and outputs.

    ``constants``: those of a plan of the same graph for another length of its sequences.
    """
    ctx = Lowering(graph, arithmetics, isa=isa, nthreads=nthreads, constants=constants)
    for node in graph.nodes:
        ctx.node = node
        chosen = LOWERINGS[node.op]
        ends = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
        if chosen not in _MOVES and is_int16(*ends):
            chosen = lower_int16
        chosen(ctx, node)
    ctx.node = Node("outputs", "Layout", (), (), {}, None)
    outputs = {name: ctx.read(name, FIRST) for name in graph.outputs}
    inputs = {name: ctx.places[name, FIRST] for name in graph.inputs}
    for buffer in outputs.values():
        buffer.pinned = True
    try:
        keep = [*inputs.values(), *outputs.values()]
        plan = finish(ctx.steps, ctx.constants, keep, ctx.guards)
    except MemoryError as error:
        raise UnsupportedError(f"{graph.path}: not enough memory; use a smaller model") from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{graph.path}: {error}") from error
    return plan, inputs, outputs
