"""``refquant export``: a model becomes an `.onnx` file that other tools run."""

import argparse
import sys
from pathlib import Path

from refquant.cli.common import Command, UsageError, check_writable, plain, print_json
from refquant.cli.models import MODEL, add_part, refuse_overwriting
from refquant.model.exporters.onnx_export import FORMS, default_form, write_onnx
from refquant.model.loaders.sources import open_model

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"the model: {MODEL}")
    add_part(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="where to")
    parser.add_argument(
        "--form", choices=FORMS,
        help="how codes are said: 'qdq' is pairs around float operators, which every tool fuses, "
        "'qoperator' is operators on codes, whose codes are ours in onnxruntime "
        "(default: qdq; float where there are no codes)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    _check_suffix(arguments.output)
    check_writable(arguments.output)
    refuse_overwriting(arguments.output, [arguments.model])
    graph = open_model(arguments.model, part=arguments.part)
    form = arguments.form or default_form(graph)
    try:
        names = write_onnx(arguments.output, graph, form=form)
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from error
    folder = Path(arguments.output).parent
    size = sum((folder / name).stat().st_size for name in names)
    if arguments.json:
        print_json(
            {
                "model": arguments.model,
                "output": arguments.output,
                "form": form,
                "files": list(names),
                "bytes": size,
                "nodes": len(graph.nodes),
            }
        )
        return 0
    sys.stdout.write(
        f"{plain(arguments.output)}: {size:,} bytes, {len(graph.nodes):,} nodes of "
        f"{plain(arguments.model)}, form {form}\n"
    )
    return 0


def _check_suffix(output: str) -> None:
    suffix = Path(output).suffix.lower()
    if suffix == ".tflite":
        raise UsageError(
            f"{output}: TFLite is not written, only read; export .onnx, or run the .rq file by "
            "refquant-runtime"
        )
    if suffix != ".onnx":
        raise UsageError(f"{output}: what is written is ONNX; give a path that ends in .onnx")


COMMAND = Command(
    name="export",
    example="refquant export model.rq -o model.onnx --form qoperator",
    add_arguments=_add_arguments,
    run=_run,
)
