"""The state's products, gate by gate; whole layers: test_sequence_equivalence.py."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant_runtime.kernels.pointers import aligned_empty, pointer
from refquant_runtime.kernels.recurrent import RECURRENT, begin_state


@njit
def begin(arena: Any, row: Any, place: int, given: int, direction: int, out: Any) -> None:
    begin_state(pointer(arena), pointer(row), place, given, direction, pointer(out))


@pytest.mark.parametrize("direction", [0, 1])
def test_a_first_state_is_the_directions_own_or_zeros(direction: int) -> None:
    arena = aligned_empty(256)
    states = np.arange(8, dtype=np.float32)
    arena[64:96] = states.view(np.uint8)
    row = np.zeros(len(RECURRENT), np.int64)
    row[RECURRENT.index("hidden")], row[RECURRENT.index("first_h")] = 4, 64
    out = np.full(4, 9, np.float32)
    begin(arena, row, RECURRENT.index("first_h"), 1, direction, out)
    assert out.tolist() == states[4 * direction : 4 * direction + 4].tolist(), "of its direction"
    begin(arena, row, RECURRENT.index("first_h"), 0, direction, out)
    assert out.tolist() == [0.0] * 4, "none given"
