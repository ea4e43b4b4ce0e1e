r"""The exhaustive sweep: all 2^32 float32 into every 8-bit float, against the exact oracle.

    python -m refquant_conformance.sweep

The reference's ``encode`` is compared code by code with the staircase of ``float_oracle``. A task
is a format and a rounding rule; it is cut into 256 chunks of 2^24 inputs. What is done is written
to the state file after each chunk, so an interrupted sweep goes on where it was. The state belongs
to the digest of the sources that it has judged: other sources begin anew.

Exit code 0: every chunk of every task asked for is right. 1: a difference, printed with its input.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import refquant
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import float_format
from refquant_conformance.float_oracle import SMALL_FLOATS, first_patterns

__all__ = ["TASKS", "expected_codes", "main", "sources_digest", "wrong_inputs"]

CHUNKS, CHUNK = 256, 2**24
_RULES = {"half_even": "half_even", "half_away": "half_away", "toward_zero": "toward_zero"}
_E8M0_RULES = {"up": "ceil", "down": "floor", "nearest": "half_even"}  # ONNX's words: rounding's
_MAGNITUDE_RULES = {"ceil": "away_from_zero", "floor": "toward_zero"}  # of positive numbers

TASKS = (
    *(f"{name}/half_even" for name in SMALL_FLOATS if name != "e8m0"),
    *(f"e8m0/{mode}" for mode in _E8M0_RULES),
    *(f"{name}/{rule}" for rule in ("half_away", "toward_zero") for name in ("e4m3fn", "e5m2")),
)
"""What is swept when nothing else is asked for."""


def expected_codes(patterns: NDArray[np.uint32], *, task: str) -> NDArray[np.uint8]:
    """Return the oracle's codes of the float32 with these bits, uint8 of the same shape.

    >>> one_and_minus_zero = np.array([0x3F800000, 0x80000000], np.uint32)
    >>> expected_codes(one_and_minus_zero, task="e4m3fn/half_even").tolist()
    [56, 128]
    """
    name, rule = _parts(task)
    form = SMALL_FLOATS[name]
    first = np.array(first_patterns(form, _MAGNITUDE_RULES.get(rule, rule)), np.uint32)
    magnitude, negative = patterns & np.uint32(2**31 - 1), patterns >> np.uint32(31) != 0
    codes = np.searchsorted(first, magnitude, side="right").astype(np.uint8)
    sign = negative & ((codes > 0) | form.minus_zero)
    codes = np.where(form.signed, codes | (sign * np.uint8(0x80)), np.where(negative, 0, codes))
    nan = form.nan | np.where(negative & form.signed_nan, 0x80, 0)
    return np.asarray(np.where(magnitude > 0x7F800000, nan, codes), np.uint8)


def _parts(task: str) -> tuple[str, str]:
    """Return format and rounding rule, as the reference names them."""
    name, _, rule = task.partition("/")
    rules = _E8M0_RULES if name == "e8m0" else _RULES
    if name not in SMALL_FLOATS or rule not in rules:
        raise ValueError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    return name, rules[rule]


def wrong_inputs(task: str, chunk: int, size: int = CHUNK) -> tuple[int, list[str]]:
    """Judge one chunk; return how many codes differ, and up to three of them in words.

    >>> wrong_inputs("e8m0/up", 64, size=4096)
    (0, [])
    """
    name, rule = _parts(task)
    patterns = np.arange(chunk * CHUNK, chunk * CHUNK + size, dtype=np.uint64).astype(np.uint32)
    with np.errstate(invalid="ignore"):  # signalling NaN
        ours = encode(patterns.view(np.float32), float_format(name), rounding=rule)
    theirs = expected_codes(patterns, task=task)
    bad = np.flatnonzero(ours != theirs)
    return len(bad), [
        f"{task}: float32 0x{patterns[i]:08X} ({patterns.view(np.float32)[i]!s}) -> "
        f"0x{ours[i]:02X}, the oracle says 0x{theirs[i]:02X}"
        for i in bad[:3]
    ]


def sources_digest() -> str:
    """Return the digest of what is judged: the reference's numerics, and the oracle.

    >>> len(sources_digest())
    64
    """
    digest = hashlib.sha256(np.__version__.encode())
    folders = (Path(refquant.__file__).parent / "numerics", Path(__file__).parent)
    names = ("minifloat.py", "minifloat_formats.py", "rounding.py", "float_oracle.py", "sweep.py")
    for path in (folder / name for folder in folders for name in names):
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _load(path: Path) -> dict[str, list[int]]:
    """Return the finished chunks by task, nothing if the state is of other sources."""
    try:
        state = json.loads(path.read_text())
        if state["sources"] == sources_digest():
            return {
                task: [int(chunk) for chunk in chunks] for task, chunks in state["done"].items()
            }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        sys.stderr.write(f"sweep: {path} is no state of a sweep; beginning anew\n")
        return {}
    sys.stderr.write(f"sweep: {path} is of other sources; beginning anew\n")
    return {}


def _save(path: Path, done: dict[str, list[int]]) -> None:
    """Write the state beside its place, then rename: it is never half there."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"sources": sources_digest(), "done": done}))
    draft.replace(path)


def _judge(work: list[tuple[str, int]], workers: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield task, chunk, number of differences and examples, in the order of completion."""
    with ProcessPoolExecutor(workers) as pool:
        jobs = {pool.submit(wrong_inputs, *each): each for each in work}
        for job in as_completed(jobs):
            yield *jobs[job], *job.result()


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep; return 0 (all right), 1 (a difference) or 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="python -m refquant_conformance.sweep",
        description="All 2^32 float32 into every 8-bit float format, against the exact oracle.",
        epilog="example:\n  python -m refquant_conformance.sweep --only e4m3fn/half_even",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--only", nargs="+", metavar="TASK", choices=TASKS, default=list(TASKS))
    parser.add_argument("--state", type=Path, default=Path("sweep-state.json"), metavar="FILE")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--chunks", type=int, default=None, metavar="N", help="stop after N chunks")
    arguments = parser.parse_args(argv)
    done = _load(arguments.state)
    work = [
        (task, chunk)
        for task in arguments.only
        for chunk in range(CHUNKS)
        if chunk not in done.get(task, [])
    ]
    total = len(arguments.only) * CHUNKS
    return _sweep(work[: arguments.chunks], total - len(work), total, done, arguments)


def _sweep(
    work: list[tuple[str, int]],
    finished: int,
    total: int,
    done: dict[str, list[int]],
    arguments: argparse.Namespace,
) -> int:
    """Judge ``work``, write the state as it goes, say what was found."""
    wrong, begin = 0, time.monotonic()
    for count, (task, chunk, differences, examples) in enumerate(
        _judge(work, arguments.workers), 1
    ):
        wrong += differences
        for example in examples:
            sys.stderr.write(f"\n{example}")
        if not differences:
            done.setdefault(task, []).append(chunk)
            _save(arguments.state, done)
        if sys.stderr.isatty():
            left = (time.monotonic() - begin) / count * (len(work) - count) / 60
            sys.stderr.write(f"\r{finished + count}/{total} chunks, {left:.0f} minutes left  ")
    judged = sum(len(chunks) for task, chunks in done.items() if task in arguments.only)
    sys.stdout.write(
        f"\n{judged} of {total} chunks of 2^24 inputs are right; {wrong} codes differ\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
