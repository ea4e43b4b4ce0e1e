"""onnxruntime 1.32.0 as a backend: every cell, bit for bit under the contract it was found to have.

``ort`` computes products, means, tables and softmax. QLinearAdd, QLinearMul and QLinearAveragePool
add the zero point before they round (``ORT_ELEMENTWISE``).
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams, quantize
from refquant.model.importers.onnx_codes import ORT_ELEMENTWISE
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import float_format
from refquant_conformance.adapters import BackendError, MissingBackendError
from refquant_conformance.adapters.onnx_cases import STYLES
from refquant_conformance.adapters.onnx_nodes import DIRECT as DIRECT_NODES
from refquant_conformance.adapters.onnxruntime import OnnxRuntime
from refquant_conformance.adapters.samples import sample
from refquant_conformance.answers import well_formed
from refquant_conformance.conversation import answer
from refquant_conformance.identify import identify
from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Array, Case, Rejected, Unsupported
from refquant_conformance.subject import Local
from tests.conformance.adapters.cases import cases
from tests.conformance.adapters.expected import averaged_as_reals, expected

pytest.importorskip("onnxruntime")
ORT = preset("ort")
DIRECT = OnnxRuntime()
PAIRS = OnnxRuntime("qdq")
NONE = OnnxRuntime("qdq")
NONE.configure(graph_optimization="none")
# What 1.32.0 does not compute, of the operators it has; a cell that comes or goes fails a test.
MISSING = {
    ("dynamic_quantize_linear", "f32_i8"): "gives uint8 only",
    ("qlinear_matmul", "i8_u8"): "NOT_IMPLEMENTED",
    ("qlinear_matmul", "i8_u8_channel"): "NOT_IMPLEMENTED",
    ("qlinear_conv", "i8_u8"): "NOT_IMPLEMENTED",
    ("qlinear_conv", "i8_u8_channel"): "NOT_IMPLEMENTED",
    ("qlinear_depthwise_conv", "i8_u8"): "NOT_IMPLEMENTED",
    ("qlinear_depthwise_conv", "i8_u8_channel"): "NOT_IMPLEMENTED",
}
CELLS = [
    (op, scheme)
    for op in STYLES["direct"]
    for scheme in OPERATORS[op].schemes
    if (op, scheme) not in MISSING
]
# Others are tried in test_onnx_movement and test_onnx_floats.
TRIED = set(DIRECT_NODES) - {"quantize_linear"}
BY_NAME = {"qlinear_add": ORT_ELEMENTWISE, "qlinear_mul": ORT_ELEMENTWISE}


def contract_of(op: str) -> Contract:
    return BY_NAME.get(op, ORT)


def wanted(case: Case) -> np.ndarray:
    if case.op == "qlinear_average_pool":
        return averaged_as_reals(case, ORT_ELEMENTWISE)
    return expected(case, contract_of(case.op))["y"]


def test_every_cell_is_listed_but_those_that_have_a_reason() -> None:
    assert [(c.op, c.scheme) for c in DIRECT.capabilities()] == sorted(
        CELLS, key=lambda cell: list(OPERATORS).index(cell[0])
    ), "cells came or went"
    for (op, scheme), reason in MISSING.items():
        said = answer(DIRECT.run, sample(op, scheme))
        assert (said.kind, reason in said.reason) == ("unsupported", True), f"{op} {scheme}: {said}"


@pytest.mark.parametrize(("op", "scheme"), [c for c in CELLS if c[0] in TRIED])
def test_every_cell_is_the_contract_bit_for_bit(op: str, scheme: str) -> None:
    for case in cases(op, scheme, 6):
        got = DIRECT.run(case).outputs
        assert well_formed(case, answer(DIRECT.run, case)).kind == "result", "no answer"
        assert got["y"].tobytes() == wanted(case).tobytes(), f"{op} {scheme}: {case}"
        if op == "dynamic_quantize_linear":
            for name, array in expected(case, ORT).items():
                assert got[name].tobytes() == array.tobytes(), f"{name}: {case}"


@pytest.mark.parametrize(
    "scheme", ["f32_u8", "f32_i8_channel", "f32_i16_block", "f32_i4", "f32_u2"]
)
def test_quantizers_are_identified(scheme: str) -> None:
    found = identify(Local(DIRECT), "quantize_linear", scheme)
    assert (found.name, found.trouble) == ("onnx (also ort)", {}), f"{scheme}: {found}"
    one = {"codes"} if scheme.startswith("f32_u") else set()  # unsigned codes have no narrow range
    assert found.open_axes.keys() <= {"clamp", "overflow", "nan", *one}, f"{found.open_axes}"


def halves() -> np.ndarray:
    x = np.arange(2**16).astype(np.uint16).view(np.float16)
    return x[np.isfinite(x)]


@pytest.mark.parametrize("code", ["uint8", "int8"])
@pytest.mark.parametrize("step", [1.0, 0.1, 2.0**-14])
def test_float16_is_divided_in_float32(code: str, step: float) -> None:
    """QuantizeLinear-23 says: in the type of the scale, unless ``precision`` says another."""
    x, scale = halves(), np.float16(step)
    types = types_of("quantize_linear", f"f16_{'u8' if code == 'uint8' else 'i8'}")
    zero = np.array(7, code)
    inputs: dict[str, Array] = {"x": x, "scale": np.asarray(scale), "zero_point": zero}
    params = {"axis": None, "block_size": 0}
    scheme = f"f16_{'u8' if code == 'uint8' else 'i8'}"
    got = DIRECT.run(Case("quantize_linear", scheme, inputs, params, types=types)).outputs["y"]
    rule = QParams(np.float32(scale), np.int32(7), None, code)
    ours = quantize(x.astype(np.float32), rule, contract=ORT)
    assert np.array_equal(got, ours), f"{np.flatnonzero(got != ours)[:3]}"


@pytest.mark.parametrize("name", ["e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz"])
def test_small_floats_saturate_and_nan_of_e5m2_has_all_bits(name: str) -> None:
    """The NaN of E5M2 is 0x7F here and 0x7E in ml_dtypes and the reference: both mean NaN."""
    x = (np.arange(2**16).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    types = types_of("quantize_linear", f"f32_{name}")
    scale = np.float32(0.1)
    zero = np.array(0, np.uint8)
    inputs: dict[str, Array] = {"x": x, "scale": np.asarray(scale), "zero_point": zero}
    params = {"axis": None, "block_size": 0}
    case = Case("quantize_linear", f"f32_{name}", inputs, params, types=types)
    got = DIRECT.run(case).outputs["y"]
    with np.errstate(all="ignore"):
        ours = encode(x / scale, float_format(name))
    number = ~np.isnan(x)
    assert np.array_equal(got[number], ours[number]), "numbers differ"
    nan = {"e5m2": {0x7F, 0xFF}, "e4m3fn": {0x7F, 0xFF}}.get(name, {0x80})
    assert set(got[~number].tolist()) == nan, f"NaN is {set(got[~number].tolist())}"


FUSED = {  # what is left of a pair when the graph is optimized; None: floats
    "qlinear_add": "QLinearAdd",
    "qlinear_average_pool": "QLinearAveragePool",
    "qlinear_mean": "QLinearGlobalAveragePool",
    "qlinear_sigmoid": "QLinearSigmoid",
    "qlinear_softmax": "QLinearSoftmax",
    "qlinear_tanh": None,
}


@pytest.mark.parametrize("op", FUSED)
def test_optimized_pairs_are_the_operator_on_codes(op: str) -> None:
    whole = FUSED[op]
    for case in cases(op, "u8", 4):
        result = PAIRS.run(case)
        floats = result.provenance["operators"].startswith("DequantizeLinear")
        assert floats == (whole is None), f"{op}: {result.provenance}"
        if whole is not None:
            assert whole in result.provenance["operators"], f"{op}: {result.provenance}"
            assert np.array_equal(result.outputs["y"], wanted(case)), f"{op}: {case}"


def test_int8_by_int8_is_not_fused_and_uint8_is() -> None:
    left = {
        scheme: PAIRS.run(next(cases("qlinear_conv", scheme, 1))).provenance["operators"]
        for scheme in ("u8_i8", "i8_i8")
    }
    assert "QLinearConv" in left["u8_i8"], f"{left}"
    assert "QLinearConv" not in left["i8_i8"], f"{left}"


@pytest.mark.parametrize("op", ["qlinear_add", "qlinear_leaky_relu", "qlinear_tanh"])
def test_pairs_that_are_not_optimized_are_the_preset(op: str) -> None:
    none = OnnxRuntime("qdq")
    none.configure(graph_optimization="none", threads=2)
    for case in cases(op, "i8", 4):
        got = none.run(case).outputs["y"]
        assert np.array_equal(got, expected(case, ORT)["y"]), f"{op}: {case}"


def test_fusion_changes_the_codes_of_a_sum() -> None:
    """Add of 0.5 and 0 in steps of 1, zero point 1: a tie goes to 1 + 0 fused, 1 else."""
    inputs = {
        **{"a": np.array([[1]], np.uint8), "a_scale": np.float32(0.5), "a_zero_point": np.uint8(0)},
        **{"b": np.array([[0]], np.uint8), "b_scale": np.float32(0.5), "b_zero_point": np.uint8(0)},
        **{"y_scale": np.float32(1), "y_zero_point": np.uint8(1)},
    }
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    case = Case("qlinear_add", "u8", arrays, types=types_of("qlinear_add", "u8"))
    seen = [backend.run(case).outputs["y"].item() for backend in (PAIRS, DIRECT, NONE)]
    assert seen == [2, 2, 1], f"fused, on codes, floats: {seen}"


@pytest.mark.parametrize("op", ["matmul_integer", "qlinear_matmul", "qlinear_conv"])
def test_constant_weights_and_fed_ones_and_threads_agree(op: str) -> None:
    two = OnnxRuntime()
    two.configure(threads=2)
    for case in cases(op, "u8_i8", 4):
        fed = replace(case, params={**case.params, "constant_weights": False})
        one = DIRECT.run(case).outputs["y"]
        assert np.array_equal(one, DIRECT.run(fed).outputs["y"]), f"{case}"
        assert np.array_equal(one, two.run(case).outputs["y"]), f"{case}"


def test_what_is_prepared_takes_more_rows_but_no_other_weights() -> None:
    case = next(cases("qlinear_matmul", "u8_i8", 1))
    handle = DIRECT.prepare(case)
    a = np.repeat(case.inputs["a"], 3, 0)
    longer = replace(case, inputs={**case.inputs, "a": a})
    assert np.array_equal(handle.run(longer).outputs["y"], wanted(longer)), "longer"
    other = replace(case, inputs={**case.inputs, "b": case.inputs["b"] ^ 1})
    with pytest.raises(Unsupported, match="other weights"):
        handle.run(other)


def test_clamps_are_codes_of_the_output() -> None:
    for op in ("qlinear_matmul", "qlinear_conv"):
        for case in cases(op, "u8_u8", 4):
            zero = int(case.inputs["y_zero_point"])
            for bounds in ({"clamp_min": zero}, {"clamp_min": 3, "clamp_max": 200}):
                clamped = replace(case, params={**case.params, **bounds})
                got = DIRECT.run(clamped).outputs["y"]
                assert np.array_equal(got, wanted(clamped)), f"on codes: {clamped}"
                bound = bounds.get("clamp_max", 255)
                pairs = PAIRS.run(clamped)
                floats = "Clip" in pairs.provenance["operators"]
                free = (NONE if floats else DIRECT).run(case).outputs["y"]
                clipped = np.clip(free, bounds["clamp_min"], bound)
                assert np.array_equal(pairs.outputs["y"], clipped), f"pairs: {clamped}"


def test_a_file_is_loaded_or_refused() -> None:
    with pytest.raises(Rejected):
        DIRECT.load_bytes("onnx", b"no model")
    with pytest.raises(Unsupported, match="not tflite"):
        DIRECT.load_bytes("tflite", b"")


def test_bad_inputs_are_refused_with_a_reason() -> None:
    case = next(cases("qlinear_conv", "u8_i8", 1))
    scales = np.ones(3, np.float32)
    with pytest.raises((Rejected, Unsupported), match="scale"):
        DIRECT.run(replace(case, inputs={**case.inputs, "x_scale": scales}))


@pytest.mark.parametrize("cell", [("qlinear_matmul", "u8_i8"), ("dequantize_linear", "i4_f32")])
def test_the_program_prints_what_was_observed(cell: tuple[str, str]) -> None:
    case = next(cases(*cell, 1))
    program = DIRECT.repro(case)
    assert "refquant" not in program, "needs this package"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert str(DIRECT.run(case).outputs["y"].tolist()) in said.stdout, said.stderr


def test_settings_and_packages_that_are_not_there_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="'qdq', or none"):
        OnnxRuntime("fast")
    with pytest.raises(BackendError, match="all or none"):
        OnnxRuntime().configure(graph_optimization="some")

    def nothing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("importlib.import_module", nothing)
    with pytest.raises(MissingBackendError, match=r"refquant-conformance\[onnxruntime\]"):
        OnnxRuntime()
