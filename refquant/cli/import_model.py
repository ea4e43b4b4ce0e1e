"""``refquant import``: a model of another format becomes a `.rq` file."""

import argparse
import sys
from pathlib import Path

from refquant.cli.common import Command, check_writable, plain, print_json, to_disk
from refquant.cli.models import add_part, refuse_overwriting
from refquant.model.graph import Graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.loaders.sources import find_source, open_source
from refquant.model.operators import UNARY
from refquant.model.rq import write_rq

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="PATH",
        help=".onnx, .tflite, model.safetensors of a BERT (MiniLM), .gguf of a Llama (SmolLM2), "
        "model.bin of a CTranslate2 Whisper, .npz of g2p-en, or a folder with one of these",
    )  # fmt: skip
    add_part(parser)
    parser.add_argument(
        "--contract", choices=TOOLS,
        help="of TFLite: whose arithmetic its int8 operators have (default: xnnpack, as LiteRT)",
    )  # fmt: skip
    parser.add_argument(
        "--shape", action="append", default=[], metavar="NAME=SIZES",
        help="of ONNX: sizes of an input, as x=N,3,48,192; N is the batch, T the length of a "
        "sequence; once for each input",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="OUT.rq", help="where to write it")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    name, equals, sizes = text.rpartition("=")
    items = sizes.split(",")
    if not equals or not all(item in ("N", "T") or item.isdecimal() for item in items):
        raise ValueError(f"--shape {text}: is NAME=SIZES, as x=N,3,48,192; correct it")
    return name, tuple(item if item in ("N", "T") else int(item) for item in items)


def _run(arguments: argparse.Namespace) -> int:
    source = find_source(arguments.model)
    if source.loader == "rq":
        raise ValueError(f"{arguments.model}: is a .rq file already; use it as it is")
    refuse_overwriting(arguments.output, [source.file])
    check_writable(arguments.output)
    shapes = dict(map(_shape, arguments.shape))
    graph = open_source(source, part=arguments.part, contract=arguments.contract, shapes=shapes)
    with to_disk(arguments.output):
        write_rq(arguments.output, graph)
    size = Path(arguments.output).stat().st_size
    weights = _weights(graph)
    if arguments.json:
        ends = {
            kind: {
                name: {"dtype": graph.values[name].dtype, "shape": list(graph.values[name].shape)}
                for name in names
            }
            for kind, names in (("inputs", graph.inputs), ("outputs", graph.outputs))
        }
        print_json(
            {
                "source": arguments.model,
                "part": arguments.part,
                "output": arguments.output,
                "bytes": size,
                **ends,
                "nodes": len(graph.nodes),
                "weights": weights,
                "sha256": graph.meta["imported"]["sha256"],
            }
        )
        return 0
    part = f", {plain(arguments.part)}" if arguments.part else ""
    sys.stdout.write(
        f"{plain(arguments.output)}: {size:,} bytes, {len(graph.nodes):,} nodes and {weights:,} "
        f"weights of {plain(arguments.model)}{part}\n"
    )
    return 0


def _weights(graph: Graph) -> int:
    """Return how many numbers the nodes read that are the model's own, floats or codes."""
    tabled = (*UNARY, "Softmax")  # whose further inputs are tables of a function
    nodes = [node for node in graph.nodes if node.op not in tabled]
    read = {name for node in nodes for name in node.inputs} & graph.constants.keys()
    values = {name: graph.values[name] for name in read}
    own = [n for n, v in values.items() if v.dtype == "float32" or v.quant is not None]
    return sum(graph.constants[name].size for name in own)


COMMAND = Command(
    name="import",
    example="refquant import assets/whisper_tiny_en --part encoder -o encoder.rq",
    add_arguments=_add_arguments,
    run=_run,
)
