"""Whole models: ours and onnxruntime, side by side in one run, on the same graph.

float32: onnxruntime runs the graph that the runtime runs, written as ONNX, with all of its
optimizations. int8_dynamic: the quantizer's file against somebody's ONNX model of the same weights,
dynamically quantized, too. One sample; inputs are copied in and outputs out, in both engines.

Machines are noisy: the engines alternate within each round. ``median_ms`` and ``best_ms`` are of
the rounds; ``cpu_ms``, with one thread, is the median of the time that the core really worked: what
to compare on a busy machine. ``ratio`` is ours over theirs, of ``cpu_ms`` where there is one.

    python benchmarks/models.py
    python benchmarks/models.py --model minilm --length 32 128 --threads 1 2 --json

The models are those of ``make assets``; one that is not there is left out, which stderr says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from refquant.model.graph import Graph
from refquant.model.loaders.g2p_gru import load_g2p
from refquant.model.loaders.minilm import features, load_minilm
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import write_rq
from refquant_runtime import Session, __version__
from tests.refquant.model.onnx_twin import to_onnx

ASSETS = Path(__file__).resolve().parents[1] / "assets"
Feeds = dict[str, np.ndarray[Any, Any]]
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A graph for us, a model for them, and inputs for both."""

    model: str
    scheme: str
    length: int
    graph: Graph
    onnx: bytes
    feeds: Feeds
    theirs: Feeds


def minilm(lengths: list[int]) -> Iterator[Case]:
    """MiniLM, a sentence encoder, in float32 and dynamically quantized."""
    graph = load_minilm(ASSETS / "minilm/model.safetensors")
    rng = np.random.default_rng(0)
    tokens = {n: features([rng.integers(1000, 20000, n).tolist()]) for n in lengths}
    for n, feeds in tokens.items():
        yield Case("minilm", "float32", n, graph, _written(graph, n), feeds, feeds)
    other = ASSETS / "minilm_int8/model.onnx"
    if other.exists():
        coded, data = quantize(graph, recipe("int8_dynamic"), {}), other.read_bytes()
        names = {item.name for item in onnxruntime.InferenceSession(data).get_inputs()}
        for n, feeds in tokens.items():
            wide = {k: v.astype(np.int64) for k, v in feeds.items() if k in names}
            yield Case("minilm", "int8_dynamic", n, coded, data, feeds, wide)


def g2p(lengths: list[int]) -> Iterator[Case]:
    """The encoder of letters to phonemes: a GRU."""
    graph, _ = load_g2p(ASSETS / "g2p/checkpoint20.npz")
    for n in lengths:
        feeds = {"letters": np.random.default_rng(0).integers(3, 29, (1, n)).astype(np.int32)}
        yield Case("g2p_encoder", "float32", n, graph, _written(graph, n), feeds, feeds)


MODELS: dict[str, tuple[str, Callable[[list[int]], Iterator[Case]]]] = {
    "minilm": ("minilm/model.safetensors", minilm),
    "g2p": ("g2p/checkpoint20.npz", g2p),
}


def _written(graph: Graph, steps: int) -> bytes:
    data: bytes = to_onnx(graph, steps=steps).SerializeToString()
    return data


def measure(case: Case, threads: int, rounds: int) -> list[Row]:
    """Time both engines; the outputs of the float32 ones must be near each other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    other = onnxruntime.InferenceSession(case.onnx, options)
    with tempfile.TemporaryDirectory() as folder:
        write_rq(Path(folder) / "m.rq", case.graph)
        session = Session(Path(folder) / "m.rq", threads=threads)
    calls: dict[str, Callable[[], Any]] = {
        "refquant-runtime": lambda: session.run(case.feeds),
        "onnxruntime": lambda: other.run(None, case.theirs),
    }
    ours, theirs = calls["refquant-runtime"](), calls["onnxruntime"]()
    if case.scheme == "float32":
        found, expected = next(iter(ours.values())), theirs[0]
        if np.abs(found - expected).max() > 1e-3 * np.abs(expected).max():
            raise SystemExit(f"{case.model}: the two engines disagree")
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin, worked = time.perf_counter(), time.process_time()
            call()
            wall[name].append((time.perf_counter() - begin) * 1e3)
            cpu[name].append((time.process_time() - worked) * 1e3)
    session.close()
    used = cpu if threads == 1 else wall
    ratio = statistics.median(used["refquant-runtime"]) / statistics.median(used["onnxruntime"])
    versions = {"refquant-runtime": __version__, "onnxruntime": onnxruntime.__version__}
    return [
        {
            "model": case.model, "engine": name, "threads": threads, "version": versions[name],
            "median_ms": round(statistics.median(wall[name]), 3),
            "best_ms": round(min(wall[name]), 3),
            "cpu_ms": round(statistics.median(cpu[name]), 3) if threads == 1 else None,
            "scheme": case.scheme, "length": case.length, "ratio": round(ratio, 2),
        }
        for name in calls
    ]  # fmt: skip


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--length", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    results: list[Row] = []
    for name in options.model:
        file, cases = MODELS[name]
        if not (ASSETS / file).exists():
            print(f"{name}: assets/{file} is not there; run `make assets`", file=sys.stderr)
            continue
        for case in cases(options.length):
            for threads in options.threads:
                rows = measure(case, threads, options.rounds)
                results += rows
                if not options.json:
                    show(rows)
    if options.json:
        print(json.dumps(results, indent=1))
    return 0


def show(rows: list[Row]) -> None:
    """Print one comparison as a line."""
    first, (ours, theirs) = rows[0], (row["median_ms"] for row in rows)
    print(
        f"{first['model']:>12} {first['scheme']:>13} length {first['length']:>4} "
        f"{first['threads']} threads: ours {ours:8.2f} ms, onnxruntime {theirs:8.2f} ms, "
        f"ratio {first['ratio']:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
