"""What every node demands of its operands, proved before anything runs.

Follows ``docs/spec/rq-format.md`` sections 3 and 4 and ``docs/spec/operators.md``. After
:func:`bind` shapes are numbers, dtypes fit, parameters fit, and no accumulator can overflow;
kernels check nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from refquant_runtime.check_lengths import check_lengths
from refquant_runtime.check_operands import MOVEMENT, RAW, check_operands
from refquant_runtime.check_sequence import moves_codes
from refquant_runtime.contracts import Arithmetic, arithmetic_of
from refquant_runtime.errors import FormatError, InputError, UnsupportedError
from refquant_runtime.graph import DTYPE_RANGE, Graph, Node, Value
from refquant_runtime.rules import BeyondError, check_attributes, need
from refquant_runtime.shapes import OPERATORS, Shape

__all__ = ["bind", "lengthened"]

# In place of N and T: primes that no size of a file can be, so whatever mixes them does not fit.
_SAMPLES, _STEPS = 2**61 - 1, 2**89 - 1


def bind(graph: Graph, batch: int) -> tuple[Graph, Mapping[str, Arithmetic]]:
    """Return the graph with ``N`` bound to ``batch``, every node checked, and its arithmetics.

    ``T`` is 1; :func:`lengthened` binds it to another length.
    """
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
    _check_length(graph)
    return replace(graph, values=values), arithmetics


def lengthened(bound: Graph, arithmetics: Mapping[str, Arithmetic], length: int) -> Graph:
    """Return a bound graph for sequences of ``length`` steps, checked where that may matter."""

    def sized(value: Value) -> Value:
        shape = tuple(length if i in value.lengths else d for i, d in enumerate(value.shape))
        return replace(value, shape=shape)

    values = {name: sized(value) for name, value in bound.values.items()}
    for node in bound.nodes:
        constants = [name for name in node.inputs if name and values[name].data is not None]
        if constants and node.op not in ("Softmax", "ReduceMean"):
            continue  # weights were proved, whatever the length
        inputs = [values[name] if name else None for name in node.inputs]
        try:
            check_operands(node, inputs, [values[name] for name in node.outputs], arithmetics)
        except ValueError as error:
            where = f"node {node.name!r} ({node.op})"
            raise InputError(
                f"{bound.path}: {where}, sequences of {length} steps: {error}; pass shorter ones"
            ) from error
    return replace(bound, values=values)


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
    check_attributes(node.attributes, operator.attributes)
    _check_shapes(node, inputs, outputs)
    _check_contract(node, inputs, outputs)
    _check_clamp(node, outputs[0])
    check_operands(node, inputs, outputs, arithmetics)


def _check_shapes(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    """Compare declared with computed shapes, for one sample of one step and for very many."""

    def shape_of(value: Value, several: bool) -> Shape:
        if not several:
            return value.shape
        sizes = [_STEPS if i in value.lengths else d for i, d in enumerate(value.shape)]
        return (_SAMPLES, *sizes[1:]) if value.batched else tuple(sizes)

    for samples in (False, True):
        given = [None if value is None else shape_of(value, samples) for value in inputs]
        shapes = OPERATORS[node.op].shapes(given, node.attributes)
        need(len(outputs) == len(shapes), f"has {len(shapes)} outputs, got {len(outputs)}")
        for value, shape in zip(outputs, shapes, strict=True):
            declared = shape_of(value, samples)
            rule = f"output {value.name!r} is declared {list(declared)}, computed {list(shape)}"
            rule = rule.replace(str(_SAMPLES), "N").replace(str(_STEPS), "T")
            need(declared == shape, rule)
    check_lengths(node, inputs, outputs)
    if any(value is not None and value.batched for value in inputs):
        _check_samples_apart(node, max(len(v.shape) for v in [*inputs, *outputs] if v is not None))


_AXES = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "Slice", "Squeeze")
_AXIS = {"Concat": -1, "Softmax": -1, "ArgMax": 0, "ArgMin": 0, "TopK": -1}


def _check_samples_apart(node: Node, rank: int) -> None:
    """Refuse what works along or moves the axis of samples, even where shapes fit."""
    attributes = node.attributes
    if node.op == "Reshape":
        need(attributes["shape"][:1] == [0], "must keep 'N': its shape begins with 0")
    axes: Sequence[int] = ()
    if node.op in _AXES:
        axes = attributes["axes"]
    elif node.op in _AXIS:
        axes = [attributes.get("axis", _AXIS[node.op])]
    need(all(axis % rank for axis in axes), "works across samples: axis 0 is 'N'")


def _check_contract(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    quantized = any(v is not None and v.quant for v in [*inputs, *outputs])
    moved = node.op in MOVEMENT or moves_codes(node, outputs)
    needs = (quantized and not moved) or node.op in RAW
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


def _check_length(graph: Graph) -> None:
    """Check that some input has a ``T`` if a value that depends on inputs has one."""
    if any(graph.values[name].lengths for name in graph.inputs):
        return
    for name, value in graph.values.items():
        if value.lengths:
            remedy = "give an input the length 'T', then write the file again"
            raise FormatError(graph.path, f"value {name!r}", "has a 'T' and no input does", remedy)


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
