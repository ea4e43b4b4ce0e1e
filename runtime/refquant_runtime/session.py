"""A session: one model, planned for this CPU, with its memory and its threads."""

import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime import isa
from refquant_runtime.check import bind, lengthened
from refquant_runtime.errors import InputError
from refquant_runtime.executor import Executor
from refquant_runtime.feeds import check_feeds, length_of
from refquant_runtime.graph import Graph
from refquant_runtime.lower import lower
from refquant_runtime.passes import simplified
from refquant_runtime.plan import Buffer, Constants, Plan
from refquant_runtime.read_graph import read_graph
from refquant_runtime.states import Kept, checked_state, copied, initial_state, opened, unbound

__all__ = ["Session"]

Array = NDArray[Any]
LENGTHS = 4  # of sequences, whose plans are kept


@dataclass(frozen=True)
class _Ready:
    """A plan for one length of sequences, its threads, and its ends, those of states too."""

    plan: Plan
    executor: Executor
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


class Session:
    """Load a ``.rq`` file and run it.

    ``session.run({"x": x})`` copies inputs in and outputs out. ``session.inputs["x"][...] = x;
    session.invoke(); session.outputs["y"]`` works on the plan's own memory, without a copy.
    The bits of the result depend on the file and the input only: not on the number of threads,
    nor on the instruction set. Calls from several Python threads take turns.

    Where inputs are sequences of any length, ``run`` makes a plan when it meets a length for the
    first time, and keeps the last few; ``resize`` does the same for the bound buffers, which are
    those of length 1 at first.

    Where the file has states, each run goes on from what the run before has left: ``state`` has
    it, between two runs, and ``reset`` begins anew. N samples are then N steps of one stream, in
    order. A run that fails leaves the state as it was; sessions share nothing.

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
        bound, self._arithmetics = bind(self.graph, 1)
        self._bound = simplified(opened(bound))
        self._first = self._kept = initial_state(bound)
        loaded = time.perf_counter()
        self._sequences = any(self.graph.values[name].lengths for name in self.graph.inputs)
        self._constants = Constants(shared=self._sequences)
        self._lock = threading.RLock()
        self._plans: dict[int, _Ready] = {}
        self.length = 1
        self._use(1)
        planned = time.perf_counter()
        self.startup_seconds = {"load": loaded - start, "plan": planned - loaded}

    @property
    def state(self) -> Mapping[str, Array]:
        """What the next run begins with, by the states' names: copies that cannot be written to.

        Set all of it at once, as ``session.state = {**session.state, "h": h}``.
        """
        with self._lock:
            kept = self._kept
        return MappingProxyType({s.name: copied(kept[s.input]) for s in self.graph.states})

    @state.setter
    def state(self, state: Mapping[str, Array]) -> None:
        kept = checked_state(self.path, self.graph, self._first, state)
        with self._lock:
            self._kept = kept

    def reset(self) -> None:
        """Begin anew: the state is what the file says."""
        with self._lock:
            self._kept = self._first

    def invoke(self) -> None:
        """Run once on the bound buffers."""
        with self._lock:
            self._kept = self._step(self._kept)

    def resize(self, length: int) -> None:
        """Bind buffers for sequences of ``length`` steps: ``inputs`` and ``outputs`` are others."""
        if type(length) is not int or length < 1:
            raise InputError(
                f"{self.path}: length must be an integer from 1, got {length!r}; pass the number "
                "of steps"
            )
        if not self._sequences and length != 1:
            raise InputError(f"{self.path}: no input is a sequence of any length; use it as it is")
        with self._lock:
            self._use(length)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs for ``feeds``: name -> array of the declared dtype and shape.

        Where the first dimension is ``N`` any number of samples may be passed, the same for every
        input; each sample is computed by itself.
        """
        with self._lock:
            names = unbound(self.graph, feeds if isinstance(feeds, Mapping) else ())
            if self._sequences:
                self._use(length_of(self.path, self.graph.values, names, feeds))
            views = {name: self._ready.inputs[name] for name in names}
            count = check_feeds(self.path, self.graph.values, views, feeds)
            batched = self._batched(self.graph.outputs)
            results = {
                name: np.empty((count if batched else 1, *view.shape[batched:]), view.dtype)
                for name, view in self.outputs.items()
            }
            kept = self._kept
            for sample in range(count):
                for name, view in views.items():
                    view[...] = feeds[name][sample : sample + 1] if batched else feeds[name]
                kept = self._step(kept, fed=views)
                for name, view in self.outputs.items():
                    results[name][sample] = view[0] if batched else view
            self._kept = kept  # now, or never: a run is done as a whole
        if batched:
            return results
        return {name: array[0, ...] for name, array in results.items()}  # of no axes: an array too

    def close(self) -> None:
        """Stop the session's threads; it cannot run afterwards."""
        for ready in self._plans.values():
            ready.executor.close()

    def profile(self, runs: int = 50) -> list[dict[str, Any]]:
        """Return for each step its node, operator, kernel, median microseconds and GOPS."""
        steps = self.plan.steps
        times = np.zeros((runs, len(steps)))
        with self._lock:
            self._step(self._kept)
            for run in range(runs):
                for index in range(len(steps)):
                    begin = time.perf_counter()
                    self._ready.executor.run(index, index + 1)
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

    def _step(self, kept: Kept, fed: Collection[str] = ()) -> Kept:
        """Run once from what was ``kept``, but for inputs that are ``fed``; return what is kept."""
        ready = self._ready
        for name, array in kept.items():
            if name not in fed:
                ready.inputs[name][...] = array
        ready.executor.run()
        broken = ready.plan.guards.broken(ready.plan.arena)
        if broken is not None:
            raise InputError(f"{self.path}: {broken}; pass numbers within these")
        return {state.input: ready.outputs[state.output].copy() for state in self.graph.states}

    def _use(self, length: int) -> None:
        """Make the plan for one length, or take it out again; the oldest of too many goes."""
        ready = self._plans.pop(length, None)
        if ready is None:
            ready = self._made(length)
            if len(self._plans) >= LENGTHS:
                self._plans.pop(next(iter(self._plans))).executor.close()
        self._plans[length] = ready
        self.length, self.plan, self._ready = length, ready.plan, ready
        # Read-only: `inputs["x"] = x` would leave the plan's memory alone; `[...] = x` fills it.
        self.inputs = _only(ready.inputs, unbound(self.graph))
        self.outputs = _only(ready.outputs, self.graph.outputs)

    def _made(self, length: int) -> _Ready:
        graph = self._bound
        if self._sequences and length > 1:
            graph = lengthened(graph, self._arithmetics, length)
        plan, inputs, outputs = lower(
            graph, self._arithmetics, isa=self.isa, nthreads=self.threads,
            constants=self._constants,
        )  # fmt: skip
        if not self._sequences:
            self._constants = Constants()  # nobody asks again
        ends = [
            {name: _view(graph, plan, name, b) for name, b in buffers.items()}
            for buffers in (inputs, outputs)
        ]
        return _Ready(plan, Executor(plan, self.threads), *ends)

    def _batched(self, names: tuple[str, ...]) -> bool:
        return any(self.graph.values[name].batched for name in names)


def _only(views: Mapping[str, Array], names: Iterable[str]) -> Mapping[str, Array]:
    return MappingProxyType({name: views[name] for name in names})


def _view(graph: Graph, plan: Plan, name: str, buffer: Buffer) -> Array:
    """Return a buffer as an array."""
    value = graph.values[name]
    arena = plan.arena[buffer.offset : buffer.offset + buffer.nbytes]
    return arena.view(value.dtype).reshape(value.shape)


def _path_of(path: Any) -> Path:
    try:
        return Path(path)
    except TypeError:  # a number, None, bytes
        raise InputError(
            f"path must be a str or a pathlib.Path, got {type(path).__name__}; pass the path of "
            "an .rq file"
        ) from None
