r"""The static schemes: codes in, codes out, by parameters that calibration chose.

With the plan of `refquant.model.quantize_plan` (which layers compute on codes) and the observers
of `refquant.model.calibrate` every value on codes gets its scale and zero point
(`refquant.model.quantize_values`): those of its ``source`` where codes are copied; :math:`1/256`
and the smallest code behind `Softmax`, whose range is known; else what its observer and the
contract say. Then, layer by layer:

* products get weights of codes and int32 biases (`refquant.model.quantize_product`); `GRU` and
  `LSTM` weights of codes and float32 biases (`refquant.model.quantize_recurrent`);
* unary functions become tables, with the numbers that are multiplied and added behind them;
* `Concat` gets its inputs in its own parameters, through `Requantize` tables where they differ;
* constants beside computed values (`Add`, `Mul`, `Concat`) become codes;
* a fused `Relu` or `Clip` is the range of the layer's output, and a clamp where the range alone
  does not cut there.

``static``: `QuantizeLinear` behind float32 inputs, `DequantizeLinear` before float32 outputs.
``full_integer``: inputs and outputs are codes.

Source: Jacob et al., CVPR 2018, section 2; TFLite's 8-bit quantization specification (Softmax).
"""

from collections.abc import Mapping

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.model.build import Builder
from refquant.model.calibrate import Calibrated
from refquant.model.graph import Graph, Node, names_of
from refquant.model.operators import MOVEMENT, UNARY
from refquant.model.quantize_plan import Layer, Plan
from refquant.model.quantize_product import add_product
from refquant.model.quantize_recurrent import RECURRENT, add_gates
from refquant.model.quantize_values import Values
from refquant.model.recipe_rules import Activations, Weights
from refquant.ops.unary import unary_table

__all__ = ["observed", "quantize_static"]


def observed(graph: Graph, plan: Plan, *, full_integer: bool) -> set[str]:
    """Return the values whose range calibration must find.

    >>> from refquant.contracts import preset
    >>> from refquant.model.quantize_plan import plan
    >>> b = Builder("g")
    >>> h = b.node("Flatten", [b.input("x", ("N", 2, 2))], name="h")
    >>> g = b.graph([b.node("Tanh", [h], name="y")])
    >>> sorted(observed(g, plan(g, contract=preset("ort"), excluded=()), full_integer=False))
    ['x', 'y']
    """
    touched = {*graph.inputs, *graph.outputs} if full_integer else set()
    for layer in plan.layers:
        if layer.codes and layer.node.op in RECURRENT:  # its cell and its last states are reals
            touched |= {layer.node.inputs[0], layer.output}
        elif layer.codes:
            touched.update(layer.node.inputs, layer.node.outputs)
    touched.update(name for pair in plan.ties for name in pair)
    known = {layer.output for layer in plan.layers if layer.node.op == "Softmax"}
    return {plan.source[name] for name in touched if name in plan.source} - known


def quantize_static(
    graph: Graph,
    plan: Plan,
    seen: Calibrated,
    *,
    activations: Activations,
    weights: Mapping[str, Weights],
    contract: Contract,
    full_integer: bool,
) -> Builder:
    """Return the graph that computes on codes where ``plan`` says so.

    ``seen`` has an observer for each of `observed`; ``weights`` the rules of each node with a
    constant weight.

    >>> from refquant.contracts import preset
    >>> from refquant.model.calibrate import calibrate
    >>> from refquant.model.quantize_plan import plan
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Tanh", [b.input("x", ("N", 2))], name="y")])
    >>> ort, rules = preset("ort"), Activations()
    >>> seen = calibrate(g, {"x": np.float32([[-1, 3]])}, names=["x", "y"], rules=rules)
    >>> made = quantize_static(g, plan(g, contract=ort, excluded=()), seen, activations=rules,
    ...                        weights={}, contract=ort, full_integer=False)
    >>> [(n.op, n.outputs[0]) for n in made.nodes]
    [('QuantizeLinear', 'x/codes'), ('Tanh', 'y/codes'), ('DequantizeLinear', 'y')]
    """
    b = Builder(graph.name, reserved=names_of(graph))
    v = Values(graph, plan.source, seen, activations, contract, full_integer, b)
    for name in graph.inputs:
        shape = graph.values[name].shape
        if full_integer:
            b.input(name, shape, dtype=activations.dtype, quant=v.quant(name))
        else:
            b.input(name, shape, dtype=graph.values[name].dtype)
        v.born(name, codes=full_integer)
    for layer in plan.layers:
        node = layer.node
        if layer.codes:
            _add_integer(v, layer, _operands(v, layer, weights))
        else:
            operands = [v.reals(name) if name else "" for name in node.inputs]
            names = node.outputs if len(node.outputs) > 1 else (layer.output,)
            outputs = [v.born(name, codes=False) for name in names]
            b.node_with(node.op, operands, outputs, name=node.name, attributes=node.attributes)
    for name in graph.outputs:
        if full_integer:
            v.codes(name)
        else:
            v.reals(name)
    return b


