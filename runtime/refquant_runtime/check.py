"""What every node demands of its operands, proved before anything runs.

Follows ``docs/spec/rq-format.md`` sections 3 and 4 and ``docs/spec/operators.md``. After
:func:`bind` shapes are numbers, dtypes fit, parameters fit, and no accumulator can overflow;
kernels check nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

from refquant_runtime.check_operands import MOVEMENT, RAW, check_operands
from refquant_runtime.contracts import Arithmetic, arithmetic_of
from refquant_runtime.errors import FormatError, UnsupportedError
from refquant_runtime.graph import DTYPE_RANGE, Graph, Node, Value
from refquant_runtime.rules import BeyondError, can, check_attributes, need
from refquant_runtime.shapes import OPERATORS, Shape

__all__ = ["bind"]

# In place of N: a prime that no size of a file can be, so whatever mixes samples does not fit.
_SAMPLES = 2**61 - 1


def bind(graph: Graph, batch: int) -> tuple[Graph, Mapping[str, Arithmetic]]:
    """Return the graph with ``N`` bound to ``batch``, every node checked, and its arithmetics."""
    values = {
        name: replace(value, shape=(batch, *value.shape[1:])) if value.batched else value
        for name, value in graph.values.items()
    }
    unknown = [f"{node.op} ({node.name})" for node in graph.nodes if node.op not in OPERATORS]
    if unknown:
        raise UnsupportedError(
            f"{graph.path}: operators not known to this runtime: {', '.join(unknown)}; "
            "quantize the model without them or use a newer runtime"
        )
    arithmetics: dict[str, Arithmetic] = {}
    for node in graph.nodes:
        if node.contract is not None and node.contract not in arithmetics:
            arithmetics[node.contract] = arithmetic_of(
                graph.path, node.contract, graph.contracts[node.contract]
            )
        where = f"node {node.name!r} ({node.op})"
        try:
            _check_node(node, values, arithmetics)
        except BeyondError as limit:
            remedy = "quantize the model otherwise, or use a newer runtime"
            raise UnsupportedError(
                f"{graph.path}: {where}: {limit} is not implemented; {remedy}"
            ) from limit
        except ValueError as error:
            raise FormatError(graph.path, where, str(error), "write the file again") from error
    _check_batch(graph)
    return replace(graph, values=values), arithmetics


def _check_node(
    node: Node, values: Mapping[str, Value], arithmetics: Mapping[str, Arithmetic]
) -> None:
    operator = OPERATORS[node.op]
    inputs = [values[name] if name else None for name in node.inputs]
    outputs = [values[name] for name in node.outputs]
    need(
        operator.required <= len(inputs) <= operator.most
        and all(value is not None for value in inputs[: operator.required]),
        f"takes {operator.required} to {operator.most} inputs, got {len(inputs)}",
    )
    can("approximate" not in node.attributes, "the attribute approximate of version 2")
    check_attributes(node.attributes, operator.attributes)
    _check_shapes(node, inputs, outputs)
    _check_contract(node, inputs, outputs)
    _check_clamp(node, outputs[0])
    check_operands(node, inputs, outputs, arithmetics)


def _check_shapes(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    """Compare declared with computed shapes, for one sample and for very many."""

    def shape_of(value: Value, samples: int | None) -> Shape:
        several = samples is not None and value.batched
        return (samples or 0, *value.shape[1:]) if several else value.shape

    for samples in (None, _SAMPLES):
        given = [None if value is None else shape_of(value, samples) for value in inputs]
        shapes = OPERATORS[node.op].shapes(given, node.attributes)
        need(len(outputs) == len(shapes), f"has {len(shapes)} outputs, got {len(outputs)}")
        for value, shape in zip(outputs, shapes, strict=True):
            declared = shape_of(value, samples)
            rule = f"output {value.name!r} is declared {list(declared)}, computed {list(shape)}"
            need(declared == shape, rule.replace(str(_SAMPLES), "N"))
    if any(value is not None and value.batched for value in inputs):
        _check_samples_apart(node, max(len(v.shape) for v in [*inputs, *outputs] if v is not None))


def _check_samples_apart(node: Node, rank: int) -> None:
    """Refuse what works along or moves the axis of samples, even where shapes fit."""
    attributes = node.attributes
    if node.op == "Reshape":
        need(attributes["shape"][:1] == [0], "must keep 'N': its shape begins with 0")
    if node.op == "ReduceMean":
        need(all(axis % rank for axis in attributes["axes"]), "works across samples: axis 0 is 'N'")
    if node.op in ("Concat", "Softmax"):
        need(attributes.get("axis", -1) % rank != 0, "works across samples: axis 0 is 'N'")


def _check_contract(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    quantized = any(v is not None and v.quant for v in [*inputs, *outputs])
    needs = (quantized and node.op not in MOVEMENT) or node.op in RAW
    need(not needs or node.contract is not None, "needs a contract")
    need(needs or node.contract is None, "has a contract but computes nothing by it")


def _check_clamp(node: Node, y: Value) -> None:
    keys = node.attributes.keys() & {"clamp_min", "clamp_max"}
    if not keys:
        return
    need(y.quant is not None, f"{min(keys)} is for quantized outputs")
    lowest, highest = DTYPE_RANGE[y.dtype]
    low = node.attributes.get("clamp_min", lowest)
    high = node.attributes.get("clamp_max", highest)
    need(
        lowest <= low <= high <= highest,
        f"clamp_min {low} and clamp_max {high} must ascend in [{lowest}, {highest}]",
    )


def _check_batch(graph: Graph) -> None:
    """Check that all inputs begin with ``N``, and what depends on them; or nothing does."""
    batched = {graph.values[name].batched for name in graph.inputs}
    remedy = "reshape, then write the file again"
    if len(batched) > 1:
        raise FormatError(graph.path, "inputs", "some begin with 'N' and some do not", remedy)
    if batched != {True}:
        return
    reached = set(graph.inputs)
    for node in graph.nodes:
        if reached.isdisjoint(node.inputs):
            continue
        reached.update(node.outputs)
        own = node.outputs[:1] if node.op == "DynamicQuantizeLinear" else node.outputs
        for name in own:
            if not graph.values[name].batched:
                where = f"value {name!r}"
                raise FormatError(graph.path, where, "depends on an input but has no 'N'", remedy)
    for name in graph.outputs:
        if not graph.values[name].batched:
            where = f"output {name!r}"
            raise FormatError(graph.path, where, "has no 'N' but the inputs do", remedy)
