"""Integer matrix product: ours and onnxruntime's ``MatMulInteger``, side by side in one run.

Both get uint8 A (M, K) row-major, int8 B (K, N) known beforehand (each engine packs it once, not
timed), and write int32 C (M, N) row-major into memory that exists already.  No zero points.

Machines are noisy: the engines alternate within each round, and each result is the best
of its rounds; ``ratio_median`` is the median over rounds of ours/theirs within a round.  ``peak``
is a loop of multiply-adds on registers alone, measured in the same rounds: what the CPU could do.

    python benchmarks/gemm.py
    python benchmarks/gemm.py --shape 384x1024x1024 --threads 1 2 --rounds 20 --json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llvmlite
import numba
import numpy as np
import onnxruntime
from numba import njit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from _peak import multiply_adds, operations

from refquant_runtime import isa
from refquant_runtime.executor import Executor
from refquant_runtime.kernels import packing, tiles
from refquant_runtime.kernels.abi import compiled, i32_at, share
from refquant_runtime.kernels.pointers import (
    aligned_empty,
    call_int8_tile,
    call_int8_tile_into,
    offset,
)

Matrix = np.ndarray[Any, Any]
SHAPES = ["384x1024x1024", "1x4096x4096", "48x512x512", "196x1152x128", "3136x64x64"]


@njit(nogil=True, error_model="numpy")
def copy(source: Any, target: Any, count: int) -> None:
    """Copy ``count`` elements."""
    for i in range(count):
        target[i] = source[i]


def product(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's tiles of C = A W, panel by panel; a kernel as in ``kernels.abi``."""
    tile, m, k, n, mr, nr = p[0], p[1], p[2], p[3], p[4], p[5]
    c, scratch = i32_at(arena, p[6]), i32_at(arena, p[7] + tid * p[8])
    offsets = i32_at(arena, p[7] + tid * p[8] + mr * nr * 4)
    kc, row_tiles, panels = (k + 3) // 4, (m + mr - 1) // mr, (n + nr - 1) // nr
    begin, end = share(row_tiles * panels, tid, nthreads)
    for item in range(begin, end):
        panel = item // row_tiles
        first = (item - panel * row_tiles) * mr
        for r in range(mr):
            offsets[r] = np.int32(min(first + r, m - 1) * k)
        w = offset(consts, panel * kc * nr * 4)
        column = panel * nr
        width = min(nr, n - column)
        if width == nr and first + mr <= m:
            there = offset(c, first * n + column)
            call_int8_tile_into(tile, arena, offsets, 1, kc, w, there, n, 0)
        else:
            call_int8_tile(tile, arena, offsets, 1, kc, w, scratch, 0)
            for r in range(min(mr, m - first)):
                copy(offset(scratch, r * nr), offset(c, (first + r) * n + column), width)


