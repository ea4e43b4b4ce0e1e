"""A job: one model, run on one archive of arrays; and many of them in one process."""

import hashlib
import json
import os
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime import isa
from refquant_runtime.data import check_writable, read_npz, write_npz
from refquant_runtime.errors import InputError
from refquant_runtime.session import Session

__all__ = ["digest_of", "feeds_of", "latencies", "run_batch", "run_steps"]


def feeds_of(session: Session, path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays that the model takes; labels and the like may lie beside them."""
    arrays = read_npz(path)
    if missing := sorted(set(session.inputs) - set(arrays)):
        raise InputError(f"{path}: has no array {missing[0]!r} but {sorted(arrays)}; rename one")
    for name in session.inputs:
        if session.graph.values[name].batched and arrays[name].shape[:1] == (0,):
            raise InputError(f"{path}: array {name!r} holds no samples; give at least one")
    return {name: arrays[name] for name in session.inputs}


def run_steps(session: Session, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs for ``feeds``, which are the steps of a stream where there are states.

    Where there is a batch, the samples are the steps, as in ``Session.run``. Where there is none,
    every array may have one axis more, in front: the steps; then the outputs have it, too.
    """
    longer = [name for name, view in session.inputs.items() if feeds[name].ndim == view.ndim + 1]
    if not session.graph.states or not longer or longer != list(session.inputs):
        return session.run(feeds)
    counts = {len(feeds[name]) for name in longer}
    if len(counts) > 1 or 0 in counts:
        raise InputError(
            f"{session.path}: inputs have {sorted(counts)} steps; give every input the same "
            "number, at least one"
        )
    parts = [session.run({name: feeds[name][i] for name in longer}) for i in range(counts.pop())]
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def digest_of(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes.

    >>> digest_of(np.zeros(0, np.uint8))[:8]
    'e3b0c442'
    """
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def latencies(session: Session, runs: int) -> list[float]:
    """Return the milliseconds of ``runs`` invocations, after a tenth as many to warm up."""
    for _ in range(max(3, runs // 10)):
        session.invoke()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        session.invoke()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def run_batch(arguments: Namespace) -> None:
    """Run jobs one after the other in one process; print one JSON line a job."""
    for job in _jobs(arguments.jobs):
        print(json.dumps(_job(job)), flush=True)


def _jobs(source: str) -> Iterator[Mapping[str, Any]]:
    if source == "-":
        for number, line in enumerate(sys.stdin, 1):
            if line.strip():
                yield _checked(_parsed(f"line {number}", line))
        return
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read ({error}); give a JSON list of jobs") from error
    jobs = _parsed(source, text)
    if not isinstance(jobs, list):
        raise InputError(f"{source}: is not a JSON list of jobs; put the jobs in brackets")
    yield from map(_checked, jobs)


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); write one object a job") from error


def _checked(job: Any) -> Mapping[str, Any]:
    known = {"model", "input", "output", "threads", "isa", "bench"}
    if not isinstance(job, dict) or not {"model", "input", "output"} <= job.keys() <= known:
        raise InputError(
            f"a job needs model, input and output, and knows only {sorted(known)}, got "
            f"{job!r:.200}; write an object of these keys"
        )
    for key in ("model", "input", "output", "isa"):
        if not isinstance(job.get(key, ""), str):
            raise InputError(f"a job's {key} is a string, got {job[key]!r:.60}; put it in quotes")
    threads = job.get("threads", [1])
    if not isinstance(threads, list) or not threads:
        raise InputError(
            f"a job's threads is a list of numbers of threads, got {threads!r:.60}; write [1, 2]"
        )
    return job


def _job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job for each thread count; outputs are those of the first."""
    check_writable(job["output"])
    before = os.environ.get("REFQUANT_ISA")
    if job.get("isa"):
        os.environ["REFQUANT_ISA"] = job["isa"]
    digests: dict[str, str] = {}
    median = None
    try:
        for threads in job.get("threads", [1]):
            session = Session(job["model"], threads=threads)
            outputs = run_steps(session, feeds_of(session, job["input"]))
            digests[str(threads)] = hashlib.sha256(
                b"".join(digest_of(outputs[name]).encode() for name in sorted(outputs))
            ).hexdigest()
            if len(digests) == 1:
                write_npz(job["output"], outputs)
                if job.get("bench"):
                    median = statistics.median(latencies(session, 200))
            session.close()
        chosen = isa.chosen()
    finally:
        if job.get("isa"):
            os.environ.pop("REFQUANT_ISA")
            if before is not None:
                os.environ["REFQUANT_ISA"] = before
    return {
        "model": job["model"],
        "outputs_sha256": digests,
        "identical": len(set(digests.values())) == 1,
        "median_ms": median,
        "isa": chosen,
    }
