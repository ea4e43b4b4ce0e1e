"""What GRU and LSTM share: directions, states, shapes."""

from typing import Any

import numpy as np
import pytest

from refquant.ops.gru import gru
from refquant.ops.lstm import lstm
from refquant.ops.recurrent import DIRECTIONS, check_recurrent
from tests.refquant.ops.single import rough

RNG = np.random.default_rng(0)
LAYERS: dict[str, tuple[Any, int]] = {"GRU": (gru, 3), "LSTM": (lstm, 4)}


def operands(gates: int, d: int, *, n: int = 2, steps: int = 4) -> tuple[Any, ...]:
    return (
        rough(RNG, n, steps, 3),
        rough(RNG, d, gates * 5, 3) / 8,
        rough(RNG, d, gates * 5, 5) / 8,
        rough(RNG, d, 2 * gates * 5) / 8,
        rough(RNG, n, d, 5),
    )


@pytest.mark.parametrize("name", LAYERS)
def test_both_directions_are_one_forward_and_one_backward(name: str) -> None:
    layer, gates = LAYERS[name]
    x, w, r, b, h = operands(gates, 2)
    both = layer(x, w, r, b, h, hidden_size=5, direction="bidirectional")
    one = layer(x, w[:1], r[:1], b[:1], h[:, :1], hidden_size=5)
    two = layer(x, w[1:], r[1:], b[1:], h[:, 1:], hidden_size=5, direction="reverse")
    assert np.array_equal(both[0], np.concatenate([one[0], two[0]], axis=2)), "Y"
    assert np.array_equal(both[1], np.concatenate([one[1], two[1]], axis=1)), "the last states"
    turned = layer(x[:, ::-1], w[1:], r[1:], b[1:], h[:, 1:], hidden_size=5)
    assert np.array_equal(two[0], turned[0][:, ::-1]), "in reverse: the sequence turned, and back"
    assert np.array_equal(one[0][:, -1], one[1]), "forward ends at the last step"
    assert np.array_equal(two[0][:, 0], two[1]), "reverse ends at the first"


@pytest.mark.parametrize("name", LAYERS)
def test_a_sequence_is_two_sequences_with_the_state_between(name: str) -> None:
    layer, gates = LAYERS[name]
    x, w, r, b, h = operands(gates, 1)
    whole = layer(x, w, r, b, h, hidden_size=5)
    first = layer(x[:, :2], w, r, b, h, hidden_size=5)
    second = layer(x[:, 2:], w, r, b, *first[1:], hidden_size=5)
    assert np.array_equal(whole[0][:, 2:], second[0]), "the state is all that is remembered"
    assert all(np.array_equal(a, c) for a, c in zip(whole[1:], second[1:], strict=True)), "states"


@pytest.mark.parametrize("name", LAYERS)
def test_absent_states_and_biases_are_zeros(name: str) -> None:
    layer, gates = LAYERS[name]
    x, w, r, b, h = operands(gates, 1)
    with_zeros = layer(x, w, r, 0 * b, 0 * h, hidden_size=5)
    assert all(
        np.array_equal(a, c) for a, c in zip(with_zeros, layer(x, w, r, hidden_size=5), strict=True)
    ), "absent is zero"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_no_steps_leave_the_state_as_it_is(direction: str) -> None:
    d = len(DIRECTIONS[direction])
    x, w, r, b, h = operands(3, d, steps=0)
    y, last = gru(x, w, r, b, h, hidden_size=5, direction=direction)
    assert y.shape == (2, 0, d, 5), "nothing happened"
    assert np.array_equal(last, h), "so the state is the first one"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "backward"}, "direction must be one of forward, reverse, bidirectional"),
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"hidden_size": 4}, r"w must have shape \(1, 12, 3\), got \(1, 15, 3\)"),
        ({"x": np.zeros((2, 3), np.float32)}, r"x must be \(N, T, I\), got \(2, 3\)"),
        ({"x": np.zeros((2, 3, 3))}, "x must be float32"),
        ({"bias": np.zeros((1, 15), np.float32)}, r"bias must have shape \(1, 30\)"),
        ({"h": np.zeros((2, 1, 4), np.float32)}, r"h must have shape \(2, 1, 5\)"),
    ],
)
def test_operands_that_do_not_fit_are_named(changes: dict[str, Any], message: str) -> None:
    x, w, r, b, h = operands(3, 1)
    given = {"x": x, "w": w, "r": r, "bias": b, "h": h} | changes
    options: dict[str, Any] = {k: given.pop(k) for k in ("direction", "hidden_size") if k in given}
    options = {"direction": "forward", "hidden_size": 5, **options}
    with pytest.raises(ValueError, match=message):
        check_recurrent("GRU", 3, given, **options)