def ours(a: Matrix, b: Matrix, threads: int) -> tuple[Callable[[], None], Matrix, str]:
    """Return a call that computes A B, where it leaves the result, and the tile's name.

    The product is a plan of one step, run by the runtime's own threads.
    """
    (m, k), n = a.shape, b.shape[1]
    tile = tiles.int8_tile(isa.chosen(), n=n, m=m)
    c_at = -(-(a.size + 3) // 64) * 64  # a tile may read three bytes past A
    scratch_at = c_at + -(-m * n * 4 // 64) * 64
    scratch_size = -(-(tile.mr * tile.nr * 4 + tile.mr * 4) // 64) * 64
    arena = aligned_empty(scratch_at + threads * scratch_size)
    arena[: a.size] = a.ravel()
    row = [tile.address, m, k, n, tile.mr, tile.nr, c_at, scratch_at, scratch_size]
    plan = SimpleNamespace(
        codes=np.array([compiled(product)], np.int64),
        params=np.array([row], np.int64),
        arena=arena,
        consts=packing.pack_int8_weights(b, taps=1, nr=tile.nr),
    )
    executor = Executor(plan, threads)  # type: ignore[arg-type]
    c = arena[c_at : c_at + m * n * 4].view(np.int32).reshape(m, n)
    return executor.run, c, tile.name


def together(calls: Sequence[Callable[[], object]], pool: ThreadPoolExecutor) -> None:
    """Make all calls at once, the last one on this thread."""
    others = [pool.submit(call) for call in calls[:-1]]
    calls[-1]()
    for other in others:
        other.result()


def theirs(a: Matrix, b: Matrix, c: Matrix, threads: int) -> Callable[[], None]:
    """Return a call of onnxruntime's MatMulInteger that writes A B into ``c``."""
    import onnx
    from onnx import TensorProto, helper

    (m, k), n = a.shape, b.shape[1]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [m, k])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [m, n])],
        [onnx.numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()  # no copies and no allocation on their side either
    binding.bind_ortvalue_input("a", onnxruntime.OrtValue.ortvalue_from_numpy(a))
    binding.bind_output("c", "cpu", 0, np.int32, c.shape, c.ctypes.data)
    return partial(session.run_with_iobinding, binding)


REST = 0.1
"""Seconds between engines: idle threads of the one before spin for a while, on cores we measure."""


def best_time(call: Callable[[], object], seconds: float) -> float:
    """Return the shortest of the calls that fit into ``seconds``, at least three."""
    best, until, calls = float("inf"), time.perf_counter() + seconds, 0
    while calls < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        calls += 1
    return best


def measure(m: int, k: int, n: int, threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Compare one shape: the two products must agree, then the clocks are read."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (m, k), np.uint8)
    b = rng.integers(-128, 128, (k, n), np.int8)
    c_theirs = np.empty((m, n), np.int32)
    peak_steps = 500_000
    peak_work = operations(peak_steps)
    with ThreadPoolExecutor(max(1, threads - 1)) as pool:
        call, c_ours, tile = ours(a, b, threads)
        other = theirs(a, b, c_theirs, threads)
        bare = partial(together, [partial(multiply_adds, peak_steps, 1)] * threads, pool)
        call(), other()
        if not np.array_equal(c_ours, c_theirs):
            raise SystemExit(f"{m}x{k}x{n}: the two engines disagree")
        times, other_times, peaks = [], [], []
        for _ in range(rounds):
            for calls, found, share in (
                (call, times, 1),
                (other, other_times, 1),
                (bare, peaks, 4),
            ):
                if calls is not bare or peak_work:
                    time.sleep(REST)
                    found.append(best_time(calls, seconds / share))
    gops = 2 * m * k * n / 1e9
    ratios = [theirs_ / ours_ for ours_, theirs_ in zip(times, other_times, strict=True)]
    return {
        "m": m, "k": k, "n": n, "threads": threads,
        "ours_gops": round(gops / min(times), 1),
        "onnxruntime_gops": round(gops / min(other_times), 1),
        "peak_gops": round(threads * peak_work / 1e9 / min(peaks), 1) if peak_work else None,
        "ratio": round(min(other_times) / min(times), 3),
        "ratio_median": round(statistics.median(ratios), 3),
        "tile": tile, "isa": isa.chosen(), "cpu": platform.processor() or platform.machine(),
        "versions": {
            "numba": numba.__version__, "llvmlite": llvmlite.__version__,
            "onnxruntime": onnxruntime.__version__, "numpy": np.__version__,
        },
    }  # fmt: skip


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", nargs="+", default=SHAPES, help="MxKxN ...")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.05, help="per engine and round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    results = []
    if not options.json:
        print(f"{'MxKxN':>16} {'threads':>7} {'ours':>8} {'ort':>8} {'peak':>8} "
              f"{'ratio':>6} {'median':>6}  tile")  # fmt: skip
    for shape in options.shape:
        for threads in options.threads:
            m, k, n = (int(size) for size in shape.split("x"))
            row = measure(m, k, n, threads, options.rounds, options.seconds)
            results.append(row)
            if not options.json:
                print(f"{shape:>16} {threads:>7} {row['ours_gops']:>8} "
                      f"{row['onnxruntime_gops']:>8} {row['peak_gops'] or '-':>8} "
                      f"{row['ratio']:>6} {row['ratio_median']:>6}  {row['tile']}")  # fmt: skip
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print("GOPS, best of the rounds;", results[0]["versions"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
