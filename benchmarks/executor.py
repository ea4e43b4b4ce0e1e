"""What a step costs beyond its own work: 200 trivial operators in one plan.

A chain of 200 ``Relu`` on 16 numbers does next to nothing, so its time is that of the executor: the
call through the plan's table, and with several threads the barrier. The bar: 1 microsecond an
operator on two threads.

    python benchmarks/executor.py --json
"""

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from refquant_runtime import Session

STEPS = 200
ROUNDS = 300


def chain(folder: Path) -> Path:
    """Write the model: a chain that no pass can shorten."""
    builder = Builder("chain")
    name = builder.input("x", ("N", 16))
    for step in range(STEPS):
        name = builder.node("Relu", [name], name=f"step{step}")
    path = folder / "chain.rq"
    write_rq(path, builder.graph([name]))
    return path


def measure(path: Path, threads: int) -> dict[str, Any]:
    """Return the best and the median time of one operator."""
    session = Session(path, threads=threads)
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        session.invoke()
        times.append((time.perf_counter() - begin) / STEPS * 1e6)
    session.close()
    times.sort()
    return {
        "threads": threads,
        "steps": STEPS,
        "best_us_per_op": times[0],
        "median_us_per_op": times[len(times) // 2],
        "isa": session.isa,
        "numba": version("numba"),
        "machine": platform.machine(),
    }


def main() -> None:
    """Measure with one and two threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = chain(Path(folder))
        rows = [measure(path, threads) for threads in (1, 2)]
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['threads']} thread(s): {row['median_us_per_op']:.3f} us an operator "
            f"(median of {ROUNDS} runs of {STEPS}), best {row['best_us_per_op']:.3f} us"
        )


if __name__ == "__main__":
    main()
