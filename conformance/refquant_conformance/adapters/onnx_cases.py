"""A case as an ONNX model: which nodes, and which inputs are constants of the model.

Weights are constants, as in every model file, unless ``case.params["constant_weights"]`` is false.
In the style ``pairs`` all scales and zero points are constants too: engines fuse no others.
"""

from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.onnx_floats import FLOATS
from refquant_conformance.adapters.onnx_models import ELEMENT_TYPES, Model
from refquant_conformance.adapters.onnx_movement import MOVED, MOVED_PAIRS
from refquant_conformance.adapters.onnx_nodes import DIRECT, PAIRS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Array, Case, Unsupported

__all__ = ["SETTINGS", "STYLES", "WEIGHTS", "fed", "model_of", "named_by", "style_of"]

STYLES = {"direct": {**DIRECT, **MOVED, **FLOATS}, "pairs": {**PAIRS, **MOVED_PAIRS}}
"""The operators of each style."""

SETTINGS = {"": "direct", "qdq": "pairs"}
"""The settings of adapters that have both styles."""

WEIGHTS = {
    "matmul_integer": ("b", "b_zero_point"),
    "qlinear_matmul": ("b", "b_scale", "b_zero_point", "bias"),
    "qlinear_conv": ("w", "w_scale", "w_zero_point", "bias"),
}
"""The inputs that models hold as constants, by operator."""


def style_of(name: str, setting: str) -> str:
    """Return the style that a setting of backend ``name`` stands for; ``BackendError`` if none.

    >>> style_of("onnx", "qdq")
    'pairs'
    """
    if setting not in SETTINGS:
        raise BackendError(f"{name} has no setting {setting!r}; it has 'qdq', or none")
    return SETTINGS[setting]


def named_by(name: str, setting: str) -> str:
    """Return the name of a backend with a setting.

    >>> named_by("onnx", ""), named_by("onnx", "qdq")
    ('onnx', 'onnx:qdq')
    """
    return f"{name}:{setting}" if setting else name


def model_of(case: Case, *, style: str, hold_parameters: bool = False) -> Model:
    """Return the model of a case; ``Unsupported`` where ONNX has no such operator or type.

    ``hold_parameters`` makes constants of scales and zero points in the style ``direct``, too.

    >>> from refquant_conformance.adapters.samples import sample
    >>> [n.op for n in model_of(sample("qlinear_matmul", "u8_i8"), style="pairs").nodes]
    ['DequantizeLinear', 'DequantizeLinear', 'MatMul', 'QuantizeLinear']
    """
    if case.op not in STYLES[style]:
        raise Unsupported(f"ONNX has no {case.op} in the style {style}")
    outputs = OPERATORS[case.op].outputs
    types = {name: case.types[name] for name in (*case.inputs, *outputs)}
    for name, logical in types.items():
        if logical not in ELEMENT_TYPES:
            raise Unsupported(f"ONNX has no type {logical}, which {name} has")
    parts = STYLES[style][case.op](case)
    constants = dict(parts.constants)
    used = {name for node in parts.nodes for name in node.inputs} - set(constants)
    held = set(WEIGHTS.get(case.op, ()) if case.params.get("constant_weights", True) else ())
    if style == "pairs" or hold_parameters:
        held |= {name for name in case.inputs if name.endswith(("scale", "zero_point"))}
    for name in used & held & set(case.inputs):
        constants[name] = types[name], case.inputs[name]
    return Model(
        parts.nodes,
        dict(sorted(constants.items())),
        {n: types[n] for n in case.inputs if n in used and n not in constants},
        {n: types[n] for n in outputs},
        25 if {"int2", "uint2"} & set(types.values()) else 21,
    )


def fed(model: Model, case: Case) -> dict[str, Array]:
    """Return what a case feeds into its model."""
    return {name: case.inputs[name] for name in model.feeds}
