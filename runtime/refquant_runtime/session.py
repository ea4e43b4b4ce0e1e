"""A session: one model, planned for this CPU, with its memory and its threads."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime import isa
from refquant_runtime.check import bind
from refquant_runtime.errors import InputError
from refquant_runtime.executor import Executor
from refquant_runtime.feeds import check_feeds
from refquant_runtime.graph import Value
from refquant_runtime.lower import lower
from refquant_runtime.passes.fuse import fuse_bounds
from refquant_runtime.plan import Buffer
from refquant_runtime.read_graph import read_graph

__all__ = ["Session"]

Array = NDArray[Any]


class Session:
    """Load a ``.rq`` file and run it.

    ``session.run({"x": x})`` copies inputs in and outputs out. ``session.inputs["x"][...] = x;
    session.invoke(); session.outputs["y"]`` works on the plan's own memory, without a copy.
    The bits of the result depend on the file and the input only: not on the number of threads,
    nor on the instruction set. Calls from several Python threads take turns.

    Raises ``FormatError``, ``UnsupportedError`` or ``InputError``, all ``ValueError`` s.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        cores = os.cpu_count() or 1
        count = min(cores, 4) if threads is None else threads
        if type(count) is not int or not 1 <= count <= 256:
            raise InputError(
                f"threads must be an integer from 1 to 256, got {threads!r}; "
                f"pass threads={min(cores, 4)}"
            )
        start = time.perf_counter()
        self.path = _path_of(path)
        self.threads = count
        self.isa = isa.chosen()
        self.graph = read_graph(self.path)
        bound, arithmetics = bind(self.graph, 1)
        self._bound = fuse_bounds(bound)
        loaded = time.perf_counter()
        self.plan, inputs, outputs = lower(self._bound, arithmetics, isa=self.isa, nthreads=count)
        self._executor = Executor(self.plan, count)
        # Read-only: `inputs["x"] = x` would leave the plan's memory alone; `[...] = x` fills it.
        self.inputs = MappingProxyType({k: self._view(k, b) for k, b in inputs.items()})
        self.outputs = MappingProxyType({k: self._view(k, b) for k, b in outputs.items()})
        planned = time.perf_counter()
        self.startup_seconds = {"load": loaded - start, "plan": planned - loaded}

    def invoke(self) -> None:
        """Run once on the bound buffers."""
        self._executor.run()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs for ``feeds``: name -> array of the declared dtype and shape.

        Where the first dimension is ``N`` any number of samples may be passed, the same for every
        input; each sample is computed by itself.
        """
        with self._executor.lock:
            count = check_feeds(self.path, self.graph.values, self.inputs, feeds)
            batched = self._batched(self.graph.outputs)
            results = {
                name: np.empty((count if batched else 1, *view.shape[batched:]), view.dtype)
                for name, view in self.outputs.items()
            }
            for sample in range(count):
                for name, view in self.inputs.items():
                    view[...] = feeds[name][sample : sample + 1] if batched else feeds[name]
                self.invoke()
                for name, view in self.outputs.items():
                    results[name][sample] = view[0] if batched else view
        return results if batched else {name: array[0] for name, array in results.items()}

    def close(self) -> None:
        """Stop the session's threads; it cannot run afterwards."""
        self._executor.close()

    def profile(self, runs: int = 50) -> list[dict[str, Any]]:
        """Return for each step its node, operator, kernel, median microseconds and GOPS."""
        steps = self.plan.steps
        times = np.zeros((runs, len(steps)))
        with self._executor.lock:
            self.invoke()
            for run in range(runs):
                for index in range(len(steps)):
                    begin = time.perf_counter()
                    self._executor.run(index, index + 1)
                    times[run, index] = time.perf_counter() - begin
        median = np.median(times, axis=0)
        return [
            {
                "node": step.node,
                "op": step.op,
                "kernel": step.kernel.__name__,
                "us": float(median[i] * 1e6),
                "gops": 2 * step.macs / float(median[i]) / 1e9 if step.macs else 0.0,
            }
            for i, step in enumerate(steps)
        ]

    # -- private --------------------------------------------------------------------------------

    def _view(self, name: str, buffer: Buffer) -> Array:
        value: Value = self._bound.values[name]
        arena = self.plan.arena[buffer.offset : buffer.offset + buffer.nbytes]
        return arena.view(value.dtype).reshape(value.shape)

    def _batched(self, names: tuple[str, ...]) -> bool:
        return any(self.graph.values[name].batched for name in names)


def _path_of(path: Any) -> Path:
    try:
        return Path(path)
    except TypeError:  # a number, None, bytes
        raise InputError(
            f"path must be a str or a pathlib.Path, got {type(path).__name__}; pass the path of "
            "an .rq file"
        ) from None
