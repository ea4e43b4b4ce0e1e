r"""The exact oracle of LSTM and GRU: one sequence, one rounding to float32 at a time.

References
----------
ONNX, LSTM and GRU; ``docs/spec/operators.md`` section 7.
"""

from collections.abc import Sequence

from refquant_conformance.oracle_functions import FUNCTIONS
from refquant_conformance.rational import add, multiply

__all__ = ["gru_exact", "lstm_exact"]

Row = Sequence[float]
Matrix = Sequence[Row]


def _dot(a: Row, b: Row, bias: float | None) -> float:
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total = add(total, multiply(x, y))
    return total if bias is None else add(total, bias)


class _Gates:
    """Products of one layer: of gate g and unit k with the input, and with a state."""

    def __init__(self, w: Matrix, r: Matrix, bias: Row | None) -> None:
        self.w, self.r, self.bias, self.units = w, r, bias, len(r[0])

    def of_input(self, x: Row, gate: int, unit: int) -> float:
        row = gate * self.units + unit
        return _dot(x, self.w[row], None if self.bias is None else self.bias[row])

    def of_state(self, h: Row, gate: int, unit: int) -> float:
        row = gate * self.units + unit
        bias = None if self.bias is None else self.bias[len(self.w) + row]
        return _dot(h, self.r[row], bias)


def lstm_exact(
    xs: Matrix, w: Matrix, r: Matrix, bias: Row | None, h: Row, c: Row, *, function: str
) -> tuple[list[list[float]], list[float]]:
    """Return h after each step, and the last c.

    >>> lstm_exact([[0.0]], [[0.0]] * 4, [[0.0]] * 4, None, [0.0], [2.0], function="stepwise")[1]
    [1.0]
    """
    sigmoid, tanh = (FUNCTIONS[name, function] for name in ("sigmoid", "tanh"))
    gates, ys, h, c = _Gates(w, r, bias), [], list(h), list(c)
    for x in xs:
        new_h, new_c = [], []
        for k in range(gates.units):
            i, o, f, g = (add(gates.of_input(x, n, k), gates.of_state(h, n, k)) for n in range(4))
            cell = add(multiply(sigmoid(f), c[k]), multiply(sigmoid(i), tanh(g)))
            new_c.append(cell)
            new_h.append(multiply(sigmoid(o), tanh(cell)))
        h, c = new_h, new_c
        ys.append(h)
    return ys, c


def gru_exact(
    xs: Matrix, w: Matrix, r: Matrix, bias: Row | None, h: Row, *, function: str, late: bool
) -> list[list[float]]:
    """Return h after each step; ``late``: the reset gate multiplies a product, not the state.

    >>> gru_exact([[0.0]], [[0.0]] * 3, [[0.0]] * 3, None, [2.0], function="stepwise", late=False)
    [[1.0]]
    """
    sigmoid, tanh = (FUNCTIONS[name, function] for name in ("sigmoid", "tanh"))
    gates, ys, h = _Gates(w, r, bias), [], list(h)
    for x in xs:
        units = range(gates.units)
        z, reset = (
            [sigmoid(add(gates.of_input(x, n, k), gates.of_state(h, n, k))) for k in units]
            for n in range(2)
        )
        scaled = [multiply(reset[k], h[k]) for k in units]
        new = []
        for k in units:
            if late:
                inner = multiply(reset[k], gates.of_state(h, 2, k))
            else:
                inner = gates.of_state(scaled, 2, k)
            n = tanh(add(gates.of_input(x, 2, k), inner))
            new.append(add(multiply(add(1.0, -z[k]), n), multiply(z[k], h[k])))
        h = new
        ys.append(h)
    return ys
