"""The operators of docs/spec/operators.md as a table: operands and attributes.

An attribute has a kind: ``int``, ``float`` (an int is one, too), ``string``, ``ints`` (a list), or
a tuple of the values it may have. Names and defaults are ONNX's; what is not in the table does not
exist. Shapes are `refquant.model.shapes`' business, dtypes `refquant.model.validate_nodes`'.
"""

from collections.abc import Mapping

from refquant.model.graph import Attribute, Node
from refquant.model.operator import Kind, Operator
from refquant.model.operators_hybrid import HYBRID
from refquant.model.operators_imported import IMPORTED
from refquant.ops.fake_quantize_rules import FORMATS, GRANULARITIES

__all__ = [
    "DYNAMIC",
    "MOVEMENT",
    "OPERATORS",
    "REFERENCE_ONLY",
    "UNARY",
    "VERSION_2",
    "WEIGHTS",
    "Operator",
    "check_signature",
]

_LARGEST_FLOAT32 = (2.0 - 2.0**-23) * 2.0**127

_WINDOW: Mapping[str, Kind] = {"kernel_shape": "ints", "strides": "ints", "pads": "ints"}
_CONV: Mapping[str, Kind] = {**_WINDOW, "dilations": "ints", "group": "int"}
_POOL: Mapping[str, Kind] = {**_WINDOW, "dilations": "ints", "ceil_mode": (0,)}
_GEMM: Mapping[str, Kind] = {"alpha": (1,), "beta": (1,), "transA": (0,), "transB": (0, 1)}
_PAD: Mapping[str, Kind] = {"pads": "ints", "value": "float", "mode": ("constant",)}
_KERNEL = frozenset({"kernel_shape"})

# f(x; attributes), elementwise; on codes with a table of 256 entries as second input.
UNARY: Mapping[str, Mapping[str, Kind]] = {
    "Abs": {},
    "Clip": {"min": "float", "max": "float"},
    "Elu": {"alpha": "float"},
    "Erf": {},
    "Exp": {},
    "Gelu": {"approximate": ("none", "tanh")},
    "HardSigmoid": {"alpha": "float", "beta": "float"},
    "HardSwish": {},
    "LeakyRelu": {"alpha": "float"},
    "Log": {},
    "Neg": {},
    "Relu": {},
    "Requantize": {},
    "Sigmoid": {},
    "Softplus": {},
    "Sqrt": {},
    "Swish": {},
    "Tanh": {},
}

MOVEMENT = frozenset(
    {
        "Reshape",
        "Flatten",
        "Transpose",
        "Concat",
        "Pad",
        "Slice",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "MaxPool",
        "GlobalMaxPool",
    }
)
DYNAMIC = frozenset(
    {
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "MatMulIntegerToFloat",
        "ConvIntegerToFloat",
        "ConvTransposeIntegerToFloat",
        "DynamicQuantizeGRU",
        "DynamicQuantizeLSTM",
    }
)

_AXES = frozenset({"axes"})
_REDUCE = Operator(1, 1, attributes={"axes": "ints", "keepdims": (0, 1)}, required=_AXES)
_HEADS: Mapping[str, Kind] = {"q_num_heads": "int", "kv_num_heads": "int"}
_ATTENTION: Mapping[str, Kind] = {**_HEADS, "is_causal": (0, 1), "scale": "float"}
_ROTARY: Mapping[str, Kind] = {"num_heads": "int", "rotary_embedding_dim": "int"}
_WALK: Mapping[str, Kind] = {
    "direction": ("forward", "reverse", "bidirectional"),
    "hidden_size": "int",
    "layout": (1,),
}
_SIZED = frozenset({"hidden_size", "layout"})

# docs/spec/operators.md, section 7: operators of files that say refquant/2.
SEQUENCE: Mapping[str, Operator] = {
    "Cast": Operator(1, 1, attributes={"to": (1, 6, 9)}, required=frozenset({"to"})),
    "Gather": Operator(2, 2, attributes={"axis": "int"}),
    "LayerNormalization": Operator(2, 3, attributes={"axis": "int", "epsilon": "float"}),
    "RMSNormalization": Operator(2, 2, attributes={"axis": "int", "epsilon": "float"}),
    "Attention": Operator(3, 4, attributes=_ATTENTION),
    "RotaryEmbedding": Operator(4, 4, attributes={**_ROTARY, "interleaved": (0, 1)}),
    "GRU": Operator(
        3, 6, outputs=2, attributes={**_WALK, "linear_before_reset": (0, 1)}, required=_SIZED
    ),
    "LSTM": Operator(3, 7, outputs=3, attributes=_WALK, required=_SIZED),
    "ReduceMean": _REDUCE,
    "ReduceSum": _REDUCE,
    "Slice": Operator(
        1,
        1,
        attributes={"starts": "ints", "ends": "ints", "axes": "ints"},
        required=frozenset({"starts", "ends", "axes"}),
    ),
    "Squeeze": Operator(1, 1, attributes={"axes": "ints"}, required=_AXES),
    "Unsqueeze": Operator(1, 1, attributes={"axes": "ints"}, required=_AXES),
}
# Section 8: our own, of files that say refquant/2. FakeQuantize rounds and stays in float32.
_FORMAT: Mapping[str, Kind] = {"format": FORMATS, "granularity": GRANULARITIES}
_ROUND: Mapping[str, Kind] = {**_FORMAT, "axis": "int", "clip_ratio": "float", "threshold": "float"}
SIMULATION = {"FakeQuantize": Operator(1, 2, attributes=_ROUND, required=frozenset(_FORMAT))}
# Section 9: our own, of files that say refquant/2.
ROTATION: Mapping[str, Operator] = {
    "Hadamard": Operator(1, 2, attributes={"axis": "int", "block_size": "int", "inverse": (0, 1)}),
}
VERSION_2 = frozenset(
    {
        *SEQUENCE,
        *SIMULATION,
        *ROTATION,
        *IMPORTED,
        *HYBRID,
        "DynamicQuantizeGRU",
        "DynamicQuantizeLSTM",
        "ConvTransposeIntegerToFloat",
    }
)
REFERENCE_ONLY = frozenset({*SIMULATION, *ROTATION})
"""What a runtime is told to refuse: docs/spec/operators.md."""

WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (1,),
    "Gather": (0,),
    "GRU": (1, 2),
    "LSTM": (1, 2),
}
"""The inputs that may be constants of codes beside float32 activations: weight-only."""

OPERATORS: Mapping[str, Operator] = {
    **SEQUENCE,
    **IMPORTED,
    **HYBRID,
    **SIMULATION,
    **ROTATION,
    "Conv": Operator(2, 3, attributes=_CONV, fused=True),
    "Gemm": Operator(2, 3, attributes=_GEMM, fused=True),
    "MatMul": Operator(2, 3, fused=True),
    "Add": Operator(2, 2, fused=True),
    "Sub": Operator(2, 2),
    "Mul": Operator(2, 2, fused=True),
    "Div": Operator(2, 2),
    **{op: Operator(1, 2, attributes=kinds, fused=op == "Clip") for op, kinds in UNARY.items()},
    "Softmax": Operator(1, 2, attributes={"axis": "int"}),
    "MaxPool": Operator(1, 1, attributes=_POOL, required=_KERNEL),
    "AveragePool": Operator(
        1, 1, attributes={**_POOL, "count_include_pad": (0, 1)}, required=_KERNEL, fused=True
    ),
    "GlobalMaxPool": Operator(1, 1),
    "GlobalAveragePool": Operator(1, 1, fused=True),
    "Reshape": Operator(1, 1, attributes={"shape": "ints"}, required=frozenset({"shape"})),
    "Flatten": Operator(1, 1, attributes={"axis": (1,)}),
    "Transpose": Operator(1, 1, attributes={"perm": "ints"}),
    "Concat": Operator(1, 2**31, attributes={"axis": "int"}, required=frozenset({"axis"})),
    "Pad": Operator(1, 1, attributes=_PAD, required=frozenset({"pads"})),
    "Identity": Operator(1, 1),
    "BatchNormalization": Operator(5, 5, attributes={"epsilon": "float"}),
    "QuantizeLinear": Operator(1, 1),
    "DequantizeLinear": Operator(1, 1),
    "DynamicQuantizeLinear": Operator(1, 1, outputs=3),
    "MatMulInteger": Operator(2, 4),
    "ConvInteger": Operator(2, 4, attributes=_CONV),
    "MatMulIntegerToFloat": Operator(4, 5),
    "ConvIntegerToFloat": Operator(4, 5, attributes=_CONV),
    "ConvTransposeIntegerToFloat": Operator(4, 5, attributes=IMPORTED["ConvTranspose"].attributes),
    "DynamicQuantizeGRU": SEQUENCE["GRU"],
    "DynamicQuantizeLSTM": SEQUENCE["LSTM"],
}


def check_signature(node: Node) -> None:
    """Refuse a node whose operator, number of operands or attributes are not in the table.

    >>> check_signature(Node("r", "Relu", ("x",), ("y",)))
    >>> check_signature(Node("r", "Relu", ("x",), ("y",), {"alpha": 1}))
    Traceback (most recent call last):
    ...
    ValueError: Relu has no attribute 'alpha'; it has []
    """
    if node.op not in OPERATORS:
        raise ValueError(
            f"unknown operator {node.op!r}; docs/spec/operators.md lists those there are"
        )
    operator = OPERATORS[node.op]
    if not operator.least <= len(node.inputs) <= operator.most:
        most = operator.most if operator.most < 9 else "any number of"
        raise ValueError(f"{node.op} has {operator.least} to {most} inputs, got {len(node.inputs)}")
    if len(node.outputs) != operator.outputs:
        raise ValueError(f"{node.op} has {operator.outputs} outputs, got {len(node.outputs)}")
    for index, name in enumerate(node.inputs):
        if not name and (index < operator.least or node.op == "Concat"):
            raise ValueError(f"{node.op} needs input {index}, got ''; name a value")
    clamps: Mapping[str, Kind] = {"clamp_min": "int", "clamp_max": "int"} if operator.fused else {}
    known = {**operator.attributes, **clamps}
    for name, value in node.attributes.items():
        if name not in known:
            raise ValueError(f"{node.op} has no attribute {name!r}; it has {sorted(known)}")
        _check_kind(node.op, name, value, known[name])
    for name in sorted(operator.required - node.attributes.keys()):
        raise ValueError(f"{node.op} needs the attribute {name!r}")


def _check_kind(op: str, name: str, value: Attribute, kind: Kind) -> None:
    integer = type(value) is int
    if kind == "ints":
        good = type(value) is tuple and all(type(item) is int for item in value)
    elif kind == "int":
        good = integer
    elif kind == "float":
        good = (integer or type(value) is float) and _fits(value)
    else:
        # subtle: 1.0 == 1, and True == 1 too
        good = value in kind and type(value) in (int, float, str)
    if not good:
        rules = {"ints": "a list of integers", "int": "an integer", "float": "a float32"}
        rule = rules.get(str(kind), f"one of {list(kind)}")
        raise ValueError(f"{op}: attribute {name} is {rule}, got {value!r}")


def _fits(value: Attribute) -> bool:
    # A comparison with NaN is false.
    return isinstance(value, int | float) and abs(value) <= _LARGEST_FLOAT32
