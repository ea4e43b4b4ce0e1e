"""Several cells at once: processes that each hold a backend of their own, and ask one cell each.

A cell is judged by its own answers alone, so cells can be asked in any order and in any process::

    judge ----+---- process 1 ---- worker 1      conv i8_i8,  softmax i8, ...
              |
              +---- process 2 ---- worker 2      matmul u8_u8,  add i8, ...

Judge and worker wait for each other, one core's work for both; two processes keep two cores busy.
What is found does not depend on how many there are, and comes in the order of the cells.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import TypeVar

from refquant_conformance.adapters import BackendError
from refquant_conformance.protocol import Capability
from refquant_conformance.subject import Knobs, Subject, Worker

__all__ = ["DEFAULT_JOBS", "over_cells"]

Found = TypeVar("Found")
Task = Callable[[Subject, Capability], Found]

DEFAULT_JOBS = min(4, os.cpu_count() or 1)
"""The cores, but not more than four: every process loads the backend anew."""

_mine: list[Worker] = []  # the one worker of a process of ours


def over_cells(
    subject: Subject, cells: Sequence[Capability], task: Task[Found], jobs: int = 1
) -> list[Found]:
    """Return what ``task`` finds of each cell, in ``jobs`` processes at once.

    With more than one, ``task`` travels: a function of a module, or a ``partial`` of one.
    ``ValueError`` for less than one job, or for more than one with a subject that is no
    :class:`Worker`. ``BackendError`` if a process of ours ends by itself.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> cells = (Capability("cast", "f32_f16"), Capability("cast", "f32_bf16"))
    >>> over_cells(Local(load_backend("reference:onnx")), cells, lambda _, cell: cell.scheme)
    ['f32_f16', 'f32_bf16']
    """
    if jobs < 1:
        raise ValueError(f"jobs must be >= 1, got {jobs}")
    if jobs == 1 or len(cells) < 2:
        return [task(subject, cell) for cell in cells]
    if not isinstance(subject, Worker):
        raise ValueError(f"jobs={jobs} takes a Worker, got {type(subject).__name__}")
    again = (subject.spec, dict(subject.knobs), subject.time_limit)
    processes = min(jobs, len(cells))
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, again) as pool:
        asked = {cell: pool.submit(_ask, task, cell) for cell in sorted(cells, key=_begins_late)}
        try:
            return [asked[cell].result() for cell in cells]
        except BrokenProcessPool:
            raise BackendError(
                f"{subject.spec}: a process of the judge ended by itself, maybe for want of "
                "memory; ask with one job"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begins_late(cell: Capability) -> bool:
    """Say whether a cell can wait: loaders cannot, since who hangs is waited for."""
    return cell.op != "load"


def _begin(spec: str, knobs: Knobs, time_limit: float) -> None:
    """Make the worker of this process; it ends with it."""
    worker = Worker(spec, knobs, time_limit)
    Finalize(None, worker.close, exitpriority=10)
    _mine[:] = [worker]
    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    """End when the judge ends, even if it was killed and cannot say so."""
    if parent is not None:
        parent.join()
        os._exit(1)


def _ask(task: Task[Found], cell: Capability) -> Found:
    return task(_mine[0], cell)
