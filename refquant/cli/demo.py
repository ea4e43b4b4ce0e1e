"""``refquant demo``: a float network, seven quantized files, two implementations, the same bits.

For each scheme: quantize by the recipe of that name; write the `.rq` file; run it on every image by
the NumPy reference, and in the runtime with each number of threads; compare all bytes of all
outputs; measure size, accuracy, noise and latency.

The runtime, a process of its own, compiles and runs while this one computes the references. Its
latency is measured at the end, when nothing else of ours runs.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import Command, Progress, need_tables, plain, print_json, progress
from refquant.cli.data import encode, in_reals, read_npz, write_npz
from refquant.cli.demo_data import TEST_IMAGES, DemoData, load_demo
from refquant.cli.demo_runtime import digest, runtime
from refquant.cli.demo_table import BASELINE, Row, print_rows, verdict
from refquant.cli.reference import execute_all
from refquant.model.graph import Graph
from refquant.model.metrics import accuracy, sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe, recipe_names
from refquant.model.rq import write_rq

__all__ = ["COMMAND", "SCHEMES"]

Arrays = Mapping[str, NDArray[Any]]

SCHEMES = (
    BASELINE,
    "w8a8_static_per_channel",
    "w8a8_static_per_tensor",
    "w8a8_dynamic",
    "w8_weight_only",
    "w4_group32_weight_only",
    "w8a8_tflite",
)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done, and where: ``kept`` holds what a user may want, ``scratch`` the rest."""

    data: DemoData
    schemes: tuple[str, ...]
    threads: tuple[int, ...]
    kept: Path
    scratch: Path


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    parser.add_argument(
        "--output", metavar="DIR", type=Path,
        help="keep the .rq files there, with calibration.npz and test.npz (default: keep nothing)",
    )  # fmt: skip
    parser.add_argument(
        "--samples", metavar="N", type=_samples, default=TEST_IMAGES,
        help=f"how many of the {TEST_IMAGES} test images (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--schemes", metavar="A,B", type=_schemes, default=SCHEMES,
        help=f"which, with commas between, of {', '.join(recipe_names())} "
        "(default: float32 and six others)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="A,B", type=_threads, default=(1, 2),
        help="numbers of threads; latency is that with the first (default: 1,2)",
    )  # fmt: skip


def _samples(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= TEST_IMAGES:
        raise argparse.ArgumentTypeError(f"must be from 1 to {TEST_IMAGES}, got {text!r}")
    return int(text)


def _schemes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    known = [name for name in recipe_names() if recipe(name).scheme != "simulated"]
    for name in names:
        if name not in known:
            why = f"scheme {name!r} is unknown, or the runtime does not execute it"
            raise argparse.ArgumentTypeError(f"{why}; there are {', '.join(known)}")
    return names


def _threads(text: str) -> tuple[int, ...]:
    numbers = tuple(dict.fromkeys(text.split(",")))
    if not all(number.isdecimal() and 1 <= int(number) <= 256 for number in numbers):
        raise argparse.ArgumentTypeError(f"must be numbers from 1 to 256, got {text!r}")
    return tuple(map(int, numbers))


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.json:
        need_tables()
    with ExitStack() as stack:
        bar = stack.enter_context(progress())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="refquant-demo-")))
        if arguments.output is not None:
            _make_folder(arguments.output)
        work = _Work(
            data=load_demo(arguments.samples),
            schemes=arguments.schemes,
            threads=arguments.threads,
            kept=arguments.output or scratch,
            scratch=scratch,
        )
        rows = _rows(work, bar)
    if arguments.json:
        print_json([asdict(row) for row in rows])
    else:
        print_rows(rows)
        sys.stdout.write(f"{verdict(rows)}\n")
    if arguments.output is not None:
        sys.stderr.write(f"the files are in {plain(arguments.output)}\n")
    return 0 if all(row.bit_exact for row in rows) else 1


def _make_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is not a folder; give the path of one, new or old")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be made a folder: {reason}; give another path") from error


