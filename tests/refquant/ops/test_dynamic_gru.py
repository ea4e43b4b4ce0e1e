"""A GRU of dynamic codes, bit for bit as the text says: integers by Python, floats one by one."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.ops.dynamic_gru import DynamicGates, dynamic_quantize_gru
from tests.refquant.model.exporters.onnx_runs import session
from tests.refquant.ops.single import f, rough, sigmoid, tanh
from tests.refquant.ops.test_dynamic_lstm import Row, dynamic, part

ORT = preset("ort")
ONE = QParams(np.float32(1), np.int32(0), None, "int8")


def step(x: tuple[list[int], float, int], h: Row, w: Any, r: Any, b: Row, after: int) -> Row:
    """``x``: codes of one step, scale and zero point; ``w``, ``r``: rows of codes, their scales."""
    size = len(h)

    def of(made: tuple[list[int], float, int], rows: Any, first: int, last: int, at: int) -> Row:
        values = part(*made, rows[0][first:last], rows[1][first:last])
        return [f(v + b[at + first + j]) if b else v for j, v in enumerate(values)]

    a = of(x, w, 0, 3 * size, 0)
    states = of(dynamic(h), r, 0, 3 * size, 3 * size)
    z = [sigmoid(f(a[i] + states[i])) for i in range(size)]
    g = [sigmoid(f(a[size + i] + states[size + i])) for i in range(size)]
    if after:
        inner = [f(g[i] * states[2 * size + i]) for i in range(size)]
    else:
        reset = [f(s * v) for s, v in zip(g, h, strict=True)]
        inner = of(dynamic(reset), r, 2 * size, 3 * size, 3 * size)
    n = [tanh(f(a[2 * size + i] + inner[i])) for i in range(size)]
    return [f(f(f(1 - z[i]) * n[i]) + f(z[i] * h[i])) for i in range(size)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("after", [0, 1])
def test_the_bits_are_those_of_the_text(after: int, biased: bool, reverse: bool) -> None:
    rng, size = np.random.default_rng(2 * after + biased), 3
    x, h0 = rough(rng, 2, 4, 5), rough(rng, 2, 1, size)
    w, r = (rng.integers(-127, 128, (1, 3 * size, k)).astype(np.int8) for k in (5, size))
    bias = rough(rng, 1, 6 * size)
    sw, sr = ((np.abs(rough(rng, 1, 3 * size, 1)) / 64 + 2.0**-9).astype(np.float32) for _ in "wr")
    zero = np.zeros((1, 3 * size, 1), np.int32)
    got = dynamic_quantize_gru(
        x, w, r, bias if biased else None, h0, w_qparams=QParams(sw, zero, (1, 1, 5), "int8"),
        r_qparams=QParams(sr, zero, (1, 1, size), "int8"), hidden_size=size, contract=ORT,
        direction="reverse" if reverse else "forward", linear_before_reset=after,
    )  # fmt: skip
    rows = ((w[0].tolist(), sw.ravel().tolist()), (r[0].tolist(), sr.ravel().tolist()))
    for n in range(2):
        h = h0[n, 0].tolist()
        q, s, z = dynamic(x[n].ravel().tolist())
        for t in range(3, -1, -1) if reverse else range(4):
            own = (q[5 * t : 5 * t + 5], s, z)
            h = step(own, h, *rows, bias[0].tolist() if biased else [], after)
            assert got[0][n, t, 0].tolist() == h, f"sample {n}, step {t}"
        assert got[1][n, 0].tolist() == h, "what remains"


def test_its_products_have_the_bits_of_onnxruntime() -> None:
    """What is new beside a GRU: DynamicQuantizeLinear, MatMulInteger, two factors, one addition."""
    steps = [
        helper.make_node("DynamicQuantizeLinear", ["v"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["acc"]),
        helper.make_node("Cast", ["acc"], ["sum"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "scale"], ["both"]),
        helper.make_node("Mul", ["sum", "both"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["b"]),
    ]
    rng = np.random.default_rng(7)
    r = rng.integers(-128, 128, (27, 9)).astype(np.int8)
    scale = rng.uniform(0.001, 0.02, 27).astype(np.float32)
    bias = rough(rng, 54)
    held: dict[str, Any] = {"w": r.T.copy(), "scale": scale, "bias": bias[27:]}
    graph = helper.make_graph(
        steps, "g", [helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 9])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 27])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    theirs = session(model.SerializeToString(), level="ORT_DISABLE_ALL")
    gates = DynamicGates(r, r, scale, scale, bias, 1, ORT)
    for v in (*(rough(rng, 1, 9) for _ in range(50)), np.zeros((1, 9), np.float32)):
        ours = gates.of_state(v, 0, 3)
        assert np.array_equal(ours, theirs.run(None, {"v": v})[0]), f"{v.tolist()}"


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    x = rough(rng, 3, 2, 4)
    w, r = (rng.integers(-127, 128, (2, 6, k)).astype(np.int8) for k in (4, 2))

    def of(x: np.typing.NDArray[np.float32]) -> list[float]:
        y = dynamic_quantize_gru(
            x, w, r, w_qparams=ONE, r_qparams=ONE, hidden_size=2, contract=ORT,
            direction="bidirectional",
        )  # fmt: skip
        return [float(v) for v in y[0][-1].ravel()]

    assert of(x) == of(x[-1:]), "one range a sample"


def test_a_state_that_is_reset_has_a_range_of_its_own() -> None:
    """h = (1, 100), reset to (1, 0) nearly: of the range of h the first would be 3 codes of 255."""
    w, r = np.zeros((1, 6, 1), np.int8), np.zeros((1, 6, 2), np.int8)
    r[0, 4:] = [[1, 0], [0, 0]]  # n of the first element is tanh(r h) of the first
    bias = np.zeros((1, 12), np.float32)
    bias[0, :4] = [-100, -100, 100, -100]  # z = 0; r = 1, 0
    h = np.array([[[0.75, 100]]], np.float32)
    y = dynamic_quantize_gru(np.zeros((1, 1, 1), np.float32), w, r, bias, h, w_qparams=ONE,
                             r_qparams=ONE, hidden_size=2, contract=ORT)[1]  # fmt: skip
    assert y[0, 0, 0] == np.float32(tanh(0.75)), f"{y}: 0.75 is the end of its range, exact"


def test_no_sample_and_no_step() -> None:
    w, r = np.ones((1, 3, 2), np.int8), np.ones((1, 3, 1), np.int8)
    for shape in ((0, 3, 2), (2, 0, 2)):
        y, last = dynamic_quantize_gru(np.zeros(shape, np.float32), w, r, w_qparams=ONE,
                                       r_qparams=ONE, hidden_size=1, contract=ORT)  # fmt: skip
        assert (y.shape, last.shape) == ((*shape[:2], 1, 1), (shape[0], 1, 1)), f"{shape}"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w": np.ones((1, 3, 2), np.uint8)}, "w must be int8 codes, got uint8"),
        ({"r": np.ones((1, 3, 2), np.int8)}, r"r must have shape \(1, 3, 1\)"),
        ({"x": np.ones((1, 1, 2))}, "x"),
        ({"hidden_size": 0}, "hidden_size must be >= 1"),
        ({"linear_before_reset": 2}, "linear_before_reset must be 0 or 1, got 2"),
        ({"w_qparams": QParams(np.float32(1), np.int32(1), None, "int8")}, "zero point 0"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "x": np.ones((1, 1, 2), np.float32), "w": np.ones((1, 3, 2), np.int8),
        "r": np.ones((1, 3, 1), np.int8), "w_qparams": ONE, "r_qparams": ONE, "hidden_size": 1,
        "contract": ORT,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        dynamic_quantize_gru(**given | changed)
