"""OpenVINO 2026.4.1 as a backend, x86-64 with AVX-512 VNNI: what its CPU plug-in computes.

QuantizeLinear with constant parameters becomes FakeQuantize: the reals are clipped to the range,
multiplied by a factor made of that range, and the zero point comes before rounding, counted from
qmin; for int8 with zero point 0 it is left out.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Case, Rejected, Unsupported
from refquant_conformance.subject import Local, Worker
from refquant_conformance.types import code_range
from tests.conformance.adapters.cases import cases, made
from tests.conformance.adapters.expected import expected

pytest.importorskip("openvino", reason="asks its CPU plug-in; see `make outsiders`")
pytestmark = pytest.mark.torch

BACKEND: Any = load_backend("openvino")
ONNX = preset("onnx")
F = np.float32


def test_the_number_of_cells_is_what_was_counted() -> None:
    counts = [cell.op for cell in BACKEND.capabilities()]
    some = {op: counts.count(op) for op in counts if not op.startswith("qlinear")}
    assert some == {
        **{"quantize_linear": 14, "dequantize_linear": 13, "dynamic_quantize_linear": 1},
        **{"matmul_integer": 4, "max_pool": 2, "move": 2},
        **{"resize_nearest": 2, "resize_bilinear": 2},
    }, f"{some}"
    assert counts.count("qlinear_matmul") == counts.count("qlinear_conv") == 8, "products"
    assert counts.count("qlinear_tanh") == 2, "floats between quantizers"


def fake_quantized(case: Case) -> np.ndarray:
    """The codes of FakeQuantize, all in float32."""
    x, scale, zero = case.inputs["x"], F(case.inputs["scale"]), int(case.inputs["zero_point"])
    qmin, qmax = code_range(case.types["y"])
    low, high = F(qmin - zero) * scale, F(qmax - zero) * scale
    factor = F(qmax - qmin) / (high - low)
    inside = np.clip(x, low, high) * factor
    if case.types["y"] == "int8" and zero == 0:
        return np.asarray(np.rint(inside))
    return np.asarray(np.rint(inside - low * factor) + F(qmin))


def dropped(case: Case) -> bool:
    """Whether the quantizer is taken for one that does nothing: see the next test but one."""
    plain = float(case.inputs["scale"]) == 1 and int(case.inputs["zero_point"]) == 0
    return plain and case.types["y"] in ("uint16", "int16")


@pytest.mark.parametrize("scheme", ["f32_u8", "f32_i8", "f32_u16", "f32_i16"])
def test_quantize_linear_is_fake_quantize(scheme: str) -> None:
    arithmetic = arithmetic_of("quantize_linear", scheme)
    assert arithmetic is not None, "no probes"
    total = 0
    for case in arithmetic.probes(scheme):
        if np.isnan(case.inputs["x"]).any() or dropped(case):
            continue
        got = BACKEND.run(case).outputs["y"]
        with np.errstate(over="ignore"):
            ours = fake_quantized(case)
        wrong = np.flatnonzero(got != ours)
        where = case.inputs["x"][wrong[:3]], case.inputs["scale"], case.inputs["zero_point"]
        assert not wrong.size, f"{wrong.size}: {where} {got[wrong[:3]]} {ours[wrong[:3]]}"
        total += got.size
    assert total > 10_000, f"only {total}"


def test_ties_differ_from_the_text_where_the_zero_point_is_odd() -> None:
    """0.5 and 2.5 in steps of 1, zero point 1: the text says 0 + 1 and 2 + 1."""
    inputs = {"x": [0.5, 1.5, 2.5], "scale": 1, "zero_point": 1}
    case = made("quantize_linear", "f32_u8", inputs, {"axis": None, "block_size": 0})
    assert BACKEND.run(case).outputs["y"].tolist() == [2, 2, 4], "the text has [1, 3, 3]"


def test_a_quantizer_of_16_bits_with_scale_1_is_dropped_and_what_is_left_is_a_cast() -> None:
    """Neither rounded nor clipped; with parameters that are fed it is both."""
    x = [-1, 1.5, 70000]
    inputs = {"x": x, "scale": 1, "zero_point": 0}
    fed: Any = load_backend("openvino")
    fed.configure(parameters="fed")
    seen = {}
    for name in ("f32_u16", "f32_i16"):
        case = made("quantize_linear", name, inputs, {"axis": None, "block_size": 0})
        for how, backend in (("constant", BACKEND), ("fed", fed)):
            seen[name, how] = backend.run(case).outputs["y"].tolist()
    assert seen == {
        ("f32_u16", "constant"): [65535, 1, 4464],
        ("f32_u16", "fed"): [0, 2, 65535],
        ("f32_i16", "constant"): [-1, 1, 4464],
        ("f32_i16", "fed"): [-1, 2, 32767],
    }, f"{seen}"


@pytest.mark.parametrize("scheme", ["u8_f32", "i8_f32_channel", "u16_f32_block"])
def test_dequantize_linear_is_one_fused_multiply_add(scheme: str) -> None:
    found = identify(Local(BACKEND), "dequantize_linear", scheme)
    assert found.name == "spec with dequantize=fused", f"{found.name}, nearest {found.nearest}"


def test_products_of_codes_are_exact_by_default_and_saturate_in_pairs_on_avx512_core() -> None:
    """64 times 255 * 127 is 2,072,640; pairs that saturate in int16 make 64 / 2 * 32767."""
    inputs = {
        **{"a": np.full((1, 64), 255), "a_scale": 1, "a_zero_point": 0},
        **{"b": np.full((64, 1), 127), "b_scale": 1, "b_zero_point": 0},
        **{"y_scale": 8160, "y_zero_point": 0},
    }
    case = made("qlinear_matmul", "u8_i8", inputs, {})
    assert BACKEND.run(case).outputs["y"].item() == 254, "2,072,640 / 8,160"
    worker = Worker("openvino", {"isa": "avx512_core"})
    (answer,) = worker.ask([case])
    worker.close()
    assert answer.result is not None, f"{answer}"
    assert answer.result.outputs["y"].item() == 128, "1,048,544 / 8,160: it is no longer so"


@pytest.mark.parametrize("scheme", ["u8_i8", "i8_i8"])
def test_sums_of_codes_are_exact(scheme: str) -> None:
    for case in cases("matmul_integer", scheme, 10):
        got = BACKEND.run(case).outputs["y"]
        assert np.array_equal(got, expected(case, ONNX)["y"]), f"{case}"


def test_threads_change_nothing_and_what_is_prepared_takes_more_rows() -> None:
    two: Any = load_backend("openvino")
    two.configure(threads=2)
    case = next(cases("qlinear_matmul", "u8_i8", 1))
    longer = replace(case, inputs={**case.inputs, "a": np.repeat(case.inputs["a"], 3, 0)})
    handle = BACKEND.prepare(case)
    for asked in (case, longer):
        fresh = BACKEND.run(asked).outputs["y"]
        assert np.array_equal(two.run(asked).outputs["y"], fresh), f"threads: {asked}"
        assert np.array_equal(handle.run(asked).outputs["y"], fresh), f"prepared: {asked}"
    other = replace(case, inputs={**case.inputs, "b": case.inputs["b"] ^ 1})
    with pytest.raises(Unsupported, match="other weights"):
        handle.run(other)


def test_parameters_may_be_fed_and_then_the_kernel_is_another() -> None:
    fed: Any = load_backend("openvino")
    fed.configure(parameters="fed")
    inputs = {"x": [0.5, 1.5, 2.5], "scale": 1, "zero_point": 0}
    case = made("quantize_linear", "f32_u8", inputs, {"axis": None, "block_size": 0})
    results = [backend.run(case) for backend in (BACKEND, fed)]
    assert [r.outputs["y"].tolist() for r in results] == [[0, 2, 2]] * 2, f"{results}"


def test_files_programs_and_knobs() -> None:
    with pytest.raises(Rejected):
        BACKEND.load_bytes("onnx", b"no model")
    with pytest.raises(Unsupported, match="not tflite"):
        BACKEND.load_bytes("tflite", b"")
    with pytest.raises(BackendError, match="default, avx2, avx512_core"):
        BACKEND.configure(isa="avx10")
    with pytest.raises(BackendError, match="constant or fed"):
        BACKEND.configure(parameters="some")
    case = next(cases("qlinear_conv", "u8_i8", 1))
    program = BACKEND.repro(case)
    assert "refquant" not in program, "needs this package"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=clean,
        cwd=Path(sys.executable).parent,
    )  # fmt: skip
    assert str(BACKEND.run(case).outputs["y"].tolist()) in said.stdout, said.stderr
