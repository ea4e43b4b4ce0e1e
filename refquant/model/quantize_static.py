r"""The static schemes: codes in, codes out, by parameters that calibration chose.

With the plan of `refquant.model.quantize_plan` (which layers compute on codes) and the observers
of `refquant.model.calibrate` every value on codes gets its scale and zero point:

* the parameters of its ``source`` (operators that copy codes);
* :math:`1/256` and the smallest code for `Softmax`, whose range is known;
* else what its observer and the contract say.

`Products`, in `refquant.model.quantize_product`, get int8 weights and int32 biases. Unary functions
become tables. `Concat` gets its inputs in its own parameters, through `Requantize` tables where
they differ. Constants beside computed values (`Add`, `Mul`, `Concat`) become codes by their own
range. A `Relu` or `Clip` that was fused is the range of the layer's output, and a clamp where the
range alone does not cut there.

``static``: `QuantizeLinear` behind float32 inputs, `DequantizeLinear` before float32 outputs.
``full_integer``: inputs and outputs are codes; a node without integer form is an error, unless the
recipe excludes it by name.

Source: Jacob et al., CVPR 2018, section 2; TFLite's 8-bit quantization specification (Softmax).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import QParams, choose_qparams, quantize
from refquant.model.build import Builder
from refquant.model.calibrate import Calibrated
from refquant.model.graph import DTYPES, Graph, Quant
from refquant.model.operators import MOVEMENT, UNARY
from refquant.model.quantize_plan import Layer, Plan
from refquant.model.quantize_product import add_product
from refquant.model.quantize_weights import add_float
from refquant.model.recipe import Activations, Weights
from refquant.ops.unary import unary_table

__all__ = ["observed", "quantize_static"]


def observed(graph: Graph, plan: Plan) -> set[str]:
    """Return the values whose range calibration must find.

    >>> from refquant.contracts import preset
    >>> from refquant.model.quantize_plan import plan
    >>> b = Builder("g")
    >>> h = b.node("Flatten", [b.input("x", ("N", 2, 2))], name="h")
    >>> g = b.graph([b.node("Tanh", [h], name="y")])
    >>> sorted(observed(g, plan(g, contract=preset("ort"), excluded=())))
    ['x', 'y']
    """
    touched = {*graph.inputs, *graph.outputs}
    for layer in plan.layers:
        if layer.codes:
            touched |= {layer.output, *layer.node.inputs[:2]}
            touched |= set(layer.node.inputs) if layer.node.op == "Concat" else set()
    fixed = {layer.output for layer in plan.layers if layer.node.op == "Softmax"}
    return {plan.source[name] for name in touched if name in plan.source} - fixed


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
    >>> p, rules, ort = plan(g, contract=preset("ort"), excluded=()), Activations(), preset("ort")
    >>> seen = calibrate(g, {"x": np.float32([[-1, 3]])}, names=observed(g, p), rules=rules)
    >>> made = quantize_static(g, p, seen, activations=rules, weights={}, contract=ort,
    ...                        full_integer=False)
    >>> [(n.op, n.outputs[0]) for n in made.nodes]
    [('QuantizeLinear', 'x/codes'), ('Tanh', 'y/codes'), ('DequantizeLinear', 'y')]
    """
    s = _Static(
        graph, plan, seen, activations, weights, contract, full_integer, Builder(graph.name)
    )
    for name in graph.inputs:
        if full_integer:
            s.b.input(name, graph.values[name].shape, dtype=activations.dtype, quant=s.quant(name))
            s.codes_of[name] = name
        else:
            s.floats_of[name] = s.b.input(name, graph.values[name].shape)
    for layer in plan.layers:
        s.emit(layer)
    for name in graph.outputs:
        if full_integer:
            s.codes(name)
        else:
            s.floats(name)
    return s.b


