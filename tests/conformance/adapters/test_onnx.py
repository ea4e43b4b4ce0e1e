"""onnx 1.23.2's ReferenceEvaluator as a backend: what it computes, and where its text says another.

QLinearMatMul and QLinearConv add the zero point before they round; QuantizeLinear casts to int32
before it clips, and divides float16 in float16.
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.adapters import BackendError, MissingBackendError
from refquant_conformance.adapters.onnx import OnnxReference
from refquant_conformance.identify import identify
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Case, Rejected, Unsupported
from refquant_conformance.subject import Local
from tests.conformance.adapters.cases import cases
from tests.conformance.adapters.expected import expected
from tests.conformance.arithmetic.processors import FUSED

pytest.importorskip("onnx")
ONNX = preset("onnx")
PRODUCTS = replace(ONNX, name="onnx_evaluator", requantize="float_zp_before_round")
DIRECT, PAIRS = OnnxReference(), OnnxReference("qdq")
COUNTS = {  # cells an operator
    **{"quantize_linear": 30, "dequantize_linear": 29, "dynamic_quantize_linear": 1},
    **{"matmul_integer": 4, "qlinear_matmul": 8, "qlinear_conv": 8},
    **{"qlinear_depthwise_conv": 8, "max_pool": 2, "move": 2, "resize_nearest": 2},
    **{"resize_bilinear": 2, "layer_norm": 1, "lstm": 1, "gru": 1},
}
TRIED = [
    *[("dequantize_linear", s) for s in ("u8_f32", "i4_f32_block", "u2_f32", "i32_f32")],
    *[("dequantize_linear", s) for s in ("e4m3fn_f32", "e5m2fnuz_f32")],
    *[("dynamic_quantize_linear", "f32_u8"), ("matmul_integer", "u8_i8")],
    *[("matmul_integer", "i8_u8"), ("qlinear_matmul", "u8_i8"), ("qlinear_matmul", "i8_u8")],
    *[("qlinear_matmul", "i8_i8_channel"), ("qlinear_conv", "u8_u8")],
    *[("qlinear_conv", "i8_i8_channel")],
]


def test_the_cells_are_what_was_counted() -> None:
    seen = [cell.op for cell in DIRECT.capabilities()]
    assert {op: seen.count(op) for op in seen} == COUNTS, "cells came or went"
    assert len(list(PAIRS.capabilities())) == 50, "of pairs"


@pytest.mark.parametrize(("op", "scheme"), TRIED)
def test_a_cell_is_its_contract_bit_for_bit(op: str, scheme: str) -> None:
    for case in cases(op, scheme, 8):
        if "bias" in case.inputs and op == "qlinear_matmul":
            with pytest.raises(Unsupported, match="QGemm"):
                DIRECT.run(case)
            continue
        contract = PRODUCTS if op.startswith("qlinear") else ONNX
        got = DIRECT.run(case).outputs
        for name, array in expected(case, contract).items():
            assert got[name].tobytes() == array.tobytes(), f"{name}: {case}"


@pytest.mark.parametrize("scheme", ["f32_u8", "f32_i8_channel", "f32_u16_block", "f32_i2"])
def test_quantizers_are_identified(scheme: str) -> None:
    found = identify(Local(DIRECT), "quantize_linear", scheme)
    assert found.name == "spec with overflow=int32_cast", f"{scheme}: {found}"


def quantized(x: float, scale: float, kind: str) -> int:
    scheme = f"{'f16' if kind == 'float16' else 'f32'}_u8"
    types = types_of("quantize_linear", scheme)
    inputs = {
        "x": np.array([x], kind),
        "scale": np.array(scale, kind),
        "zero_point": np.array(0, np.uint8),
    }
    params = {"axis": None, "block_size": 0}
    return int(
        DIRECT.run(Case("quantize_linear", scheme, inputs, params, types=types)).outputs["y"][0]
    )


WITNESSES = {
    # (x, scale, type): (the evaluator's code, the text's code), who is right
    "3e9 is cast to int32 before it is clipped: the text saturates": ((3e9, 1, "float32"), 0, 255),
    "float16 4 / 2^-14 is 65536, beyond float16: the text saturates": (
        (4, 2.0**-14, "float16"), 0, 255,
    ),
    "float16 0.25 / 0.09998 is 2.5006, in float16 2.5: since opset 23 the text says so, too": (
        (0.25, 0.1, "float16"), 2, 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WITNESSES)
def test_quantizers_differ_from_the_text(name: str) -> None:
    asked, theirs, text = WITNESSES[name]
    assert quantized(*asked) == theirs, name
    assert theirs != text or "2.5006" in name, "the evaluator has come round"


def test_products_differ_from_the_text_at_ties_with_odd_zero_points() -> None:
    """0.5 and zero point 1: the text says 0 + 1, the evaluator rounds 1.5 to 2."""
    inputs = {
        **{"a": np.array([[1]], np.uint8), "a_scale": np.float32(0.5), "a_zero_point": np.uint8(0)},
        **{"b": np.array([[1]], np.uint8), "b_scale": np.float32(1), "b_zero_point": np.uint8(0)},
        **{"y_scale": np.float32(1), "y_zero_point": np.uint8(1)},
    }
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    case = Case("qlinear_matmul", "u8_u8", arrays, types=types_of("qlinear_matmul", "u8_u8"))
    got = DIRECT.run(case).outputs["y"].item(), expected(case, ONNX)["y"].item()
    assert got == (2, 1), f"evaluator, text: {got}"


@pytest.mark.parametrize("op", ["qlinear_add", "qlinear_softmax", "qlinear_leaky_relu"])
def test_pairs_are_floats_between_quantizers(op: str) -> None:
    for case in cases(op, "u8", 4):
        got = PAIRS.run(case).outputs["y"]
        assert np.array_equal(got, expected(case, ONNX)["y"]), f"{case}"


def test_a_file_is_loaded_or_refused() -> None:
    with pytest.raises(Rejected):
        DIRECT.load_bytes("onnx", b"\xff\xff")
    with pytest.raises(Unsupported, match="not tflite"):
        DIRECT.load_bytes("tflite", b"")


@pytest.mark.parametrize("cell", [("qlinear_conv", "u8_i8"), ("dequantize_linear", "u4_f32")])
def test_the_program_prints_what_was_observed(cell: tuple[str, str]) -> None:
    case = next(cases(*cell, 1))
    program = DIRECT.repro(case)
    assert "refquant" not in program, "needs this package"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert str(DIRECT.run(case).outputs["y"].tolist()) in said.stdout, said.stderr


def test_settings_and_packages_that_are_not_there_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="'qdq', or none"):
        OnnxReference("fast")

    def nothing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("importlib.import_module", nothing)
    with pytest.raises(MissingBackendError, match=r"refquant-conformance\[onnx\]"):
        OnnxReference()


def test_a_window_that_the_evaluator_cannot_place_is_its_refusal() -> None:
    # One row more below: its MaxPool reckons pads as if they were the same on both sides.
    window = {"kernel": (2, 2), "strides": (1, 1), "pads": (0, 0, 1, 0)}
    case = Case(
        "max_pool", "u8", {"x": np.zeros((1, 1, 1, 3), np.uint8)}, window,
        types=types_of("max_pool", "u8"),
    )  # fmt: skip
    with pytest.raises(Rejected, match="output shape cannot be null or negative"):
        DIRECT.run(case)


@pytest.mark.skipif(not FUSED, reason="NumPy asks the C library where the processor has no FMA")
@pytest.mark.parametrize(
    ("op", "how"),
    [("qlinear_sigmoid", "exponential_quotient"), ("qlinear_tanh", "pieces_fused")],
)
def test_curves_between_pairs_are_numpys(op: str, how: str) -> None:
    found = identify(Local(PAIRS), op, "u8").consistent
    assert [dict(axes) for axes in found] == [{"function": how, "table": "quotient"}], op


@pytest.mark.parametrize(
    ("op", "axis"), [("qlinear_average_pool", "average_pool"), ("qlinear_mean", "mean")]
)
def test_means_between_pairs_are_sums_in_pairs(op: str, axis: str) -> None:
    found = identify(Local(PAIRS), op, "i8").consistent
    assert [dict(axes) for axes in found] == [{axis: "dequantize_pairwise"}], op
