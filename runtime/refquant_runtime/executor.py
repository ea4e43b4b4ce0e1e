"""One jitted call runs a whole plan, on one thread or on several that meet at a barrier.

The caller is thread 0. The others are Python threads parked in machine code, without the GIL:
they watch a counter for the next run, spin for a bounded time, then sleep until they are woken.
Between two steps all threads meet: each adds one to an atomic counter and spins until everybody
has; after a bounded spin it gives its core away at every turn, so a busy machine makes progress.

``control`` (int64, one cache line apart): arrivals at the barrier, the run's number, the number of
arrivals before this run, the first and the last step to run, and a wish to stop.
"""

import os
import platform
import threading
import weakref
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from refquant_runtime.errors import InputError
from refquant_runtime.kernels.abi import call_kernel
from refquant_runtime.kernels.cache import cached_njit, unless_damaged
from refquant_runtime.kernels.pointers import aligned_empty, offset, pointer
from refquant_runtime.plan import Plan

__all__ = ["Executor"]

ARRIVED, RUN, BASE, BEGIN, END, STOP = (8 * i for i in range(6))
SPIN_BARRIER = 1 << 12  # turns before a waiting thread yields: about 0.2 ms
SPIN_IDLE = 1 << 14  # turns before an idle thread sleeps: about 1 ms
_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
_HAS_YIELD = binding.address_of_symbol("sched_yield") is not None
_WORD = ir.IntType(64)


@intrinsic
def atomic_add(context: Any, place: Any, value: Any) -> Any:
    """Add to ``*place`` and publish everything written before; return the old value."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", args[0], args[1], "acq_rel")

    return types.int64(types.CPointer(types.int64), types.int64), codegen


@intrinsic
def atomic_load(context: Any, place: Any) -> Any:
    """Read ``*place`` and see everything published before it was written."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(args[0], "acquire", 8)

    return types.int64(types.CPointer(types.int64)), codegen


@intrinsic
def relax(context: Any) -> Any:
    """Tell the core that this is a waiting loop."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        void = ir.VoidType()
        if _X86:
            pause = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(void, []), "llvm.x86.sse2.pause"
            )
            builder.call(pause, [])
        return ctx.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(context: Any) -> Any:
    """Let another thread have the core."""

    def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
        if _HAS_YIELD:
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
            )
            builder.call(function, [])
        return ctx.get_dummy_value()

    return types.void(), codegen


@njit(nogil=True)
def run_steps(codes: Any, params: Any, arena: Any, consts: Any, control: Any, begin: int,
              end: int, base: int, tid: int, nthreads: int) -> None:  # fmt: skip
    """Run the steps ``begin`` to ``end`` as thread ``tid``, meeting the others after each."""
    width = params.shape[1]
    table, memory, weights = pointer(params), pointer(arena), pointer(consts)
    arrived = pointer(control)
    goal = base
    for step in range(begin, end):
        call_kernel(codes[step], memory, weights, offset(table, step * width), tid, nthreads)
        if nthreads > 1:
            goal += nthreads
            atomic_add(arrived, 1)
            turns = 0
            while atomic_load(arrived) < goal:
                relax()
                turns += 1
                if turns > SPIN_BARRIER:
                    give_way()


@cached_njit
def lead(codes: Any, params: Any, arena: Any, consts: Any, control: Any, begin: int, end: int,
         base: int, nthreads: int) -> None:  # fmt: skip
    """Take part in a run as thread 0; on return every thread has finished it."""
    run_steps(codes, params, arena, consts, control, begin, end, base, 0, nthreads)


@cached_njit
def announce(control: Any, begin: int, end: int) -> int:
    """Publish a run to the other threads and return the barrier's count before it."""
    base: int = control[ARRIVED]  # everybody is idle: nobody writes
    control[BASE] = base
    control[BEGIN] = begin
    control[END] = end
    atomic_add(offset(pointer(control), RUN), 1)
    return base


@cached_njit
def follow(codes: Any, params: Any, arena: Any, consts: Any, control: Any, tid: int,
           nthreads: int, seen: int) -> int:  # fmt: skip
    """Take part in every run after number ``seen``; return the last number when idle too long."""
    place = pointer(control)
    turns = 0
    while turns < SPIN_IDLE and atomic_load(offset(place, STOP)) == 0:
        number = atomic_load(offset(place, RUN))
        if number == seen:
            relax()
            turns += 1
            continue
        seen = number
        turns = 0
        run_steps(codes, params, arena, consts, control, control[BEGIN], control[END],
                  control[BASE], tid, nthreads)  # fmt: skip
    return seen


class _Crew:
    """The parked threads of one plan. Knows nothing of the session, so that it can be collected."""

    def __init__(self, plan: Plan, nthreads: int) -> None:
        self.plan, self.nthreads, self.process = plan, nthreads, os.getpid()
        self.control = aligned_empty(64 * 8).view(np.int64)
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
                return  # no step, no barrier: the others could miss such a run
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
