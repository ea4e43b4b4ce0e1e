"""One jitted call runs a whole plan, on one thread or on several that share every step.

The caller is thread 0. The others are Python threads parked in machine code, without the GIL:
they watch a counter for the next run, spin for a bounded time, then sleep until they are woken.

A step has as many shares as there are threads. Each thread takes its own; whoever is done first
waits a moment, then takes the shares that nobody has begun: a thread whose core is busy elsewhere
holds up the others only if it was interrupted within a share. The step is over when all its shares
are done, and only then does anybody begin the next. Which thread computes a share does not change
a bit of the result.

``control`` (int64, one cache line apart): shares done so far; the run's number, odd while it is
being written; the number of steps before this run, its first and its last step; a wish to stop;
then for each share the number of steps in which it was taken.
"""

import os
import threading
import weakref
from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.atomics import atomic_add, atomic_load, claim, give_way, relax
from refquant_runtime.errors import InputError
from refquant_runtime.kernels.abi import call_kernel
from refquant_runtime.kernels.cache import cached_njit, unless_damaged
from refquant_runtime.kernels.pointers import aligned_empty, offset, pointer
from refquant_runtime.plan import Plan

__all__ = ["Executor"]

DONE, RUN, BASE, BEGIN, END, STOP, TAKEN = (8 * i for i in range(7))
SPIN_GRACE = 1 << 6  # turns before the shares of a late thread are taken: about 2 us
SPIN_STEP = 1 << 12  # turns before a waiting thread yields its core: about 0.2 ms
SPIN_IDLE = 1 << 14  # turns before an idle thread sleeps: about 1 ms


@njit(nogil=True)
def run_steps(codes: Any, params: Any, arena: Any, consts: Any, control: Any, begin: int,
              end: int, base: int, tid: int, nthreads: int) -> None:  # fmt: skip
    """Run the steps ``begin`` to ``end`` as thread ``tid``; ``base``: steps in all runs before."""
    width = params.shape[1]
    table, memory, weights = pointer(params), pointer(arena), pointer(consts)
    if nthreads == 1:
        for step in range(begin, end):
            call_kernel(codes[step], memory, weights, offset(table, step * width), 0, 1)
        return
    done = offset(pointer(control), DONE)
    taken = offset(pointer(control), TAKEN)
    patience = SPIN_GRACE
    for step in range(begin, end):
        number = base + step - begin
        goal = (number + 1) * nthreads
        turns = 0
        shares, late = 1, False  # our own, then everybody's
        while atomic_load(done) < goal:
            if shares > 0:
                for i in range(shares):
                    share = (tid + i) % nthreads
                    place = offset(taken, 8 * share)
                    if atomic_load(place) == number and claim(place, number):
                        late = share != tid
                        row = offset(table, step * width)
                        call_kernel(codes[step], memory, weights, row, share, nthreads)
                        atomic_add(done, 1)
                shares = 0
                continue
            relax()
            turns += 1
            if turns == patience:
                shares = nthreads
            elif turns > SPIN_STEP:
                give_way()
        patience = 1 if late else SPIN_GRACE  # who was late will hardly be back by now


@cached_njit
def lead(codes: Any, params: Any, arena: Any, consts: Any, control: Any, begin: int, end: int,
         base: int, nthreads: int) -> None:  # fmt: skip
    """Take part in a run as thread 0; on return it is finished."""
    run_steps(codes, params, arena, consts, control, begin, end, base, 0, nthreads)


@cached_njit
def announce(control: Any, begin: int, end: int) -> int:
    """Publish a run to the other threads and return the number of steps before it."""
    number = offset(pointer(control), RUN)
    base: int = control[TAKEN]  # the last run is finished: all shares were taken equally often
    atomic_add(number, 1)  # odd: whoever reads now reads again
    control[BASE] = base
    control[BEGIN] = begin
    control[END] = end
    atomic_add(number, 1)
    return base


