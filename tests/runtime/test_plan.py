"""The plan: buffers that live together never overlap, others share; constants stand once."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.kernels.move import FILL, fill
from refquant_runtime.plan import ALIGNMENT, SLACK, At, Buffer, Constants, Step, finish

SIZES = st.sampled_from([0, 1, 63, 64, 65, 1000])


def step(reads: list[Buffer], writes: list[Buffer], **params: int | Buffer | At) -> Step:
    return Step(fill, FILL, params, reads, writes, "n", "Fill")


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Step], list[Buffer], list[Buffer]]:
    """Steps that read buffers written before, of random sizes; some buffers are pinned."""
    buffers = [
        Buffer(draw(SIZES), f"b{i}", pinned=draw(st.sampled_from([False, False, True])))
        for i in range(draw(st.integers(1, 12)))
    ]
    steps = []
    for i, target in enumerate(buffers):
        reads = draw(st.lists(st.sampled_from(buffers[: i + 1]), max_size=3))
        steps.append(step(reads, [target]))
    unused = Buffer(draw(SIZES), "unused", pinned=True)
    return steps, buffers, [unused]


def lives(steps: list[Step], buffer: Buffer) -> set[int]:
    if buffer.pinned:
        return set(range(-1, len(steps) + 1))
    used = [i for i, s in enumerate(steps) if buffer in (*s.reads, *s.writes)]
    return set(range(min(used), max(used) + 1))


@given(programs())
def test_buffers_that_live_together_never_overlap(
    program: tuple[list[Step], list[Buffer], list[Buffer]],
) -> None:
    steps, buffers, keep = program
    plan = finish(steps, Constants(), keep)
    assert plan.arena.ctypes.data % ALIGNMENT == 0, "the arena is aligned"
    everything = [*buffers, *keep]
    for a in everything:
        assert a.offset % ALIGNMENT == 0, f"{a.label} is aligned"
        assert a.offset >= 0, f"{a.label} has a place"
        assert a.offset + a.nbytes + SLACK <= plan.arena.size, f"{a.label} and its slack fit"
        for b in everything:
            if a is b or not lives(steps, a) & lives(steps, b):
                continue
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            assert apart, f"{a.label} and {b.label} live together and overlap"


def test_a_chain_of_layers_needs_two_buffers() -> None:
    chain = [Buffer(1000, f"b{i}") for i in range(20)]
    steps = [step([x], [y]) for x, y in pairwise(chain)]
    plan = finish(steps, Constants(), [])
    place = -(-(1000 + SLACK) // ALIGNMENT) * ALIGNMENT
    assert plan.arena.size == 2 * place + SLACK, "memory is used again"
    assert len({buffer.offset for buffer in chain}) == 2, "two places, in turns"


def test_equal_constants_stand_once_and_aligned() -> None:
    constants = Constants()
    arrays: list[Any] = [np.arange(5, dtype=np.int32), np.arange(70, dtype=np.float32),
                         np.zeros(0, np.int8), np.arange(5, dtype=np.int32)]  # fmt: skip
    places = [constants.add(array) for array in arrays]
    assert places[0] == places[3], "the same bytes, the same place"
    assert len(set(places)) == 3, "others have their own"
    block = constants.block()
    assert block.ctypes.data % ALIGNMENT == 0, "aligned"
    for array, place in zip(arrays, places, strict=True):
        assert place % ALIGNMENT == 0, "each of them"
        assert block[place : place + array.nbytes].tobytes() == array.tobytes(), "what was stored"
    assert block.size >= constants.size, "whole"


def test_a_row_holds_numbers_offsets_and_places_inside() -> None:
    first, second = (
        Buffer(100, "a", data=np.arange(25, dtype=np.float32), pinned=True),
        Buffer(10, "b"),
    )
    plan = finish([step([first], [second], y=second, n=7, value=At(first, 12))], Constants(), [])
    row = dict(zip(FILL, plan.params[0].tolist(), strict=True))
    expected = {"y": second.offset, "n": 7, "element": 0, "value": first.offset + 12}
    assert row == expected, "absent fields are 0"
    there = plan.arena[first.offset : first.offset + 100].view(np.float32)
    assert there.tolist() == list(range(25)), "data is there before the first run"
    assert plan.codes.tolist() != [0], "the kernel has an address"


def test_a_plan_without_steps_is_a_plan() -> None:
    kept = Buffer(8, "x", pinned=True)
    plan = finish([], Constants(), [kept])
    assert (len(plan.codes), kept.offset) == (0, 0), "nothing to run, but memory"


def test_more_memory_than_offsets_reach_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="bytes of memory, more than"):
        finish([step([], [Buffer(2**31, "b")])], Constants(), [])