def _operands(v: Values, layer: Layer, weights: Mapping[str, Weights]) -> list[str]:
    """Return the names of the operands of a node on codes, adding what is not there yet."""
    node = layer.node
    if node.op in RECURRENT:
        gates = add_gates(v.b, v.graph, node, rules=weights, contract=v.contract)
        made = [v.codes(node.inputs[0]), *gates, *map(v.reals, node.inputs[4:])]
        return made[: len(node.inputs)]
    if node.name in weights:
        return add_product(
            v.b,
            v.graph,
            node,
            x=v.codes(node.inputs[0]),
            x_qparams=v.qparams(node.inputs[0]),
            rules=weights[node.name],
            contract=v.contract,
        )
    if node.op in UNARY:
        x, y = v.qparams(node.inputs[0]), v.qparams(node.outputs[0])
        table = unary_table(node.op, node.attributes, x, y, v.contract, behind=layer.behind)
        return [v.codes(node.inputs[0]), v.b.constant(v.b.free(f"{node.name}/table"), table)]
    if node.op == "Concat":
        return [_brought(v, name, node) for name in node.inputs]
    return [v.codes(name) for name in node.inputs]


def _add_integer(v: Values, layer: Layer, operands: list[str]) -> None:
    node = layer.node
    # A table holds its function's attributes.
    attributes = {} if node.op in UNARY else {**node.attributes, **_clamps(v, layer)}
    v.b.node_with(
        node.op,
        operands,
        [v.born(name, codes=name == layer.output) for name in node.outputs],
        name=node.name,
        attributes=attributes,
        contract=None if node.op in MOVEMENT else v.contract,
        dtype=v.rules.dtype,
        quant=v.quant(layer.output),
    )


def _clamps(v: Values, layer: Layer) -> dict[str, int]:
    """Return the bounds of the fused node as codes, where they are tighter than the dtype."""
    if layer.bound is None:
        return {}
    qparams = v.qparams(layer.output)
    given = {"min": 0.0} if layer.bound.op == "Relu" else layer.bound.attributes
    clamps = {}
    for end, limit in zip(("min", "max"), qparams.full_range, strict=True):
        bound = given.get(end)
        if isinstance(bound, int | float):
            # Rounding is monotonic, so the code of the bound bounds the codes.
            code = _code(float(bound), qparams, v.contract)
            if code != limit:
                clamps[f"clamp_{end}"] = code
    return clamps


def _code(x: float, qparams: QParams, contract: Contract) -> int:
    """Return the code of the real nearest to ``x`` that has one."""
    dtype = np.int8 if qparams.dtype == "int8" else np.uint8
    # subtle: a contract may cast before it saturates, and a bound may be as large as a float32.
    low, high = dequantize(np.array(qparams.full_range, dtype), qparams)
    inside = np.clip(np.array(x, np.float32), low, high)
    return int(quantize(inside, qparams, contract=contract))


def _brought(v: Values, name: str, concat: Node) -> str:
    """Return the codes of an input of ``concat`` in the parameters of its output."""
    output = concat.outputs[0]
    codes = v.codes(name, like=output)
    x, y = v.qparams(name), v.qparams(output)
    if name in v.graph.constants or x == y:
        return codes
    fresh = v.b.free(f"{name}/for/{concat.name}")
    if fresh not in v.b.values:
        table = unary_table("Requantize", {}, x, y, v.contract)
        v.b.node_with(
            "Requantize",
            [codes, v.b.constant(v.b.free(f"{fresh}/table"), table)],
            [fresh],
            name=v.b.free(f"{name}/requantize/{concat.name}"),
            contract=v.contract,
            dtype=v.rules.dtype,
            quant=v.quant(output),
        )
    return fresh