@cached_njit
def follow(codes: Any, params: Any, arena: Any, consts: Any, control: Any, tid: int,
           nthreads: int, seen: int) -> int:  # fmt: skip
    """Take part in every run after number ``seen``; return the last number when idle too long.

    A run may be over before we see it, or while we take part: its shares are taken, its steps done,
    and we pass through it without a kernel.
    """
    place = pointer(control)
    turns = 0
    while turns < SPIN_IDLE and atomic_load(offset(place, STOP)) == 0:
        number = atomic_load(offset(place, RUN))
        if number == seen or number % 2 == 1:
            relax()
            turns += 1
            continue
        base = atomic_load(offset(place, BASE))
        begin, end = atomic_load(offset(place, BEGIN)), atomic_load(offset(place, END))
        if atomic_load(offset(place, RUN)) != number:
            continue  # the next run was announced meanwhile: these may be parts of both
        seen = number
        turns = 0
        run_steps(codes, params, arena, consts, control, begin, end, base, tid, nthreads)
    return seen


class _Crew:
    """The parked threads of one plan. Knows nothing of the session, so that it can be collected."""

    def __init__(self, plan: Plan, nthreads: int) -> None:
        self.plan, self.nthreads, self.process = plan, nthreads, os.getpid()
        self.control = aligned_empty((TAKEN + 8 * nthreads) * 8).view(np.int64)
        self.control[:] = 0
        self.awake = threading.Condition()
        self.asleep = 0
        self.args = (plan.codes, plan.params, plan.arena, plan.consts, self.control)
        self.threads: list[threading.Thread] = []
        unless_damaged(self.compile)
        self.control[:] = 0
        self.start()

    def compile(self) -> None:
        """Call every function once to no effect: here an error reaches the caller."""
        lead(*self.args, 0, 0, 0, self.nthreads)
        if self.nthreads > 1:
            announce(self.control, 0, 0)
            self.control[STOP] = 1
            follow(*self.args, 1, self.nthreads, 0)

    def start(self) -> None:
        for tid in range(1, self.nthreads):
            name = f"refquant-{tid}"
            thread = threading.Thread(target=self.work, args=(tid,), daemon=True, name=name)
            try:
                thread.start()
            except RuntimeError as error:  # the system's limit
                self.stop()
                problem = f"cannot start {self.nthreads} threads ({error})"
                raise InputError(f"{problem}; use fewer") from error
            self.threads.append(thread)

    def work(self, tid: int) -> None:
        seen = 0
        while not self.control[STOP]:
            seen = follow(*self.args, tid, self.nthreads, seen)
            with self.awake:
                self.asleep += 1
                while self.control[RUN] == seen and not self.control[STOP]:
                    self.awake.wait()
                self.asleep -= 1

    def wake(self) -> None:
        with self.awake:
            self.awake.notify_all()

    def stop(self) -> None:
        self.control[STOP] = 1
        self.wake()
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(timeout=1.0)


class Executor:
    """Runs one plan; calls from several Python threads take turns."""

    def __init__(self, plan: Plan, nthreads: int) -> None:
        self.plan, self.nthreads = plan, nthreads
        self.steps = len(plan.codes)
        self.lock = threading.RLock()
        self.crew = _Crew(plan, nthreads)
        self._finalizer = weakref.finalize(self, self.crew.stop)

    def run(self, begin: int = 0, end: int | None = None) -> None:
        """Run the steps ``begin`` to ``end`` (all by default); returns when they are done."""
        last = self.steps if end is None else end
        with self.lock:
            if not self._finalizer.alive:
                raise InputError("the session is closed: make a new one")
            if self.crew.process != os.getpid():  # after a fork: threads are not inherited
                self._finalizer.detach()
                self.crew = _Crew(self.plan, self.nthreads)
                self._finalizer = weakref.finalize(self, self.crew.stop)
            crew = self.crew
            if begin >= last:
                return
            if self.nthreads == 1:
                lead(*crew.args, begin, last, 0, 1)
                return
            base = announce(crew.control, begin, last)
            # Only now may we ask who sleeps: whoever falls asleep later sees the new run first.
            if crew.asleep:
                crew.wake()
            lead(*crew.args, begin, last, base, self.nthreads)

    def close(self) -> None:
        """Stop the threads, after a run that is under way."""
        with self.lock:
            self._finalizer()
