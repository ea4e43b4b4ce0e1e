r"""What GRU and LSTM share: directions, steps, and products of gates.

A recurrent layer walks a sequence and carries a state h. At each step, for each gate g of its G,

.. math::

    a_g = f_{32}(x_t W_g^\top + b^W_g), \qquad b_g = f_{32}(h_{t-1} R_g^\top + b^R_g)  \tag{1}

the dot products ascending; without a bias nothing is added. What the gates then do is the cell's
business. In reverse the sequence is walked from its end, and every output stands at the place of
its input; ``bidirectional`` does both, direction 0 forward, direction 1 in reverse::

    X (N, T, I)   W (D, G H, I)   R (D, G H, H)   B (D, 2 G H): the biases of W, then of R
    initial state (N, D, H)   Y (N, T, D, H)   Y_h (N, D, H): the state after the last step

This is ONNX's ``layout`` 1, samples first.

Left out: ``layout`` 0, ``sequence_lens``, other activations, ``clip``, ``input_forget``.

References
----------
ONNX ``GRU``, ``LSTM`` (22); ``docs/spec/operators.md`` section 7.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.dot import matmul_f32
from refquant.ops.rescale import need_float32

__all__ = ["DIRECTIONS", "Cell", "FloatGates", "Gates", "check_recurrent", "walk"]

Float = NDArray[np.float32]
States = tuple[Float, ...]

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""Of each direction: does it walk in reverse?"""


class Gates(Protocol):
    """One direction's weights, and how they are multiplied: a, b of eq. (1)."""

    @property
    def hidden(self) -> int:
        """Return H, the size of the state."""

    def of_input(self, x: NDArray[Any]) -> Float:
        """Return a of eq. (1), all gates side by side (N, G H), for ``x`` (N, I)."""

    def of_state(self, h: Float, first: int, last: int) -> Float:
        """Return b of eq. (1) for the gates ``first`` to ``last - 1``, from ``h`` (N, H)."""


@dataclass(frozen=True, slots=True, eq=False)
class FloatGates:
    """Float32 weights: ``w`` (G H, I), ``r`` (G H, H), ``bias`` (2 G H) or None."""

    w: Float
    r: Float
    bias: Float | None
    sums: str

    @property
    def hidden(self) -> int:
        """Return H, the size of the state."""
        return int(self.r.shape[1])

    def of_input(self, x: Float) -> Float:
        """Return a of eq. (1), all gates side by side, for ``x`` (N, I)."""
        return _plus(matmul_f32(x, self.w.T, sums=self.sums), self.bias, 0, len(self.w))

    def of_state(self, h: Float, first: int, last: int) -> Float:
        """Return b of eq. (1) for the gates ``first`` to ``last - 1``, from ``h`` (N, H)."""
        rows = slice(first * self.hidden, last * self.hidden)
        product = matmul_f32(h, self.r[rows].T, sums=self.sums)
        return _plus(product, self.bias, len(self.r) + rows.start, len(self.r) + rows.stop)


def _plus(product: Float, bias: Float | None, start: int, stop: int) -> Float:
    return product if bias is None else product + bias[start:stop]


Cell = Callable[[Gates, Float, States], States]


def walk(
    x: NDArray[Any], gates: Sequence[Gates], states: Sequence[States], direction: str, cell: Cell
) -> tuple[Float, ...]:
    """Return Y and the last of each state: eq. (1) at every step, by ``cell``.

    ``cell`` takes the gates, the input's products (N, G H) and the states, each (N, H), and returns
    the states after the step, the output first.

    >>> one = np.ones((1, 1), np.float32)
    >>> weights = FloatGates(one, one, None, "ordered")
    >>> def add(gates, a, states):
    ...     return (a + gates.of_state(states[0], 0, 1),)
    >>> x, zero = np.array([[[1], [2]]], np.float32), np.zeros((1, 1), np.float32)
    >>> walk(x, [weights], [(zero,)], "forward", add)[0].tolist()
    [[[[1.0]], [[3.0]]]]
    """
    n, steps, width = x.shape
    hidden = gates[0].hidden
    y = np.zeros((n, steps, len(gates), hidden), np.float32)
    last = []
    for d, reverse in enumerate(DIRECTIONS[direction]):
        products = gates[d].of_input(x.reshape(n * steps, width))
        products = products.reshape(n, steps, products.shape[-1])
        state = states[d]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for t in reversed(range(steps)) if reverse else range(steps):
                state = cell(gates[d], products[:, t], state)
                y[:, t, d] = state[0]
        last.append(state)
    return (y, *(np.stack(parts, axis=1) for parts in zip(*last, strict=True)))


def check_recurrent(
    op: str, count: int, operands: dict[str, Float | None], *, direction: str, hidden_size: int
) -> None:
    """Refuse operands (x, w, r, bias and states, by name) that do not fit ``count`` gates.

    >>> check_recurrent("GRU", 3, {"x": np.zeros((1, 2, 3), np.float32)}, direction="forward",
    ...                 hidden_size=0)
    Traceback (most recent call last):
    ...
    ValueError: GRU: attribute hidden_size must be >= 1, got 0
    """
    if direction not in DIRECTIONS:
        raise ValueError(
            f"{op}: attribute direction must be one of {', '.join(DIRECTIONS)}; got {direction!r}"
        )
    if hidden_size < 1:
        raise ValueError(f"{op}: attribute hidden_size must be >= 1, got {hidden_size}")
    given = {name: array for name, array in operands.items() if array is not None}
    need_float32(op, **given)
    x, d, rows = given["x"], len(DIRECTIONS[direction]), count * hidden_size
    if x.ndim != 3:
        raise ValueError(f"{op}: x must be (N, T, I), got {x.shape}")
    shapes = {"x": x.shape, "w": (d, rows, x.shape[2]), "r": (d, rows, hidden_size)}
    shapes |= {"bias": (d, 2 * rows)}
    for name, array in given.items():
        expected = shapes.get(name, (x.shape[0], d, hidden_size))
        if array.shape != expected:
            raise ValueError(f"{op}: {name} must have shape {expected}, got {array.shape}")
