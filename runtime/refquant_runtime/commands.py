"""What the commands do; ``batch`` is in :mod:`refquant_runtime.jobs`."""

import os
import platform
import resource
import statistics
import time
from argparse import Namespace
from importlib.metadata import version

import numpy as np

from refquant_runtime import isa
from refquant_runtime.cli import pairs, show
from refquant_runtime.contracts import EXECUTED
from refquant_runtime.data import check_writable, write_npz
from refquant_runtime.jobs import digest_of, feeds_of, latencies, run_batch, run_steps
from refquant_runtime.kernels.cache import cache_folder
from refquant_runtime.session import Session
from refquant_runtime.version import __version__

__all__ = ["run_batch", "run_bench", "run_doctor", "run_info", "run_profile", "run_run"]


def run_info(arguments: Namespace) -> None:
    """Describe a file: inputs, outputs, operators, contracts, memory."""
    session = Session(arguments.model, threads=1)
    graph = session.graph
    ops: dict[str, int] = {}
    for node in graph.nodes:
        ops[node.op] = ops.get(node.op, 0) + 1
    result = {
        "file": str(graph.path),
        "bytes": graph.file_bytes,
        "sha256": graph.sha256,
        "name": graph.name,
        "scheme": graph.meta.get("scheme"),
        "inputs": {name: _signature(session, name) for name in session.inputs},
        "outputs": {name: _signature(session, name) for name in graph.outputs},
        "states": {state.name: _signature(session, state.input) for state in graph.states},
        "operators": ops,
        "contracts": sorted({node.contract for node in graph.nodes if node.contract}),
        "weight_bytes": sum(v.data.nbytes for v in graph.values.values() if v.data is not None),
        "packed_bytes": int(session.plan.consts.size),
        "arena_bytes": int(session.plan.arena.size),
        "steps": len(session.plan.steps),
        "macs": sum(step.macs for step in session.plan.steps),
    }
    show(result, arguments.json, pairs(result))


def _signature(session: Session, name: str) -> str:
    value = session.graph.values[name]
    shape = ["T" if i in value.lengths else size for i, size in enumerate(value.shape)]
    if value.batched:
        shape[0] = "N"
    text = f"{value.dtype}[{', '.join(map(str, shape))}]"
    if value.quant is not None:
        text += f" scale {float(value.quant.scale):.9g} zero_point {int(value.quant.zero_point)}"
    return text


def run_run(arguments: Namespace) -> None:
    """Run a model on an archive of arrays."""
    begin = time.perf_counter()
    if arguments.output is not None:
        check_writable(arguments.output)
    session = Session(arguments.model, threads=arguments.threads)
    if arguments.input is not None:
        feeds = feeds_of(session, arguments.input)
    else:
        feeds = {name: np.zeros_like(view) for name, view in session.inputs.items()}
    outputs = run_steps(session, feeds)
    if arguments.output is not None:
        write_npz(arguments.output, outputs)
    many = [array for name, array in feeds.items() if session.graph.values[name].batched
            or array.ndim > session.inputs[name].ndim]  # fmt: skip
    samples = len(many[0]) if many else 1
    result = {
        "model": str(session.path),
        "samples": samples,
        "threads": session.threads,
        "isa": session.isa,
        "seconds": time.perf_counter() - begin,
        "outputs": {
            name: {
                "dtype": array.dtype.name,
                "shape": list(array.shape),
                "sha256": digest_of(array),
            }
            for name, array in outputs.items()
        },
        "written": arguments.output,
    }
    show(result, arguments.json, pairs(result))


def run_bench(arguments: Namespace) -> None:
    """Measure the latency of one sample on the bound buffers."""
    session = Session(arguments.model, threads=arguments.threads)
    session.resize(arguments.length)
    begin = time.perf_counter()
    session.invoke()
    first = (time.perf_counter() - begin) * 1e3
    times = latencies(session, arguments.runs)
    median = statistics.median(times)
    macs = sum(step.macs for step in session.plan.steps)
    result = {
        "model": str(session.path),
        "engine": "refquant-runtime",
        "version": __version__,
        "threads": session.threads,
        "isa": session.isa,
        "length": session.length,
        "runs": arguments.runs,
        "median_ms": median,
        "p90_ms": float(np.percentile(times, 90)),
        "min_ms": min(times),
        "first_ms": first,
        "load_ms": session.startup_seconds["load"] * 1e3,
        "plan_ms": session.startup_seconds["plan"] * 1e3,
        "gops": 2 * macs / median / 1e6,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    show(result, arguments.json, pairs(result))


def run_profile(arguments: Namespace) -> None:
    """Print the time of every step."""
    session = Session(arguments.model, threads=arguments.threads)
    session.resize(arguments.length)
    rows = session.profile(arguments.runs)
    total = sum(row["us"] for row in rows)
    lines = [f"{'us':>9} {'%':>5} {'GOPS':>7}  {'kernel':18} {'op':20} node"]
    lines += [
        f"{row['us']:9.1f} {100 * row['us'] / total:5.1f} {row['gops']:7.1f}  "
        f"{row['kernel']:18} {row['op']:20} {row['node']}"
        for row in rows
    ]
    lines.append(f"{total:9.1f} 100.0  (steps one by one, {session.threads} threads)")
    show(rows, arguments.json, lines)


def run_doctor(arguments: Namespace) -> None:
    """Print what this machine has and what the runtime would use."""
    folder = cache_folder()
    result = {
        "refquant-runtime": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "llvmlite": version("llvmlite"),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "cores": os.cpu_count(),
        "isa": isa.chosen(),
        "isa_available": list(isa.available()),
        "REFQUANT_ISA": os.environ.get("REFQUANT_ISA"),
        "contracts": list(EXECUTED),
        "kernel_cache": str(folder) if folder else None,
        "kernel_cache_files": sum(1 for _ in folder.rglob("*.nbc")) if folder else 0,
    }
    lines = pairs(result)
    if folder is None:
        lines.append("problem: no folder for compiled kernels; set NUMBA_CACHE_DIR to one that "
                     "can be written, or every start compiles")  # fmt: skip
    show(result, arguments.json, lines)
