"""Many steps on several threads that share each step, sleep, wake, and stop when told."""

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from refquant_runtime import InputError
from refquant_runtime.executor import SPIN_IDLE, Executor
from refquant_runtime.kernels.abi import i32_at, share
from refquant_runtime.plan import Buffer, Constants, Step, finish

N = 64
TIME_LIMIT = 60  # conftest.py: a step that waits for ever is a failure; the slowest test takes 6 s


def add_up(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """``y[i] = x[i] + x[N - 1 - i]``: reads what other threads wrote a step before."""
    x, y = i32_at(arena, p[0]), i32_at(arena, p[1])
    begin, end = share(64, tid, nthreads)
    for i in range(begin, end):
        y[i] = np.int32((x[i] + x[63 - i]) % 1000003 + 1)


FIELDS = ("x", "y")


class Chain:
    """A plan of ``steps`` additions between two buffers, and what it computes."""

    def __init__(self, steps: int, threads: int) -> None:
        buffers = [Buffer(4 * N, "a", pinned=True), Buffer(4 * N, "b", pinned=True)]
        self.steps = [
            Step(add_up, FIELDS, {"x": buffers[i % 2], "y": buffers[1 - i % 2]},
                 [buffers[i % 2]], [buffers[1 - i % 2]], f"n{i}", "Add")
            for i in range(steps)
        ]  # fmt: skip
        self.plan = finish(self.steps, Constants(), buffers)
        self.a, self.b = (
            self.plan.arena[b.offset : b.offset + 4 * N].view(np.int32) for b in buffers
        )
        self.a[:] = np.arange(N)
        self.executor = Executor(self.plan, threads)

    def expected(self, runs: int = 1) -> list[int]:
        a, b = np.arange(N), np.zeros(N, np.int64)
        for i in range(runs * len(self.steps)):
            x, y = (a, b) if i % len(self.steps) % 2 == 0 else (b, a)
            y[:] = (x + x[::-1]) % 1000003 + 1
        return [*a.tolist(), *b.tolist()]

    def actual(self) -> list[int]:
        return [*self.a.tolist(), *self.b.tolist()]


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_two_hundred_steps_see_each_others_results(threads: int) -> None:
    chain = Chain(200, threads)
    for _ in range(5):
        chain.executor.run()
    assert chain.actual() == chain.expected(5), f"{threads} threads compute what one does"
    chain.executor.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_steps_may_be_run_by_parts(threads: int) -> None:
    chain = Chain(20, threads)
    chain.executor.run(0, 7)
    chain.executor.run(7, 7)  # nothing
    chain.executor.run(7, 8)
    chain.executor.run(8)
    assert chain.actual() == chain.expected(), "in all, the same"
    for _ in range(1000):
        chain.executor.run(3, 3)  # a run without a step
    chain.executor.run()
    assert chain.actual() == chain.expected(2), "and afterwards"
    chain.executor.close()


def test_threads_fall_asleep_and_wake() -> None:
    chain = Chain(10, 3)
    for number in range(1, 4):
        chain.executor.run()
        assert chain.actual() == chain.expected(number), f"run {number}"
        deadline = time.monotonic() + 20
        while chain.executor.crew.asleep < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert chain.executor.crew.asleep == 2, f"after {SPIN_IDLE} idle turns both sleep"
    chain.executor.close()


def runs(executor: Executor, times: int) -> threading.Thread:
    """A Python thread that runs the plan so often, or until it is closed."""

    def work() -> None:
        with suppress(InputError):
            for _ in range(times):
                executor.run()

    return threading.Thread(target=work)


def alive(executor_threads: list[threading.Thread]) -> bool:
    return any(thread.is_alive() for thread in executor_threads)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition(), what


def test_closing_stops_the_threads_and_later_runs_are_refused() -> None:
    chain = Chain(10, 4)
    chain.executor.run()
    own = list(chain.executor.crew.threads)
    assert [thread.name for thread in own] == ["refquant-1", "refquant-2", "refquant-3"], "names"
    chain.executor.close()
    chain.executor.close()  # again is nothing
    wait_until(lambda: not alive(own), "closing stops the threads")
    with pytest.raises(InputError, match="the session is closed: make a new one"):
        chain.executor.run()


def test_an_executor_that_nobody_holds_stops_its_threads() -> None:
    chain = Chain(10, 3)
    chain.executor.run()
    own = list(chain.executor.crew.threads)
    del chain
    gc.collect()
    wait_until(lambda: not alive(own), "garbage collection stops the threads")


def test_calls_of_many_python_threads_take_turns() -> None:
    chain = Chain(10, 2)
    callers = [runs(chain.executor, 25) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not alive(callers), "no caller waits for ever"
    assert chain.actual() == chain.expected(200), "two hundred whole runs, one after the other"
    chain.executor.close()


def test_a_closed_lid_waits_for_the_run_under_way() -> None:
    chain = Chain(200, 2)
    runner = runs(chain.executor, 200)
    runner.start()
    chain.executor.close()
    runner.join(60)
    assert not runner.is_alive(), "closing during runs leaves nobody at a barrier"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_its_own_threads() -> None:
    chain = Chain(10, 2)
    chain.executor.run()
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        chain.executor.run()
        answers.put(chain.actual())

    process = context.Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 0, "the child neither hangs nor fails"
    assert answers.get() == chain.expected(2), "its run is right"
    chain.executor.run()
    assert chain.actual() == chain.expected(2), "and the parent's memory its own"
    chain.executor.close()


def test_a_system_without_threads_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Chain(2, 1).plan

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(InputError, match=r"cannot start 4 threads \(can't start new thread\); use"):
        Executor(plan, 4)


def burn(stop: threading.Event) -> None:
    """Keep a core busy outside the interpreter."""
    block = np.ones((200, 200))
    while not stop.is_set():
        np.dot(block, block)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_late_threads_change_nothing(threads: int) -> None:
    """Shares of a thread without a core are taken by others: none is skipped or begun too early."""
    chain = Chain(30, threads)
    stop = threading.Event()
    noise = [threading.Thread(target=burn, args=(stop,)) for _ in range(2)]
    for thread in noise:
        thread.start()
    try:
        for number in range(600):
            chain.executor.run()
            if number % 200 == 100:
                time.sleep(0.01)  # long enough for the crew to fall asleep
    finally:
        stop.set()
        for thread in noise:
            thread.join()
    chain.executor.close()
    assert chain.actual() == chain.expected(600), f"{threads} threads on busy cores"
