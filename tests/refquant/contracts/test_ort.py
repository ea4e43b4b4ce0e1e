"""The preset ``ort`` is what onnxruntime's QuantizeLinear does, bit for bit, measured here.

An outsider's opinion of every axis that QuantizeLinear shows: the tie rule, the place of the zero
point, divide or reciprocal, saturation, NaN. ``test_the_measurement_can_tell`` shows that the same
inputs tell each neighbouring contract apart, so agreement means something.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams, choose_qparams, quantize

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DTYPES = ["int8", "uint8", "int16", "uint16"]
SCALES = [1.0, 0.25, 0.1, 1 / 3, 1 / 255, 0.007874016, 3.0e-38, 1.2345e30]

Float32 = NDArray[np.float32]
Codes = NDArray[np.integer[Any]]


def theirs(x: Float32, scale: float, zero_point: int, dtype: str) -> Codes:
    """The codes that onnxruntime makes of ``x``."""
    helper, code = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        "quantize",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("y", code, [None])],
        [
            onnx.numpy_helper.from_array(np.array(scale, np.float32), "s"),
            onnx.numpy_helper.from_array(np.array(zero_point, dtype), "z"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    codes: Codes = session.run(None, {"x": x})[0]
    return codes


def ours(x: Float32, scale: float, zero_point: int, dtype: str, contract: Contract) -> Codes:
    qparams = QParams(np.float32(scale), np.int32(zero_point), None, dtype)
    return quantize(x, qparams, contract=contract)


def near_ties(scale: float, zero_point: int, dtype: str) -> Float32:
    """Every tie of the range (16 bits: the first 300), and two floats on each side of it."""
    info = np.iinfo(dtype)
    k = np.arange(max(info.min, -300), min(info.max, 300)) - zero_point
    with np.errstate(over="ignore"):
        tie = ((k + 0.5) * np.float64(np.float32(scale))).astype(np.float32)
    below, above = np.float32(-np.inf), np.float32(np.inf)
    with np.errstate(over="ignore", under="ignore"):
        one_down, one_up = np.nextafter(tie, below), np.nextafter(tie, above)
        return np.concatenate(
            [tie, one_down, one_up, np.nextafter(one_down, below), np.nextafter(one_up, above)]
        )


def zero_points(dtype: str) -> list[int]:
    info = np.iinfo(dtype)
    return [0, 1, int(info.max) // 2, int(info.min), int(info.max)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_zero_points_and_division(dtype: str) -> None:
    """QDQ-02, QDQ-03, QDQ-05: around every tie, for odd, even and extreme zero points."""
    for scale in SCALES:
        for zero_point in zero_points(dtype):
            x = near_ties(scale, zero_point, dtype)
            np.testing.assert_array_equal(
                ours(x, scale, zero_point, dtype, preset("ort")),
                theirs(x, scale, zero_point, dtype),
                err_msg=f"scale {scale}, zero point {zero_point}: onnxruntime computes otherwise",
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_saturation_nan_and_signed_zero(dtype: str) -> None:
    """QDQ-06, QDQ-07, QDQ-08, QDQ-09: at every position of a vector, so in body and tail."""
    largest = float(np.finfo(np.float32).max)
    edges = [2.0**31, 2.0**31 - 128, 2.0**24 + 2, 2.0**63, 3e9, largest, np.inf, 0.0, 1e-45]
    values = np.array([*edges, *(-e for e in edges), np.nan, -np.nan], np.float32)
    for zero_point in zero_points(dtype):
        for length in (1, 7, 16, 33):
            x = np.concatenate([np.roll(values, shift)[:length] for shift in range(len(values))])
            np.testing.assert_array_equal(
                ours(x, 1.0, zero_point, dtype, preset("ort")),
                theirs(x, 1.0, zero_point, dtype),
                err_msg=f"zero point {zero_point}: onnxruntime computes otherwise",
            )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_measurement_can_tell(dtype: str) -> None:
    """Each neighbour of ``ort`` on an axis differs from onnxruntime on these very inputs."""
    scale, zero_point = 0.1, 1
    x = np.append(near_ties(scale, zero_point, dtype), np.array([3e9, np.inf, np.nan], np.float32))
    codes = theirs(x, scale, zero_point, dtype)
    neighbours: list[dict[str, Any]] = [
        {"rounding": "half_away"},
        {"rounding": "half_up"},
        {"scale_op": "reciprocal_f32"},
        {"scale_op": "divide_f64"},
        {"zero_point_at": "before_rounding"},
        {"overflow": "int32_cast"},
        {"nan": "qmax"},
        {"nan": "zero_point"},
    ]
    for axis in neighbours:
        other = ours(x, scale, zero_point, dtype, replace(preset("ort"), **axis))
        assert (other != codes).any(), f"these inputs do not tell {axis} from ort"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_parameters_are_those_of_its_quantizer(dtype: str, symmetric: bool) -> None:
    """compute_scale_zp of the onnxruntime package, on ranges of all kinds."""
    utils = pytest.importorskip("onnxruntime.quantization.quant_utils")
    rng = np.random.default_rng(0)
    ends = np.sort(rng.normal(size=(300, 2)) * 10.0 ** rng.uniform(-42, 38, (300, 1)))
    degenerate = [(0, 0), (0, 1e-45), (-1e-40, 0), (5, 5), (-5, -5), (-1, 1), (-3e38, 3e38)]
    info = np.iinfo(dtype)
    for lo, hi in np.concatenate([ends, degenerate]).astype(np.float32):
        mine = choose_qparams(lo, hi, dtype=dtype, symmetric=symmetric, contract=preset("ort"))
        qmin, qmax = mine.code_range
        assert (qmin, qmax) == (info.min + (symmetric and info.min < 0), info.max), "its range"
        zero_point, scale = utils.compute_scale_zp(
            lo, hi, np.array(qmin, dtype), np.array(qmax, dtype), symmetric=symmetric
        )
        assert mine.scale == np.float32(scale), f"scale of [{lo}, {hi}]"
        if symmetric and info.min == 0 and float(scale) == 1.0:
            continue  # zero range: its zero point is 0 here, ours the middle as for every range
        assert mine.zero_point == int(zero_point), f"zero point of [{lo}, {hi}]"
