"""The file that ``end_profiling`` names: events in the form of Chrome's trace viewer.

::

    [{"cat": "Session", "name": "model_run", "ph": "X", "ts": us, "dur": us, "pid": .., "tid": ..,
      "args": {}}, ...,
     {"cat": "Node", "name": "y_kernel_time", ..., "args": {"op_name": "MatMul", ...}}]

Runs are measured as they happen. Nodes are measured when profiling ends, each alone, as
``refquant-runtime bench`` does it: a run is not slowed down by looking at it.

References: onnxruntime 1.32, the output of ``SessionOptions.enable_profiling``; Trace Event Format.
"""

import json
import os
import threading
import time
from typing import Any

__all__ = ["Profile"]


class Profile:
    """The events of one session; times are microseconds since it was made."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self.start_ns = prefix, time.monotonic_ns()
        self._events: list[dict[str, Any]] = []
        self._open = True

    def add(self, category: str, name: str, begin: float, lasted: float, **args: Any) -> None:
        """Add an event that began ``begin`` and lasted ``lasted`` microseconds."""
        if self._open:
            self._events.append({
                "cat": category, "pid": os.getpid(), "tid": threading.get_native_id(),
                "dur": round(lasted), "ts": round(begin), "ph": "X", "name": name, "args": args,
            })  # fmt: skip

    def now(self) -> float:
        """Return the microseconds since the start."""
        return (time.monotonic_ns() - self.start_ns) / 1000

    def end(self, steps: list[dict[str, Any]]) -> str:
        """Write the file, with these steps after the runs; return its path, or ``""`` when over."""
        if not self._open:
            return ""
        at = self.now()
        for step in steps:
            self.add("Node", f"{step['node']}_kernel_time", at, step["us"], op_name=step["op"],
                     provider="CPUExecutionProvider", kernel=step["kernel"])  # fmt: skip
            at += step["us"]
        self._open = False
        path = f"{self._prefix}_{time.strftime('%Y-%m-%d_%H-%M-%S')}_{time.time_ns() % 10**9}.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._events, file, indent=0)
        return path
