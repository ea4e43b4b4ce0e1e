"""``refquant import``: a model of another format becomes a `.rq` file."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    parser.add_argument(
        "--fix", action="append", default=[], metavar="NAME=NUMBER",
        help="of ONNX: an input that is the same in every run, as sr=16000; once for each",
    )  # fmt: skip
    parser.add_argument(
        "--state", action="append", default=[], metavar="IN=OUT",
        help="of ONNX: the input IN is in each run what the output OUT was in the one before, as "
        "h=hn; once for each",
    )  # fmt: skip
    parser.add_argument(
        "--streaming", action="store_true",
        help="of ONNX: each LSTM and GRU goes on from run to run where it would begin anew",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="OUT.rq", help="where to write it")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    name, equals, sizes = text.rpartition("=")
    items = sizes.split(",")
    if not equals or not all(item in ("N", "T") or item.isdecimal() for item in items):
        raise ValueError(f"--shape {text}: is NAME=SIZES, as x=N,3,48,192; correct it")
    return name, tuple(item if item in ("N", "T") else int(item) for item in items)


def _number(text: str) -> tuple[str, NDArray[Any]]:
    name, equals, number = text.rpartition("=")
    try:
        value = np.array(int(number), np.int64)
    except ValueError:
        try:
            value = np.array(float(number), np.float32)
        except ValueError:
            equals = ""
    if not equals:
        raise ValueError(f"--fix {text}: is NAME=NUMBER, as sr=16000; correct it")
    return name, value


def _state(text: str) -> tuple[str, str]:
    source, equals, target = text.partition("=")
    if not equals or not source or not target:
        raise ValueError(f"--state {text}: is IN=OUT, as h=hn; correct it")
    return source, target


def _told(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `import_onnx` is told."""
    states = list(map(_state, arguments.state))
    if len(dict(states)) < len(states):
        raise ValueError("--state: an input has one state; name each input once")
    return {
        "shapes": dict(map(_shape, arguments.shape)),
        "fixed": dict(map(_number, arguments.fix)),
        "states": dict(states),
        "streaming": arguments.streaming,
    }


def _run(arguments: argparse.Namespace) -> int:
    source = find_source(arguments.model)
    if source.loader == "rq":
        raise ValueError(f"{arguments.model}: is a .rq file already; use it as it is")
    refuse_overwriting(arguments.output, [source.file])
    check_writable(arguments.output)
    told = _told(arguments)
    graph = open_source(source, part=arguments.part, contract=arguments.contract, onnx=told)
    with to_disk(arguments.output):
        write_rq(arguments.output, graph)
    size = Path(arguments.output).stat().st_size
    weights = _weights(graph)
    if arguments.json:
        print_json(
            {
                "source": arguments.model,
                "part": arguments.part,
                "output": arguments.output,
                "bytes": size,
                **_ends(graph),
                "nodes": len(graph.nodes),
                "weights": weights,
                "states": {state.name: state.input for state in graph.states},
                "sha256": graph.meta["imported"]["sha256"],
            }
        )
        return 0
    part = f", {plain(arguments.part)}" if arguments.part else ""
    if graph.states:
        part += f"; states {', '.join(plain(state.name) for state in graph.states)}"
    sys.stdout.write(
        f"{plain(arguments.output)}: {size:,} bytes, {len(graph.nodes):,} nodes and {weights:,} "
        f"weights of {plain(arguments.model)}{part}\n"
    )
    return 0


def _ends(graph: Graph) -> dict[str, Any]:
    return {
        kind: {
            name: {"dtype": graph.values[name].dtype, "shape": list(graph.values[name].shape)}
            for name in names
        }
        for kind, names in (("inputs", graph.inputs), ("outputs", graph.outputs))
    }


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
