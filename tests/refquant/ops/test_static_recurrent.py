"""GRU and LSTM of codes, bit for bit as the text says: integers by Python, floats one by one."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.qparams import QParams
from refquant.ops.static_recurrent import gru_quantized, lstm_quantized
from tests.refquant.ops.single import f, rough, sigmoid, tanh

ORT = preset("ort")
Row = list[float]
Case = dict[str, Any]


def ruler(scale: float, zero: int, dtype: str = "uint8") -> QParams:
    return QParams(np.float32(scale), np.int32(zero), None, dtype)


def code(v: float, s: float, z: int) -> int:
    """Half to even, of the float32 quotient; exact fractions have no ties of their own."""
    return min(max(round(Fraction(f(v / s))) + z, 0), 255)


def part(q: list[int], ruler: QParams, w: list[list[int]], scale: Row, bias: Row) -> Row:
    s, z = float(ruler.scale), int(ruler.zero_point)
    sums = [sum((c - z) * k for c, k in zip(q, row, strict=True)) for row in w]
    return [f(f(f(a) * f(s * m)) + b) for a, m, b in zip(sums, scale, bias, strict=True)]


def lstm_step(a: Row, of_state: Any, h: Row, c: Row) -> tuple[Row, Row]:
    n, b = len(h), of_state(h, 0, 4)
    g = [f(u + v) for u, v in zip(a, b, strict=True)]
    i, o, k = ([sigmoid(v) for v in g[m * n : (m + 1) * n]] for m in range(3))
    c = [f(f(k[j] * c[j]) + f(i[j] * tanh(g[3 * n + j]))) for j in range(n)]
    return [f(o[j] * tanh(c[j])) for j in range(n)], c


def gru_step(a: Row, of_state: Any, h: Row, after: int) -> Row:
    n = len(h)
    b = of_state(h, 0, 3 if after else 2)
    z, r = ([sigmoid(f(a[m * n + j] + b[m * n + j])) for j in range(n)] for m in range(2))
    if after:
        last = [f(r[j] * b[2 * n + j]) for j in range(n)]
    else:
        last = of_state([f(r[j] * h[j]) for j in range(n)], 2, 3)
    new = [tanh(f(a[2 * n + j] + last[j])) for j in range(n)]
    return [f(f(f(1 - z[j]) * new[j]) + f(z[j] * h[j])) for j in range(n)]


def layer(seed: int, gates: int, *, d: int = 1, size: int = 3, steps: int = 4) -> Case:
    rng = np.random.default_rng(seed)
    scales = [(np.abs(rough(rng, d, gates * size, 1)) / 64 + 2.0**-9).astype(np.float32)] * 2
    zero = np.zeros((d, gates * size, 1), np.int32)
    case: Case = {
        "x": rng.integers(0, 256, (2, steps, 5)).astype(np.uint8),
        "w": rng.integers(-127, 128, (d, gates * size, 5)).astype(np.int8),
        "r": rng.integers(-127, 128, (d, gates * size, size)).astype(np.int8),
        "bias": rough(rng, d, 2 * gates * size),
        "initial_h": rng.uniform(-1, 1, (2, d, size)).astype(np.float32),
        "x_qparams": ruler(0.013, 101), "y_qparams": ruler(0.0061, 140),
        "w_qparams": QParams(scales[0], zero, (1, 1, 5), "int8"),
        "r_qparams": QParams(scales[1], zero, (1, 1, size), "int8"),
        "hidden_size": size, "contract": ORT,
    }  # fmt: skip
    if gates == 4:
        case["initial_c"] = rough(rng, 2, d, size)
    return case


def by_hand(case: Case, n: int, i: int, *, reverse: bool, after: int = 0) -> list[Any]:
    """Return the codes of every step and the last states, of sample ``n``, direction ``i``."""
    size, rows = case["hidden_size"], case["r"].shape[1]
    y, bias = case["y_qparams"], case["bias"][i].tolist()
    s, z = float(y.scale), int(y.zero_point)
    w_scale, r_scale = (case[k].scale[i].ravel().tolist() for k in ("w_qparams", "r_qparams"))

    def of_state(h: Row, first: int, last: int) -> Row:
        own = slice(first * size, last * size)
        q = [code(v, s, z) for v in h]
        return part(q, y, case["r"][i].tolist()[own], r_scale[own], bias[rows:][own])

    h, codes = case["initial_h"][n, i].tolist(), {}
    c = case["initial_c"][n, i].tolist() if "initial_c" in case else []
    steps = case["x"].shape[1]
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        row = case["x"][n, t].tolist()
        a = part(row, case["x_qparams"], case["w"][i].tolist(), w_scale, bias[:rows])
        if c:
            h, c = lstm_step(a, of_state, h, c)
        else:
            h = gru_step(a, of_state, h, after)
        codes[t] = [code(v, s, z) for v in h]
    return [[codes[t] for t in range(steps)], h, *([c] if c else [])]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", ["lstm", "gru", "gru after"])
def test_the_bits_are_those_of_the_text(op: str, direction: str) -> None:
    d = 2 if direction == "bidirectional" else 1
    case = layer(len(op), 4 if op == "lstm" else 3, d=d)
    after = {"linear_before_reset": 1} if op == "gru after" else {}
    function: Any = lstm_quantized if op == "lstm" else gru_quantized
    got = function(**case, direction=direction, **after)
    assert got[0].dtype == np.uint8, "codes of the output's dtype"
    for n in range(2):
        for i in range(d):
            backward = direction == "reverse" or i == 1
            want = by_hand(case, n, i, reverse=backward, after=len(after))
            assert got[0][n, :, i].tolist() == want[0], f"{op} {direction}: sample {n}, {i}"
            for mine, value in zip(got[1:], want[1:], strict=True):
                assert mine[n, i].tolist() == value, f"{op} {direction}: state of {n}, {i}"


@pytest.mark.parametrize("gates", [3, 4])
def test_a_sequence_in_pieces_has_the_bits_of_the_whole(gates: int) -> None:
    case = layer(7, gates, steps=6)
    function: Any = lstm_quantized if gates == 4 else gru_quantized
    whole, codes = function(**case), []
    for piece in np.split(case["x"], [1, 3], axis=1):
        y, *states = function(**{**case, "x": piece})
        codes.append(y)
        case |= dict(zip(("initial_h", "initial_c"), states, strict=False))
    assert np.array_equal(np.concatenate(codes, axis=1), whole[0]), "codes of every step"
    for mine, value in zip(states, whole[1:], strict=True):
        assert np.array_equal(mine, value), "what remains"


@pytest.mark.parametrize("gates", [3, 4])
def test_no_step_leaves_the_states_as_they_were(gates: int) -> None:
    case = layer(1, gates, steps=0)
    y, *states = (lstm_quantized if gates == 4 else gru_quantized)(**case)
    assert y.shape == (2, 0, 1, 3), "no step"
    for name, state in zip(("initial_h", "initial_c"), states, strict=False):
        assert np.array_equal(state, case[name]), f"{name} is handed on"


def identity(gates: int, **given: Any) -> Case:
    """One element; W and R are the codes of each gate, all scales 1."""
    one = ruler(1, 0, "int8")
    case: Case = {"x": np.zeros((1, 1, 1), np.int8), "w": np.zeros((1, gates, 1), np.int8),
                  "r": np.zeros((1, gates, 1), np.int8), "x_qparams": one, "w_qparams": one,
                  "r_qparams": one, "y_qparams": one, "hidden_size": 1,
                  "contract": ORT}  # fmt: skip
    return case | given


@pytest.mark.parametrize(
    ("contract", "half", "whole"),
    [("ort", 0, 2), ("tflite_reference", 1, 2)],  # 0.5 and 1.5 steps of 1: half to even, away
)
def test_a_tie_of_the_state_is_the_contracts(contract: str, half: int, whole: int) -> None:
    for h, want in ((0.5, half), (1.5, whole), (-0.5, -half)):
        given = identity(3, initial_h=np.full((1, 1, 1), h, np.float32), contract=preset(contract))
        given["r"] = np.array([[[0], [0], [1]]], np.int8)  # the new gate reads r * h
        given |= {"linear_before_reset": 1}
        y, last = gru_quantized(**given)
        n = tanh(f(0.5 * want))  # the reset gate is one half
        assert float(last[0, 0, 0]) == f(f(0.5 * n) + f(0.5 * h)), f"{contract}, h = {h}"
        assert y.tolist()[0][0][0][0] == code_of(float(last[0, 0, 0]), contract), "and the output's"


def code_of(v: float, contract: str) -> int:
    away = int(Fraction(abs(v)) + Fraction(1, 2)) * (1 if v >= 0 else -1)
    return away if contract == "tflite_reference" else round(Fraction(v))


def test_saturated_gates_are_their_limits() -> None:
    """Gates far beyond where Sigmoid and Tanh end: i = f = o = 1, and the cell counts."""
    case = identity(4, x=np.full((1, 3, 1), 127, np.int8), y_qparams=ruler(2.0**-7, 0, "int8"))
    case["w"] = np.full((1, 4, 1), 127, np.int8)
    y, h, c = lstm_quantized(**case)
    assert c.tolist() == [[[3.0]]], "one more at each of three steps"
    assert y[0, :, 0, 0].tolist() == [97, 123, 127], "tanh of 1, 2, 3, in 1/128: the last saturates"
    assert float(h[0, 0, 0]) == tanh(3.0), "what is kept does not"
    case["w"] = np.array([[[-127], [127], [-127], [127]]], np.int8)
    c = lstm_quantized(**case, initial_c=np.full((1, 1, 1), 5, np.float32))[2]
    assert 0 <= float(c[0, 0, 0]) < 1e-30, "gates closed: everything is forgotten"


def test_the_state_of_a_gru_moves_by_less_than_a_code() -> None:
    """z = 15/16, h begins 0.4 of a code from where it goes: 64 steps bring it there."""
    bias = np.array([[[2.7]], [[0]], [[0]], [[0]], [[0]], [[0]]], np.float32).reshape(1, 6)
    given = identity(3, bias=bias, initial_h=np.full((1, 1, 1), 0.4, np.float32))
    given["x"] = np.zeros((1, 64, 1), np.int8)
    h = gru_quantized(**given)[1]
    assert 0 < float(h[0, 0, 0]) < 0.01, "a state of codes would stay where it is, or jump"


def nan_of(**changes: Any) -> Contract:
    return replace(ORT, **changes)


@pytest.mark.parametrize(("policy", "at"), [("qmin", -128), ("qmax", 127), ("zero_point", 7)])
def test_nan_of_a_state_is_the_contracts_code(policy: str, at: int) -> None:
    state = np.full((1, 1, 1), np.nan, np.float32)
    given = identity(4, initial_h=state, y_qparams=ruler(1 / 128, 7, "int8"))
    given |= {"contract": nan_of(nan=policy), "r": np.array([[[0], [0], [0], [1]]], np.int8)}
    c = lstm_quantized(**given)[2]
    assert float(c[0, 0, 0]) == f(0.5 * tanh(f(at - 7) / 128)), "an LSTM recovers"
    given = identity(3, initial_h=state, contract=nan_of(nan=policy), y_qparams=ruler(1, 7, "int8"))
    y, last = gru_quantized(**given)
    assert np.isnan(last).all(), "a GRU adds z h: it stays"
    assert y.tolist() == [[[[at]]]], "and its code is the contract's"


def test_nan_is_an_error_where_the_contract_says_so() -> None:
    given = identity(4, initial_h=np.full((1, 1, 1), np.nan, np.float32))
    with pytest.raises(ValueError, match="must not hold NaN"):
        lstm_quantized(**given | {"contract": nan_of(nan="error")})
    c = lstm_quantized(**identity(4, initial_c=np.full((1, 1, 1), np.inf, np.float32)))
    assert (float(c[2][0, 0, 0]), c[0].item()) == (np.inf, 0), "tanh of infinity is 1: h is half"


def test_sums_at_the_ends_of_the_codes_are_exact() -> None:
    """4,000 products of 255 and -128: beyond 2^24, where a float32 sum would round each."""
    k = 4000
    case = identity(4, x=np.full((1, 1, k), 255, np.uint8), x_qparams=ruler(2.0**-20, 0))
    case["w"] = np.full((1, 4, k), -128, np.int8)
    case["w"][0, 3, 0] = -127
    scaled = f(f(-128 * 255 * k + 255) * 2.0**-20)
    c = lstm_quantized(**case)[2]
    gate = sigmoid(f(f(-128 * 255 * k) * 2.0**-20))
    assert float(c[0, 0, 0]) == f(f(gate * 0) + f(gate * tanh(scaled))), "one rounding of each sum"


def test_refusals_name_the_rule() -> None:
    case = layer(0, 4)
    for name, value, message in (
        ("x", case["x"].astype(np.int32), "LSTM: x must be int8 or uint8 codes, got int32"),
        ("w", case["w"][:, 1:], r"LSTM: w must have shape \(1, 12, 5\)"),
        ("bias", case["bias"][:, 1:], r"LSTM: bias must have shape \(1, 24\)"),
        ("initial_h", case["initial_h"].astype(np.float64), "must be float32"),
        ("w_qparams", ruler(1, 3, "int8"), "weights have zero point 0"),
        ("hidden_size", 0, "hidden_size must be >= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            lstm_quantized(**{**case, name: value})
    with pytest.raises(ValueError, match="linear_before_reset must be 0 or 1, got 2"):
        gru_quantized(**layer(0, 3), linear_before_reset=2)
