"""Matrix products of codes: the reference's operators, and the oracle by row and column."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.matmul import matmul_integer, matmul_quantized
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.arithmetic.matmul import MATMUL_INTEGER, QLINEAR_MATMUL, limits_of
from refquant_conformance.arithmetic.product_probes import product_case

DTYPES = {"u8": "uint8", "i8": "int8"}


def drawn(scheme: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    dtypes = [DTYPES[part] for part in scheme.split("_")[:2]]
    info = [np.iinfo(t) for t in dtypes]
    return rng.integers(info[0].min, info[0].max, (4, 7)), rng.integers(
        info[1].min, info[1].max, (7, 5)
    )


@pytest.mark.parametrize("base", ["onnx", "tflite_reference", "tflite_builtin", "tosa"])
@pytest.mark.parametrize("scheme", ["u8_i8", "i8_i8", "u8_u8", "i8_u8"])
def test_with_the_axes_of_a_preset_it_is_the_references_operator(base: str, scheme: str) -> None:
    a, b = drawn(scheme)
    bias = np.array([-900, -5, 0, 77, 4000])
    case = product_case(scheme, a, b, (0.5, 0.01, 0.9), (3, 2, 5), bias=bias, clamp_min=1)
    made = QLINEAR_MATMUL.compute(case, axes_of(preset(base), QLINEAR_MATMUL))
    one, two = (DTYPES[part] for part in scheme.split("_"))
    expected = matmul_quantized(
        case.inputs["a"],
        case.inputs["b"],
        case.inputs["bias"],
        x_qparams=QParams(np.float32(0.5), np.int32(3), None, one),
        w_qparams=QParams(np.float32(0.01), np.int32(2), None, two),
        y_qparams=QParams(np.float32(0.9), np.int32(5), None, one),
        contract=preset(base),
        clamp_min=1,
    )
    assert made is not None, "refused"
    assert (made["y"] == expected).all(), f"{made['y']} and {expected}"


def test_matmul_integer_is_the_references_operator() -> None:
    a, b = drawn("u8_i8")
    case = product_case("u8_i8", a, b, zero_points=(9, -3, 0), op="matmul_integer")
    made = MATMUL_INTEGER.compute(case, {"accumulator": "int32_wrap"})
    expected = matmul_integer(a, b, x_zero_point=9, w_zero_point=-3)
    assert made is not None, "refused"
    assert made["y"].tolist() == expected.tolist(), "the sums differ"


def test_the_case_of_an_element_is_a_row_and_a_column() -> None:
    a, b = drawn("u8_i8")
    scales = np.array([1, 2, 3, 4, 5], np.float32)
    case = product_case("u8_i8_channel", a, b, (1.0, scales, 1.0), bias=np.arange(5))
    alone = QLINEAR_MATMUL.element(case, 13)
    assert (alone.inputs["a"] == case.inputs["a"][2:3]).all(), "row 2"
    assert alone.inputs["b_scale"].tolist() == [4.0], "column 3"
    assert alone.inputs["bias"].tolist() == [3], "column 3"


def test_limits_are_those_of_the_activation_or_of_the_type() -> None:
    one = np.ones((1, 1))
    assert limits_of(product_case("u8_i8", one, one)) == (0, 255), "the type"
    assert limits_of(product_case("u8_i8", one, one, clamp_max=9)) == (0, 9), "the activation"