def _rows(work: _Work, bar: Progress) -> list[Row]:
    """Do the work; see the module's docstring."""
    data, count = work.data, len(work.schemes)
    names = tuple(dict.fromkeys([BASELINE, *work.schemes]))  # the baseline is compared with
    bars = {
        "quantize": bar("quantize", len(names)),
        "reference": bar("NumPy reference, images", len(names) * len(data.x)),
        "runtime": bar("runtime: outputs, latency", 2 * count),
    }
    calibration = {data.input: data.calibration}
    write_npz(work.kept / "calibration.npz", calibration)
    write_npz(work.kept / "test.npz", {data.input: data.x, "labels": data.labels})
    graphs: dict[str, Graph] = {}
    with runtime(lambda: bars["runtime"](1)) as device:
        for name in names:
            graphs[name] = quantize(data.graph, recipe(name), calibration)
            write_rq(work.kept / f"{name}.rq", graphs[name])
            if name in work.schemes:
                device.submit(_job(work, name, graphs[name]))
            bars["quantize"](1)
        inputs = {name: encode(graph, {data.input: data.x}) for name, graph in graphs.items()}

        def advance(count: int) -> None:
            device.check()  # why finish what will not be compared?
            bars["reference"](count)

        expected = execute_all(graphs, inputs, advance)
        answers = {name: device.result() for name in work.schemes}
        for name in work.schemes:  # now that this process has nothing else to do
            device.submit(_job(work, name, graphs[name], bench=True))
        latencies = {name: float(device.result()["median_ms"]) for name in work.schemes}
    return [_row(work, graphs, expected, answers[name], latencies, name) for name in work.schemes]


def _job(work: _Work, name: str, graph: Graph, *, bench: bool = False) -> dict[str, Any]:
    """Return a job for the runtime: all images with all threads, or the latency of one image."""
    x = work.data.x[:1] if bench else work.data.x
    inputs = encode(graph, {work.data.input: x})
    source = work.kept / "test.npz"
    if bench or inputs[work.data.input].dtype != x.dtype:
        source = work.scratch / f"{name}.input.npz"
        write_npz(source, inputs)
    return {
        "model": str(work.kept / f"{name}.rq"),
        "input": str(source),
        "output": str(work.scratch / f"{name}.{'bench' if bench else 'output'}.npz"),
        "threads": list(work.threads[:1] if bench else work.threads),
        "bench": bench,
    }


def _row(
    work: _Work,
    graphs: Mapping[str, Graph],
    expected: Mapping[str, Arrays],
    answer: Mapping[str, Any],
    latencies: Mapping[str, float],
    name: str,
) -> Row:
    reference = expected[name]
    got = read_npz(work.scratch / f"{name}.output.npz", reference.keys())
    digests = answer["outputs_sha256"]
    wrong = tuple(t for t in work.threads if digests.get(str(t)) != digest(reference))
    differing = _differing(reference, got, len(work.data.x))
    scores = {key: _scores(graphs[key], expected[key]) for key in (BASELINE, name)}
    top1 = {key: 100 * accuracy(array, work.data.labels) for key, array in scores.items()}
    noise = sqnr_db(scores[BASELINE], scores[name])
    sizes = {key: (work.kept / f"{key}.rq").stat().st_size for key in (BASELINE, name)}
    return Row(
        scheme=name,
        bytes=sizes[name],
        ratio=sizes[BASELINE] / sizes[name],
        top1=round(top1[name], 6),  # a count of 2,000 has no more digits
        top1_drop=round(top1[BASELINE] - top1[name], 6) + 0.0,
        sqnr_db=noise if math.isfinite(noise) else None,
        bit_exact=not differing and not wrong,
        latency_ms=latencies[name],
        speedup=latencies[BASELINE] / latencies[name] if BASELINE in latencies else None,
        samples=len(work.data.x),
        threads=work.threads,
        isa=str(answer["isa"]),
        differing=differing,
        threads_differing=wrong,
    )


def _scores(graph: Graph, outputs: Arrays) -> NDArray[Any]:
    return in_reals(graph, graph.outputs[0], outputs[graph.outputs[0]])


def _differing(expected: Arrays, got: Arrays, samples: int) -> int:
    """Return the number of samples of which any byte of any output differs."""
    differs = np.zeros(samples, np.bool_)
    for name, array in expected.items():
        other = got[name]
        if other.dtype != array.dtype or other.shape != array.shape:
            return samples
        pair = (np.frombuffer(a.tobytes(), np.uint8).reshape(samples, -1) for a in (array, other))
        differs |= np.not_equal(*pair).any(axis=1)
    return int(differs.sum())


COMMAND = Command(
    name="demo",
    example="refquant demo --output demo/",
    add_arguments=_add_arguments,
    run=_run,
)
