r"""LSTM and GRU in float32, forward, with a state at both ends.

Every sum is ascending and every operation rounded (``docs/spec/operators.md`` section 7); the axis
``function`` says how the logistic function and the hyperbolic tangent are evaluated: ``stepwise``,
as that text has them, or ``rounded_once``, the float32 nearest to the truth.

References
----------
ONNX LSTM-22, GRU-22; ``docs/spec/operators.md`` sections 1 and 7.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from refquant.numerics import elementary
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Outputs
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_recurrent import gru_exact, lstm_exact
from refquant_conformance.protocol import Case, Param

__all__ = ["GRU", "LSTM", "recurrent_case"]

Float = NDArray[np.float32]
_GATES = {"lstm": 4, "gru": 3}
_ONE = np.float32(1)


def recurrent_case(
    op: str, sizes: tuple[int, int, int, int], seed: int, *, bias: bool = True, late: int = 0
) -> Case:
    """Return the case of random weights and states; ``sizes`` are N, T, I, H.

    >>> recurrent_case("gru", (1, 2, 3, 4), 0).inputs["w"].shape
    (12, 3)
    """
    count, steps, inputs, units = sizes
    random, rows = np.random.default_rng(seed), _GATES[op] * units
    given = {
        "x": random.normal(size=(count, steps, inputs)),
        "w": random.normal(size=(rows, inputs)),
        "r": random.normal(size=(rows, units)),
        "bias": random.normal(size=2 * rows),
        "h": random.uniform(-1, 1, (count, units)),
    }
    if not bias:
        del given["bias"]
    params: dict[str, Param] = {}
    if op == "lstm":
        given["c"] = random.normal(size=(count, units))
    else:
        params["linear_before_reset"] = late
    arrays = {name: array.astype(np.float32) for name, array in given.items()}
    return Case(op, "f32", arrays, params, types=types_of(op, "f32"))


def _functions(how: str) -> tuple[Callable[[Float], Float], Callable[[Float], Float]]:
    if how == "stepwise":
        return elementary.sigmoid, elementary.tanh

    def sigmoid(x: Float) -> Float:
        return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))), np.float32)

    def tanh(x: Float) -> Float:
        return np.asarray(np.tanh(x.astype(np.float64)), np.float32)

    return sigmoid, tanh


def _dot(a: Float, w: Float, bias: Float | None) -> Float:
    """Return a w^T + bias, ascending."""
    total = np.zeros((len(a), len(w)), np.float32)
    for k in range(a.shape[1]):
        total = total + a[:, k, None] * w[:, k]
    return total if bias is None else total + bias


def _compute(case: Case, axes: Axes) -> Outputs:
    sigmoid, tanh = _functions(str(axes["function"]))
    x, w, r, h = (case.inputs[name] for name in ("x", "w", "r", "h"))
    bias, size = case.inputs.get("bias"), case.inputs["h"].shape[1]
    own, other = (None, None) if bias is None else (bias[: len(w)], bias[len(w) :])
    c = case.inputs.get("c", h)
    ys = np.zeros((*x.shape[:2], size), np.float32)
    for t in range(x.shape[1]):
        a = _dot(x[:, t], w, own)
        b = _dot(h, r, other)
        if case.op == "lstm":
            i, o, f = (sigmoid((a + b)[:, k * size : (k + 1) * size]) for k in range(3))
            c = f * c + i * tanh((a + b)[:, 3 * size :])
            h = o * tanh(c)
        else:
            z, reset = (sigmoid((a + b)[:, k * size : (k + 1) * size]) for k in range(2))
            if case.params["linear_before_reset"]:
                inner = reset * b[:, 2 * size :]
            else:
                last = None if other is None else other[2 * size :]
                inner = _dot(reset * h, r[2 * size :], last)
            n = tanh(a[:, 2 * size :] + inner)
            h = (_ONE - z) * n + z * h
        ys[:, t] = h
    made = {"y": ys, "y_h": np.array(h, np.float32)}
    return {**made, "y_c": np.array(c, np.float32)} if case.op == "lstm" else made


def _exact(case: Case, axes: Axes, output: str, index: int) -> float:
    steps = case.inputs["x"].shape[1]
    units = case.inputs["h"].shape[1]
    sample, rest = divmod(index, steps * units if output == "y" else units)
    lists = {name: array.tolist() for name, array in case.inputs.items()}
    given = lists["x"][sample], lists["w"], lists["r"], lists.get("bias"), lists["h"][sample]
    how = str(axes["function"])
    last = lists["h"][sample]
    if case.op == "lstm":
        ys, last_c = lstm_exact(*given, lists["c"][sample], function=how)
        if output == "y_c":
            return float(last_c[rest])
    else:
        ys = gru_exact(*given, function=how, late=bool(case.params["linear_before_reset"]))
    if output == "y":
        return float(ys[rest // units][rest % units])
    return float((ys[-1] if ys else last)[rest])


def _whole(case: Case, index: int) -> Case:
    return case  # an output needs all inputs before it


def _probes(op: str) -> Sequence[Case]:
    """Return short sequences, with a bias and without, both ways to reset."""
    sizes = ((1, 1, 3, 2), (2, 2, 2, 3), (2, 3, 4, 2), (1, 4, 1, 2), (3, 1, 5, 4))
    return [
        recurrent_case(op, one, 11 * k, bias=k % 3 != 2, late=k % 2) for k, one in enumerate(sizes)
    ]


def _of(op: str) -> Arithmetic:
    return Arithmetic(
        op=op,
        schemes=("f32",),
        axes=MappingProxyType({"function": ("stepwise", "rounded_once")}),
        spec=MappingProxyType({"function": None}),
        clause=f"ONNX {op.upper()}-22, Equations (Default: f=Sigmoid, g=Tanh); in which order, and "
        "how functions are evaluated, is not said",
        compute=_compute,
        exact=_exact,
        probes=lambda scheme: _probes(op),
        element=_whole,
    )


LSTM, GRU = _of("lstm"), _of("gru")
