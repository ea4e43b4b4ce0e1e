"""What a node must have before anything computes with it: attributes of their kind, its inputs.

ONNX's schemas say so, operator by operator. An attribute's name has one kind in all of them but for
``value`` (a tensor; in old versions of ``Pad`` a number), so one table of names is enough. The same
for what is required: few attributes are, and inputs by their places::

    axis = 1.5                  an integer is asked for
    Cast without ``to``         required
    Gemm("a", "")               input 1 is absent

Lowerings and folds come after this and need not ask again.

Left out: what an attribute's numbers may be, which is for the operator to say; attributes that no
schema has, which nobody reads; an operator's inputs beyond those it has.

References: ``onnx/defs``, opsets 9 to 25; onnxruntime ``docs/ContribOperators.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode, Tensor
from refquant.model.importers.onnx_scope import Unsupported

__all__ = ["check_rules", "reason_of"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _ints(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int for item in value)


def _floats(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is float for item in value)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is str for item in value)


_KINDS: Mapping[str, tuple[Callable[[Any], bool], tuple[str, ...]]] = {
    "an integer": (
        lambda value: type(value) is int,
        _words(
            "allowzero antialias axis batch_dims block_size blocksize ceil_mode count_include_pad "
            "end exclude_outside group hidden_size input_forget interleaved is_causal is_test k "
            "keepdims kv_num_heads largest layout left_window_size linear_before_reset "
            "noop_with_empty_axes num_groups num_heads num_outputs output_dtype output_sequence "
            "precision q_num_heads qk_matmul_output_mode right_window_size rotary_embedding_dim "
            "saturate seed select_last_index softmax_precision sorted start stash_type "
            "storage_order to training_mode transA transB value_int "
            "K N accuracy_level bits channels_last do_rotary opset past_present_share_buffer "
            "unidirectional"
        ),
    ),
    "a number": (
        lambda value: type(value) is float,
        _words(
            "alpha beta clip cubic_coeff_a epsilon extrapolation_value mask_filter_value max min "
            "momentum ratio scale softcap value_float"
        ),
    ),
    "a text": (
        lambda value: type(value) is str,
        _words(
            "approximate auto_pad coordinate_transformation_mode direction "
            "keep_aspect_ratio_policy mode nearest_mode round_mode value_string"
        ),
    ),
    "integers": (
        _ints,
        _words(
            "axes dilations ends kernel_shape output_padding output_shape pads perm split starts "
            "strides value_ints"
        ),
    ),
    "numbers": (_floats, ("activation_alpha", "activation_beta", "scales", "value_floats")),
    "texts": (_texts, ("activations", "value_strings")),
    "a graph": (
        lambda value: isinstance(value, OnnxGraph), ("body", "else_branch", "then_branch"),
    ),
    "a tensor": (lambda value: isinstance(value, Tensor), ("value",)),
}  # fmt: skip
_KIND_OF = {name: kind for kind, (_, names) in _KINDS.items() for name in names}

_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "AveragePool": ("kernel_shape",), "Cast": ("to",), "Concat": ("axis",),
    "DepthToSpace": ("blocksize",), "If": ("then_branch", "else_branch"), "Loop": ("body",),
    "MatMulNBits": ("K", "N", "block_size"),
    "GroupNormalization": ("num_groups",), "MaxPool": ("kernel_shape",),
    "SpaceToDepth": ("blocksize",),
}  # fmt: skip

# How many inputs come first that must be there; operators that are not listed have one.
_INPUTS: Mapping[str, int] = {
    "Constant": 0, "Loop": 0,
    **dict.fromkeys(_words(
        "Add And ConvInteger Conv ConvTranspose DequantizeLinear Div Equal Expand Gather GatherND "
        "Gemm Greater GreaterOrEqual LayerNormalization Less LessOrEqual MatMul MatMulInteger Mul "
        "Or PRelu Pow QuantizeLinear RMSNormalization Reshape Sub Tile Upsample Xor"), 2),
    **dict.fromkeys(_words(
        "Attention GRU GroupNormalization InstanceNormalization LSTM MatMulNBits "
        "DynamicQuantizeMatMul Range RotaryEmbedding Where"), 3),
    "MatMulIntegerToFloat": 4, "BatchNormalization": 5, "QAttention": 5, "QGemm": 6,
    "QLinearConv": 8, "QLinearMatMul": 8,
}  # fmt: skip
_SINCE: Mapping[str, tuple[int, int, tuple[str, ...]]] = {
    "Pad": (11, 2, ("pads",)),
    "Slice": (10, 3, ("starts", "ends")),
    "TopK": (10, 2, ("k",)),
    "Unsqueeze": (13, 2, ("axes",)),
}
"""What became inputs: since which opset, how many inputs are needed then, the attributes before."""

_BETWEEN: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), (0, 1, 3, 4, 6)),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu",
                     "QLinearSigmoid", "QLinearSoftmax"), (0, 1, 3)),
    "DynamicQuantizeLSTM": (0, 1, 2, 8, 9, 10, 11),
}  # fmt: skip
"""Operators of ``com.microsoft`` with optional inputs between those that are required."""


def check_rules(node: OnnxNode, opset: int) -> None:
    """Refuse a ``node`` whose attributes are of another kind, or that lacks what it needs.

    >>> check_rules(OnnxNode("c", "Cast", ("x",), ("y",), {"to": 1}), 17)
    >>> check_rules(OnnxNode("c", "Cast", ("x",), ("y",), {}), 17)
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_items.Unsupported: Cast needs the attribute 'to'
    """
    for name, value in node.attributes.items():
        kind = _KIND_OF.get(name)
        if (node.op, name) == ("Pad", "value"):
            kind = "a number"
        if kind is not None and not _KINDS[kind][0](value):
            raise Unsupported(f"the attribute {name!r} must be {kind}, got {_shown(value)}")
    for name in _needed(node.op, opset):
        if name not in node.attributes:
            raise Unsupported(f"{node.op} needs the attribute {name!r}")
    for place in _required(node, opset):
        if place >= len(node.inputs) or not node.inputs[place]:
            raise Unsupported(f"{node.op} needs the input {place}")


def reason_of(error: Exception) -> str:
    """Return what an error in the middle of a node says of it, in words that are not Python's.

    >>> reason_of(IndexError("tuple index out of range"))
    'an axis, a place or an input that is not there; export the model again'
    """
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, LookupError):
        return "an axis, a place or an input that is not there; export the model again"
    if isinstance(error, ArithmeticError):
        return f"numbers that nothing is made of ({error}); export the model again"
    return f"malformed ({error}); export the model again"


def _needed(op: str, opset: int) -> tuple[str, ...]:
    """Return the attributes that must be there."""
    since, _, before = _SINCE.get(op, (0, 1, ()))
    return before if opset < since else _ATTRIBUTES.get(op, ())


def _required(node: OnnxNode, opset: int) -> tuple[int, ...]:
    """Return the places of the inputs that must be there."""
    if node.op in _BETWEEN:
        return _BETWEEN[node.op]
    since, count, before = _SINCE.get(node.op, (0, 1, ()))
    old = opset < since or bool(before and node.attributes.keys() >= {*before})  # loops make such
    return tuple(range(_INPUTS.get(node.op, 1 if old else count)))


def _shown(value: Any) -> str:
    if isinstance(value, OnnxGraph | Tensor):
        return "a graph" if isinstance(value, OnnxGraph) else "a tensor"
    return repr(value) if len(repr(value)) < 40 else f"{repr(value)[:36]} ..."
