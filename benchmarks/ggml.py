"""ggml's block types: encoding and decoding, ours and two others', side by side in one run.

Ours is NumPy, written to be read; gguf is NumPy, libgguf is C (its reference rows, one thread). All
run in one thread on the same Gaussian weights; the best of the rounds counts, and the engines
alternate within a round. A dash: that package cannot. The IQ types search grids: they are measured
on fewer weights.

    python benchmarks/ggml.py
    python benchmarks/ggml.py --types Q4_K Q8_0 --rounds 5 --json
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

import gguf
import libgguf
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from refquant.formats.ggml import codec

WEIGHTS, FEW = 4_194_304, 65_536
Engine = Callable[[], Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--types", nargs="+", default=list(codec.BLOCK_TYPES), metavar="TYPE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [row for name in arguments.types for row in measure(name.upper(), arguments.rounds)]
    if arguments.json:
        print(json.dumps(rows))
        return
    versions = ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in ("numpy", "gguf", "libgguf")
    )
    print(f"{platform.machine()}, one thread, {versions}; millions of weights a second")
    print(f"{'type':8} {'':7} {'ours':>8} {'gguf':>8} {'libgguf':>8}  ours / best of the others")
    for row in rows:
        figures = [row["ours_mps"], row["gguf_mps"], row["libgguf_mps"]]
        shown = " ".join(f"{f:8.2f}" if f else f"{'-':>8}" for f in figures)
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else "-"
        print(f"{row['type']:8} {row['what']:7} {shown}  {ratio}")


def measure(name: str, rounds: int) -> list[dict[str, Any]]:
    """Return one row for encoding and one for decoding."""
    count = FEW if name.startswith("IQ") and name not in ("IQ4_NL", "IQ4_XS") else WEIGHTS
    x = np.random.default_rng(0).standard_normal((count // 4096, 4096), np.float32)
    importance = np.ones(4096, np.float32) if name in ("IQ2_XXS", "IQ2_XS", "IQ1_S") else None
    theirs = getattr(gguf.GGMLQuantizationType, name, None)
    data = codec.encode(x, type=name, importance=importance)

    encoders: dict[str, Engine] = {
        "ours": lambda: codec.encode(x, type=name, importance=importance),
        "gguf": lambda: gguf.quants.quantize(x, theirs),
        "libgguf": lambda: libgguf.quantize_rows(x, theirs, imatrix=importance),
    }
    decoders: dict[str, Engine] = {
        "ours": lambda: codec.decode(data, type=name),
        "gguf": lambda: gguf.quants.dequantize(data, theirs),
        "libgguf": lambda: libgguf.dequantize_rows(data, theirs),
    }
    return [
        {"type": name, "what": what, "weights": count, **rates(engines, count, rounds)}
        for what, engines in (("encode", encoders), ("decode", decoders))
    ]


def rates(engines: dict[str, Engine], count: int, rounds: int) -> dict[str, float | None]:
    """Return millions of weights a second by engine, and ours divided by the others' best."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for engine, run in engines.items():
            begin = time.perf_counter()
            try:
                run()
            except (NotImplementedError, ValueError, TypeError, AttributeError):  # it cannot
                continue
            seconds = time.perf_counter() - begin
            best[engine] = min(best.get(engine, seconds), seconds)
    mps = {name: count / 1e6 / best[name] if name in best else None for name in engines}
    others = [rate for name, rate in mps.items() if rate and name != "ours"]
    if mps["ours"] is None:
        raise SystemExit("our own codec refused what it made: run the tests")
    ratio = mps["ours"] / max(others) if others else None
    return {f"{name}_mps": rate for name, rate in mps.items()} | {"ratio": ratio}


if __name__ == "__main__":
    main()
