"""The outsider: onnxruntime's CPU kernels, bit for bit under the contract ``ort``."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.conv import conv_integer, conv_quantized
from refquant.ops.matmul import matmul_integer, matmul_quantized
from refquant.ops.quantize_linear import dynamic_quantize_linear

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

ORT = preset("ort")
F = np.float32


def run(op: str, arrays: dict[str, Any], outputs: int, **attributes: Any) -> list[Any]:
    """Run one ONNX node; an array of ``None`` is an absent optional input."""
    present = {name: array for name, array in arrays.items() if array is not None}
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node(
                op,
                [name if name in present else "" for name in arrays],
                [f"y{i}" for i in range(outputs)],
                **attributes,
            )
        ],
        "one",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in present.items()
        ],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    result: list[Any] = session.run(None, present)
    return result


def codes(rng: Any, dtype: str, *shape: int) -> Any:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


# Powers of two and 3 * 2**k make every other accumulator a tie; the others are ordinary.
SCALES = {
    "ties": (0.5, [1.0, 0.5, 0.25, 0.75, 2.0, 0.125, 1.5, 0.0625], 64.0),
    "random": (0.0371, [0.011, 0.023, 0.0017, 0.05, 0.0099, 0.0213, 0.03, 0.007], 1.73),
}
DTYPES = [("uint8", "int8", "uint8"), ("uint8", "uint8", "uint8"), ("int8", "int8", "int8")]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize(("x_dtype", "w_dtype", "y_dtype"), DTYPES)
@pytest.mark.parametrize("zero_points", [(0, 0), (7, 101)])
def test_qlinear_matmul(
    x_dtype: str, w_dtype: str, y_dtype: str, scales: str, per_channel: bool, zero_points: Any
) -> None:
    rng = np.random.default_rng(29)
    sx, sw, sy = SCALES[scales]
    channels = 8 if per_channel else 1
    x, w = codes(rng, x_dtype, 33, 37), codes(rng, w_dtype, 37, 8)
    zx, zy = zero_points
    zw = np.zeros(channels, w_dtype)
    if w_dtype == "uint8":
        zw[:] = 128
    (y,) = run(
        "QLinearMatMul",
        {
            "a": x,
            "a_scale": np.array(sx, F),
            "a_zero_point": np.array(zx, x_dtype),
            "b": w,
            "b_scale": np.array(sw[:channels], F) if per_channel else np.array(sw[0], F),
            "b_zero_point": zw if per_channel else zw.reshape(()),
            "y_scale": np.array(sy, F),
            "y_zero_point": np.array(zy, y_dtype),
        },
        1,
    )
    wq = QParams(np.array([sw], F), np.broadcast_to(zw, (1, 8)).astype(np.int32), (37, 1), w_dtype)
    if not per_channel:
        wq = QParams(F(sw[0]), np.int32(zw[0]), None, w_dtype)
    ours = matmul_quantized(
        x,
        w,
        x_qparams=QParams(F(sx), np.int32(zx), None, x_dtype),
        w_qparams=wq,
        y_qparams=QParams(F(sy), np.int32(zy), None, y_dtype),
        contract=ORT,
    )
    differ = np.argwhere(ours != y)
    assert not len(differ), f"{len(differ)} of {y.size} codes differ, first at {differ[:1]}"


CONVOLUTIONS: dict[str, tuple[Any, ...]] = {
    # x shape, w shape, strides, pads, dilations, group
    "3x3": ((1, 3, 9, 8), (8, 3, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "asymmetric": ((2, 3, 8, 7), (8, 3, 2, 3), (2, 1), (1, 0, 0, 2), (1, 1), 1),
    "depthwise": ((1, 8, 7, 7), (8, 1, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 8),
    "groups": ((1, 4, 7, 7), (8, 2, 3, 3), (1, 1), (0, 0, 0, 0), (2, 2), 2),
    "1x1": ((1, 16, 6, 6), (8, 16, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "1-D": ((1, 4, 15), (8, 4, 3), (2,), (1, 2), (1,), 1),
}


def attributes(case: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("strides", "pads", "dilations", "group"), case[2:], strict=True))


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize(("x_dtype", "w_dtype", "y_dtype"), DTYPES)
def test_qlinear_conv(name: str, x_dtype: str, w_dtype: str, y_dtype: str, scales: str) -> None:
    rng = np.random.default_rng(31)
    case = CONVOLUTIONS[name]
    sx, sw, sy = SCALES[scales]
    x, w = codes(rng, x_dtype, *case[0]), codes(rng, w_dtype, *case[1])
    bias = rng.integers(-3000, 3000, 8).astype(np.int32)
    zx, zy, zw = 5, 99, 128 if w_dtype == "uint8" else 0
    (y,) = run(
        "QLinearConv",
        {
            "x": x,
            "x_scale": np.array(sx, F),
            "x_zero_point": np.array(zx, x_dtype),
            "w": w,
            "w_scale": np.array(sw, F),
            "w_zero_point": np.full(8, zw, w_dtype),
            "y_scale": np.array(sy, F),
            "y_zero_point": np.array(zy, y_dtype),
            "B": bias,
        },
        1,
        **attributes(case),
    )
    column = (8,) + (1,) * (w.ndim - 1)
    ours = conv_quantized(
        x,
        w,
        bias,
        x_qparams=QParams(F(sx), np.int32(zx), None, x_dtype),
        w_qparams=QParams(
            np.array(sw, F).reshape(column),
            np.full(column, zw, np.int32),
            (1, *w.shape[1:]),
            w_dtype,
        ),
        y_qparams=QParams(F(sy), np.int32(zy), None, y_dtype),
        contract=ORT,
        **attributes(case),
    )
    differ = np.argwhere(ours != y)
    assert not len(differ), f"{len(differ)} of {y.size} codes differ, first at {differ[:1]}"


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv_integer(name: str) -> None:
    rng = np.random.default_rng(37)
    case = CONVOLUTIONS[name]
    x, w = codes(rng, "uint8", *case[0]), codes(rng, "uint8", *case[1])
    zx, zw = np.array(77, np.uint8), np.array(130, np.uint8)
    (y,) = run("ConvInteger", {"x": x, "w": w, "zx": zx, "zw": zw}, 1, **attributes(case))
    ours = conv_integer(x, w, x_zero_point=zx, w_zero_point=zw, **attributes(case))
    assert np.array_equal(ours, y), "ConvInteger is exact"


@pytest.mark.parametrize(("x_dtype", "w_dtype"), [("uint8", "int8"), ("uint8", "uint8")])
@pytest.mark.parametrize("per_column", [False, True])
def test_matmul_integer(x_dtype: str, w_dtype: str, per_column: bool) -> None:
    rng = np.random.default_rng(41)
    x, w = codes(rng, x_dtype, 2, 9, 70), codes(rng, w_dtype, 70, 11)
    zx = np.array(200, x_dtype)
    zw = codes(rng, w_dtype, 11) if per_column else np.array(3, w_dtype)
    (y,) = run("MatMulInteger", {"a": x, "b": w, "za": zx, "zb": zw}, 1)
    ours = matmul_integer(x, w, x_zero_point=zx, w_zero_point=zw)
    assert np.array_equal(ours, y), "MatMulInteger is exact"


def compare_dynamic(x: Any) -> None:
    y, scale, zero_point = run("DynamicQuantizeLinear", {"x": x}, 3)
    ours = dynamic_quantize_linear(x, ORT)
    assert float(ours[1]) == float(scale), f"scale of {x.ravel()[:4]}"
    assert int(ours[2]) == int(zero_point), f"zero point of {x.ravel()[:4]}"
    differ = np.argwhere(ours[0] != y)
    assert not len(differ), f"{len(differ)} of {y.size} codes differ, first at {differ[:1]}"


@pytest.mark.parametrize("seed", range(30))
def test_dynamic_quantize_linear(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(), 10.0 ** rng.integers(-6, 7), 131)
    compare_dynamic(x.astype(F))


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.0, 0.0],
        [3.0, 3.0, 3.0],
        [-3.0, -3.0],
        [1.0, 2.0, 255.0],
        [-0.5, 254.5, 2.5, 3.5],  # ties
        [-1.5, 253.5, 0.5, -0.5],
        [-1e-30, 1e-30],
        [-1e38, 1e38, 1.0],
        [-3e38, 3e38, 1.0],  # the range overflows
    ],
)
def test_dynamic_quantize_linear_at_the_edges(values: list[float]) -> None:
    compare_dynamic(np.array(values, F))


# --- findings: where onnxruntime 1.32 and docs/spec/operators.md part ------------------------
# Both sides are pinned: a change on either is a failure here, and an occasion to read the text.

NAN, INF = np.nan, np.inf
ONE = np.array(1, np.uint8)


@pytest.mark.parametrize(
    ("finding", "values", "theirs", "ours"),
    [
        (
            "the range of a long input with NaN is NaN; that of a short one ignores NaN",
            [1.0, 2.0, NAN] * 9,
            (NAN, 255, [0, 0, 0] * 9),
            (2 / 255, 0, [127, 255, 0] * 9),  # 127.49999 and not a tie: s is rounded up
        ),
        (
            "NaN as a zero point is 255 (our text: 0), after -inf / inf",
            [-INF, 1.0],
            (INF, 255, [0, 255]),
            (INF, 0, [0, 0]),
        ),
        (
            "a range that underflows has scale 0 (our text: 1), and codes of x / 0",
            [1e-45, 0.0],
            (0.0, 255, [255, 0]),
            (1.0, 0, [0, 0]),
        ),
    ],
)
def test_findings_in_dynamic_quantize_linear(
    finding: str, values: list[float], theirs: Any, ours: Any
) -> None:
    x = np.array(values, F)
    y, scale, zero_point = run("DynamicQuantizeLinear", {"x": x}, 3)
    got = (float(scale), int(zero_point), y.tolist())
    assert repr(got) == repr((float(F(theirs[0])), *theirs[1:])), f"onnxruntime changed: {finding}"
    q, step, zero = dynamic_quantize_linear(x, ORT)
    mine = (float(step), int(zero), q.tolist())
    assert mine == (float(F(ours[0])), *ours[1:]), f"refquant changed: {finding}"


def test_finding_no_zero_point_per_row_or_per_output_channel() -> None:
    """ONNX allows both; onnxruntime refuses both (``MatMulInteger`` rows, ``ConvInteger``)."""
    x, w = np.zeros((3, 4), np.uint8), np.zeros((4, 2), np.uint8)
    with pytest.raises(Exception, match="input1 zero point must be a scalar"):
        run("MatMulInteger", {"a": x, "b": w, "za": np.zeros(3, np.uint8), "zb": ONE}, 1)
    images, kernels = np.zeros((1, 2, 3, 3), np.uint8), np.zeros((4, 2, 2, 2), np.uint8)
    arrays = {"x": images, "w": kernels, "zx": ONE, "zw": np.zeros(4, np.uint8)}
    with pytest.raises(Exception, match="Non per-tensor quantization is not supported"):
        run("ConvInteger", arrays, 1)


# --- random shapes and scales ------------------------------------------------------------------


def scale_of(rng: Any) -> Any:
    """Return a power of two, which makes ties, or anything."""
    if rng.random() < 0.5:
        return F(2.0 ** rng.integers(-20, 10))
    return F(np.exp(rng.uniform(-12, 5)))


@pytest.mark.parametrize("seed", range(40))
def test_qlinear_matmul_of_any_shape_and_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x_dtype, w_dtype, y_dtype = DTYPES[seed % 3]
    m, k, n = (int(rng.integers(1, size)) for size in (20, 300, 40))
    x, w = codes(rng, x_dtype, m, k), codes(rng, w_dtype, k, n)
    sx, sy, sw = scale_of(rng), scale_of(rng), np.array([scale_of(rng) for _ in range(n)], F)
    zx, zw, zy = codes(rng, x_dtype, 1), codes(rng, w_dtype, 1), codes(rng, y_dtype, 1)
    (y,) = run(
        "QLinearMatMul",
        {
            "a": x,
            "a_scale": np.array(sx),
            "a_zero_point": zx.reshape(()),
            "b": w,
            "b_scale": sw,
            "b_zero_point": np.repeat(zw, n),
            "y_scale": np.array(sy),
            "y_zero_point": zy.reshape(()),
        },
        1,
    )
    ours = matmul_quantized(
        x,
        w,
        x_qparams=QParams(sx, np.int32(zx[0]), None, x_dtype),
        w_qparams=QParams(sw[None], np.full((1, n), zw[0], np.int32), (k, 1), w_dtype),
        y_qparams=QParams(sy, np.int32(zy[0]), None, y_dtype),
        contract=ORT,
    )
    differ = np.argwhere(ours != y)
    assert not len(differ), f"{len(differ)} of {y.size} codes differ, first at {differ[:1]}"
