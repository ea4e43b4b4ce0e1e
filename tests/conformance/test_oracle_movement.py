"""Movement by hand, and against NumPy's own words for it."""

from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_conformance.oracle_movement import largest_exact, requantized_exact, source_exact

X = np.arange(24).reshape(2, 3, 4)
MOVES: dict[str, tuple[dict[str, tuple[int, ...]], NDArray[np.int64]]] = {
    "reshape": ({"shape": (4, 3, 2)}, X.reshape(4, 3, 2)),
    "transpose": ({"perm": (2, 0, 1)}, X.transpose(2, 0, 1)),
    "slice": ({"starts": (1, 0, 1), "ends": (2, 2, 9)}, X[1:, :2, 1:]),
    "gather": ({"axis": (1,), "indices": (2, 2, 0)}, X[:, [2, 2, 0]]),
    "pad": ({"pads": (0, 1, 2, 1, 0, 0)}, np.pad(X, ((0, 1), (1, 0), (2, 0)), constant_values=-1)),
    "concat": ({"axis": (2,)}, np.concatenate([X, X], axis=2)),
}


@pytest.mark.parametrize("kind", MOVES)
def test_every_element_comes_from_where_numpy_takes_it(kind: str) -> None:
    params, wanted = MOVES[kind]
    seen = [source_exact(kind, params, X.shape, at) for at in range(prod(wanted.shape))]
    assert seen == wanted.reshape(-1).tolist(), f"{kind}: {seen}"


def test_an_unknown_movement_is_refused() -> None:
    with pytest.raises(ValueError, match="codes move by no 'turn'"):
        source_exact("turn", {}, (1,), 0)


def test_padding_wins_or_is_nothing() -> None:
    assert largest_exact([None, -3, -8], None) == -3, "padding is no element"
    assert largest_exact([None, -3, -8], 0) == 0, "padding is a code"


@pytest.mark.parametrize(
    ("how", "wanted"),
    [("quotient", 12), ("quotient_half_away", 13), ("quotient_zero_point_first", 12),
     ("reciprocal", 12), ("reciprocal_half_away", 13), ("reciprocal_zero_point_first", 12),
     ("ratio_half_away", 13)],
)  # fmt: skip
def test_a_tie_by_hand(how: str, wanted: int) -> None:
    """Code 5 is 2.5 steps of the output, whose zero point is 10."""
    seen = requantized_exact(5, (1.0, 0), (2.0, 10), how=how, limits=(0, 255))
    assert seen == wanted, f"{how}: {seen}"


def test_codes_stop_at_the_ends() -> None:
    assert requantized_exact(255, (1.0, 0), (0.5, 0), how="quotient", limits=(0, 255)) == 255, "top"
    assert requantized_exact(0, (1.0, 9), (0.5, 0), how="quotient", limits=(0, 255)) == 0, "bottom"