@dataclass(slots=True)
class _Static:
    """The graph in the making: under which names each value is there, as codes and as float32."""

    graph: Graph
    plan: Plan
    seen: Calibrated
    activations: Activations
    weights: Mapping[str, Weights]
    contract: Contract
    full_integer: bool
    b: Builder
    codes_of: dict[str, str] = field(default_factory=dict)
    floats_of: dict[str, str] = field(default_factory=dict)

    # -- parameters -----------------------------------------------------------------------------

    def qparams(self, name: str) -> QParams:
        """Return the parameters of the value ``name`` of the float graph."""
        source = self.plan.source.get(name, name)
        dtype, symmetric = self.activations.dtype, self.activations.symmetric
        if source in self.graph.constants:
            w = self.graph.constants[source]
            return choose_qparams(
                w.min(), w.max(), dtype=dtype, symmetric=symmetric, contract=self.contract
            )
        if source not in self.seen.observers:  # see `observed`
            low = np.int32(DTYPES[dtype].qmin)
            return QParams(np.float32(1 / 256), low, None, dtype)
        state = self.seen.observers[source]
        return state.qparams(dtype=dtype, symmetric=symmetric, contract=self.contract)

    def quant(self, name: str) -> Quant:
        """Return `qparams` as the graph says them."""
        qparams = self.qparams(name)
        return Quant(float(qparams.scale), int(qparams.zero_point))

    # -- names ----------------------------------------------------------------------------------

    def _code_name(self, name: str, *, born: bool) -> str:
        ends = name in self.graph.inputs or name in self.graph.outputs
        return name if (self.full_integer if ends else born) else f"{name}/codes"

    def _float_name(self, name: str, *, born: bool) -> str:
        ends = name in self.graph.inputs or name in self.graph.outputs
        return name if (not self.full_integer if ends else born) else f"{name}/float"

    def codes(self, name: str, *, like: str | None = None) -> str:
        """Return the name of the value's codes, quantizing it where it is float32 so far.

        ``like``: a constant takes the parameters of that value.
        """
        if name in self.graph.constants:
            return self._constant(name, like or name)
        if name not in self.codes_of:
            self.codes_of[name] = self.b.node_with(
                "QuantizeLinear",
                [self.floats_of[name]],
                [self._code_name(name, born=False)],
                name=f"{name}/quantize",
                contract=self.contract,
                dtype=self.activations.dtype,
                quant=self.quant(name),
            )[0]
        return self.codes_of[name]

    def floats(self, name: str) -> str:
        """Return the name of the float32 value, dequantizing it where it is codes so far."""
        if name in self.graph.constants or not name:
            return add_float(self.b, self.graph, name)
        if name not in self.floats_of:
            self.floats_of[name] = self.b.node_with(
                "DequantizeLinear",
                [self.codes_of[name]],
                [self._float_name(name, born=False)],
                name=f"{name}/dequantize",
                contract=self.contract,
            )[0]
        return self.floats_of[name]

    def _constant(self, name: str, like: str) -> str:
        fresh = f"{name}/codes" if like == name else f"{name}/codes/{like}"
        if fresh not in self.b.constants:
            qparams = self.qparams(like)
            codes = quantize(self.graph.constants[name], qparams, contract=self.contract)
            self.b.constant(fresh, codes, dtype=qparams.dtype, quant=self.quant(like))
        return fresh

    # -- nodes ----------------------------------------------------------------------------------

    def emit(self, layer: Layer) -> None:
        """Add the nodes of ``layer``."""
        node = layer.node
        if not layer.codes:
            name = self._float_name(layer.output, born=True)
            operands = [self.floats(item) for item in node.inputs]
            self.b.node_with(node.op, operands, [name], name=node.name, attributes=node.attributes)
            self.floats_of[layer.output] = name
            return
        self.codes_of[layer.output] = self._code_name(layer.output, born=True)
        if node.op in ("Conv", "Gemm", "MatMul") and node.inputs[1] in self.graph.constants:
            x = self.codes(node.inputs[0])
            operands = add_product(
                self.b,
                self.graph,
                node,
                x=x,
                x_qparams=self.qparams(node.inputs[0]),
                rules=self.weights[node.name],
                contract=self.contract,
            )
        elif node.op in UNARY:
            operands = [self.codes(node.inputs[0]), self._table(layer)]
        elif node.op == "Concat":
            operands = [self._brought(item, layer) for item in node.inputs]
        else:
            operands = [self.codes(item) for item in node.inputs]
        self._add(layer, operands)

    def _add(self, layer: Layer, operands: list[str]) -> None:
        node, name = layer.node, self.codes_of[layer.output]
        attributes = {} if node.op in UNARY else {**node.attributes, **self._clamps(layer)}
        self.b.node_with(
            node.op,
            operands,
            [name],
            name=node.name,
            attributes=attributes,
            contract=None if node.op in MOVEMENT else self.contract,
            dtype=self.activations.dtype,
            quant=self.quant(layer.output),
        )

    def _clamps(self, layer: Layer) -> dict[str, int]:
        """Return the bounds of the fused node as codes, where they are tighter than the dtype."""
        if layer.bound is None:
            return {}
        qparams = self.qparams(layer.output)
        given = {"min": 0} if layer.bound.op == "Relu" else layer.bound.attributes
        qmin, qmax = qparams.full_range
        clamps = {}
        for end, limit in (("min", qmin), ("max", qmax)):
            if end in given:
                # Rounding is monotonic, so the code of the bound bounds the codes.
                bound = np.array(given[end], np.float32)
                code = int(quantize(bound, qparams, contract=self.contract))
                if code != limit:
                    clamps[f"clamp_{end}"] = code
        return clamps

    def _table(self, layer: Layer) -> str:
        node = layer.node
        x, y = self.qparams(node.inputs[0]), self.qparams(layer.output)
        table = unary_table(node.op, node.attributes, x, y, self.contract)
        return self.b.constant(f"{node.name}/table", table)

    def _brought(self, name: str, layer: Layer) -> str:
        """Return the codes of an input of `Concat`, in the parameters of its output."""
        x, y = self.qparams(name), self.qparams(layer.output)
        codes = self.codes(name, like=layer.output)
        if name in self.graph.constants or x == y:
            return codes
        step = f"{name}/for/{layer.node.name}"
        if step not in self.b.values:
            table = self.b.constant(
                f"{step}/table", unary_table("Requantize", {}, x, y, self.contract)
            )
            self.b.node_with(
                "Requantize", [codes, table], [step], name=step, contract=self.contract,
                dtype=self.activations.dtype, quant=self.quant(layer.output),
            )  # fmt: skip
        return step
