"""``refquant inspect``: what a file says.

A `.rq` file node by node and axis by axis, here; a ``.gguf`` file in `refquant.cli.inspect_gguf`.
"""

import argparse
import hashlib
import json
import sys
from typing import Any

from refquant.cli.common import Command, UsageError, need_tables, plain, print_json, print_table
from refquant.cli.inspect_floats import describe_floats, print_floats
from refquant.cli.inspect_gguf import describe_gguf, is_gguf, print_gguf
from refquant.cli.inspect_inputs import describe_inputs, print_inputs
from refquant.cli.inspect_numerics import is_card, print_card
from refquant.cli.inspect_weights import describe_weights, print_weights
from refquant.cli.models import MODEL, add_part
from refquant.model.graph import Graph, Node, Value
from refquant.model.loaders.sources import find_source, open_model
from refquant.model.metrics import tensor_bytes
from refquant.model.params import qparams_of
from refquant.model.reals import scale_of
from refquant.model.rq_graph import graph_to_json

__all__ = ["COMMAND", "describe"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="FILE", help=f"the model: {MODEL}")
    add_part(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.json:
        need_tables()
    if is_gguf(arguments.model):
        if arguments.part is not None:
            raise UsageError(f"{arguments.model}: a .gguf file has no parts; leave --part away")
        found = describe_gguf(arguments.model)
        (print_json if arguments.json else print_gguf)(found)
        return 0
    graph = open_model(arguments.model, part=arguments.part)
    result = describe(arguments.model, graph)
    if arguments.json:
        print_json(result)
    else:
        _print(graph, result)
    return 0


COMMAND = Command(
    name="inspect",
    example="refquant inspect model.rq",
    add_arguments=_add_arguments,
    run=_run,
)


def describe(path: str, graph: Graph) -> dict[str, Any]:
    """Return ``graph``, which was read from ``path``, as JSON: the file's own keys, and sizes."""
    data = find_source(path).file.read_bytes()
    stored = tensor_bytes(graph)
    sizes: dict[str, int] = {}
    for name, size in stored.items():
        dtype = graph.values[name].dtype
        sizes[dtype] = sizes.get(dtype, 0) + size
    return {
        "model": path,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "constant_bytes": dict(sorted(sizes.items())),
        "elements": sum(array.size for array in graph.constants.values()),
        "weights": describe_weights(graph),
        "rounded": describe_inputs(graph),
        "float_fallbacks": describe_floats(graph),
        **graph_to_json(graph),
        "constants": sorted(stored),
    }


def _print(graph: Graph, result: dict[str, Any]) -> None:
    write = sys.stdout.write
    write(f"{plain(result['model'])}: {plain(graph.name)}, {result['bytes']:,} bytes, "
          f"sha256 {result['sha256']}\n")  # fmt: skip
    for kind, names in (("input ", graph.inputs), ("output", graph.outputs)):
        for name in names:
            scale, zero_point = _parameters(graph, name)
            ruler = f", scale {scale}, zero point {zero_point}" if scale else ""
            write(f"{kind} {plain(name)}: {_signature(graph.values[name])}{ruler}\n")
    for state in graph.states:
        begins = f"the constant {state.initial}" if state.initial else "zeros"
        ends = f"{plain(state.input)} is what {plain(state.output)} was"
        write(f"state  {plain(state.name)}: {ends}; {plain(begins)} at first\n")
    sizes = ", ".join(f"{dtype} {size:,}" for dtype, size in result["constant_bytes"].items())
    write(f"{result['elements']:,} constant elements; bytes: {sizes or 'none'}\n\n")
    _print_nodes(graph)
    if result["weights"]:
        print_weights(result["weights"])
    if result["float_fallbacks"]:
        print_floats(result["float_fallbacks"])
    if result["rounded"]:
        print_inputs(result["rounded"])
    if graph.contracts:
        write("\n")
        axes = list(next(iter(graph.contracts.values())).to_json())
        columns = dict.fromkeys(["axis", *map(plain, graph.contracts)], "left")
        tables = [contract.to_json() for contract in graph.contracts.values()]
        print_table(columns, [[axis, *(table[axis] for table in tables)] for axis in axes])
    numerics = graph.meta.get("numerics")
    shown = "numerics" if is_card(numerics) else None
    if shown and numerics is not None:
        print_card(numerics)
    rest = {key: value for key, value in graph.meta.items() if key != shown}
    write(f"\nmeta {plain(json.dumps(rest))}\n")


def _print_nodes(graph: Graph) -> None:
    rows = []
    for node in graph.nodes:
        outputs = " ".join(_brief(graph.values[name]) for name in node.outputs)
        parameters = _parameters(graph, node.outputs[0])
        operands = _operands(graph, node)
        rows.append((node.name, node.op, operands, outputs, *parameters, node.contract or ""))
    columns = ["node", "op", "inputs", "output", "scale", "zero", "contract"]
    print_table({c: "right" if c in ("scale", "zero") else "left" for c in columns}, rows)
    sys.stdout.write("\nf32 is float32, u8 uint8, i4 int4; i8*32 is int8 with 32 scales\n")


def _signature(value: Value) -> str:
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def _brief(value: Value) -> str:
    return _signature(value).replace("float", "f").replace("uint", "u").replace("int", "i")


def _operands(graph: Graph, node: Node) -> str:
    """Return the inputs' dtypes, and the number of scales of a weight (its bias has as many)."""
    words = []
    for name in filter(None, node.inputs):
        value = graph.values[name]
        word = _brief(value).partition("[")[0]
        blocked = value.quant is not None and value.quant.block_shape is not None
        if blocked and value.dtype not in ("int32", "int64"):
            word += f"*{scale_of(graph, name).size}"
        words.append(word)
    return " ".join(words)


def _parameters(graph: Graph, name: str) -> tuple[str, str]:
    """Return scale and zero point of a computed value as text; empty without quantization."""
    if graph.values[name].quant is None:
        return "", ""
    qparams = qparams_of(graph, name)
    return f"{float(qparams.scale):.6g}", str(int(qparams.zero_point))
