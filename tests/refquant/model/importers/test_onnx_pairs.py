"""Every pair of codes: QLinearAdd, QLinearMul and the pools, onnxruntime's codes and ours.

65,536 pairs at scales that make ties, near-ties, quotients beyond int32, and products below the
least normal float32. Three opinions: onnxruntime, the reference, and the runtime of the device.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.quantization import QuantFormat, QuantType

from refquant.model.execute import run
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.rq import write_rq
from refquant_runtime import Session
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals
from tests.refquant.model.importers.test_onnx_qdq import network, quantized

Array = NDArray[Any]
Scales = tuple[float, ...]
F, MS = np.float32, "com.microsoft"
KINDS = ("ties", "near", "steep", "shares", "beyond", "small")


def scales_of(kind: str, rng: np.random.Generator, count: int) -> list[Any]:
    """Return ``count`` scales, the output's last."""
    if kind == "ties":
        return [F(2.0 ** rng.integers(-6, 3) * rng.choice([1, 3])) for _ in range(count)]
    if kind == "near":
        return [F(rng.uniform(0.001, 0.1)) for _ in range(count)]
    if kind == "steep":
        return [*(F(rng.uniform(0.001, 0.1)) for _ in range(count - 1)), F(rng.uniform(1e-5, 1e-3))]
    if kind == "shares":
        return [F(1) / F(rng.integers(1, 256)) for _ in range(count)]
    if kind == "beyond":
        return [*(F(10.0 ** rng.uniform(0, 9)) for _ in range(count - 1)), F(1e-7)]
    return [*(F(10.0 ** rng.uniform(-22, -17)) for _ in range(count - 1)), F(2.0**-126 * 3)]


def grid(dtype: str) -> tuple[Array, Array]:
    limits = np.iinfo(dtype)
    codes = np.arange(limits.min, limits.max + 1).astype(dtype)
    return np.repeat(codes, 256), np.tile(codes, 256)


def one(
    op: str, dtype: str, scales: list[Any], zeros: Any, x: dict[str, Any], **attributes: Any
) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    held: dict[str, Array] = {}
    names: list[str] = []
    for i, (scale, zero) in enumerate(zip(scales, zeros, strict=True)):
        held |= {f"s{i}": np.asarray(scale, F), f"z{i}": np.array(zero, dtype)}
        names += [*list(x)[i : i + 1], f"s{i}", f"z{i}"]
    inputs = {name: (["N", *array.shape[1:]], kind) for name, array in x.items()}
    nodes = [node(op, names, ["y"], domain=MS, **attributes)]
    return model(nodes, inputs, ["y"], held, domains=[MS], kinds={"y": kind})


def three(made: Any, x: dict[str, Any], folder: Path) -> list[Array]:
    """Return the codes of onnxruntime, of the reference, and of the runtime."""
    graph = import_onnx(made.SerializeToString())
    write_rq(folder / "m.rq", graph)
    ours, device = run(graph, x)["y"], Session(folder / "m.rq", threads=1).run(x)["y"]
    return [ask_ort(made, x)[0], ours, device]


def agree(codes: list[Array], what: str) -> None:
    theirs, ours, device = (array.astype(int) for array in codes)
    differ = np.argwhere(ours != theirs)
    assert not len(differ), (
        f"{what}: {len(differ)} codes are not onnxruntime's, first {differ[0]}: "
        f"{ours[tuple(differ[0])]} for {theirs[tuple(differ[0])]}"
    )
    assert np.array_equal(ours, device), f"{what}: the runtime has {(ours != device).sum()} others"


@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_all_pairs_of_codes(op: str, kind: str, dtype: str, count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([KINDS.index(kind), dtype == "int8", op == "QLinearMul", count])
    limits = np.iinfo(dtype)
    a, b = (codes[None] for codes in grid(dtype))
    for _ in range(count):
        scales = scales_of(kind, rng, 3)
        if op == "QLinearMul" and kind in ("ties", "near", "shares"):
            scales[2] = F(scales[2] * F(32))
        zeros = rng.integers(limits.min, limits.max + 1, 3)
        x = {"a": a, "b": b}
        made = one(op, dtype, scales, zeros, x)
        agree(three(made, x, tmp_path), f"{op} {dtype} {kind} {scales} {zeros.tolist()}")


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("op", "given"),
    [
        ("QLinearAveragePool", {"kernel_shape": [1, 2]}),
        ("QLinearAveragePool", {"kernel_shape": [1, 2], "pads": [0, 1, 0, 1]}),
        ("QLinearAveragePool", {"kernel_shape": [1, 2], "pads": [0, 1, 0, 1],
                                "count_include_pad": 1}),
        ("QLinearGlobalAveragePool", {}),
    ],
)  # fmt: skip
def test_means_of_all_pairs(op: str, given: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    """A window that is the whole plane, without padding, is a global pool to onnxruntime."""
    rng = np.random.default_rng(len(given))
    limits = np.iinfo(dtype)
    x = {"x": np.stack(grid(dtype), 1).reshape(-1, 1, 1, 2)}
    for kind in ("ties", "shares") if dtype == "uint8" else ("near", "steep"):
        scales = scales_of(kind, rng, 2)
        if kind == "shares":
            scales[1] = scales[0]
        zeros = rng.integers(limits.min, limits.max + 1, 2)
        made = one(op, dtype, scales, zeros, x, **given)
        agree(three(made, x, tmp_path), f"{op} {given} {dtype} {kind} {scales} {zeros.tolist()}")


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("length", [1, 2, 3, 10, 200])
def test_softmax_of_codes(length: int, dtype: str, tmp_path: Path) -> None:
    """Scales of all sizes: near-ties are of quotients, so they are drawn, not listed."""
    rng = np.random.default_rng([length, dtype == "int8"])
    limits = np.iinfo(dtype)
    for step in (2.0**-5, 0.02, 0.3, 3.0):
        out = rng.choice([1 / 256, rng.uniform(1 / 2000, 1 / 120)])
        x = rng.integers(limits.min, limits.max + 1, (400, length)).astype(dtype)
        x[::2] = np.maximum(x[::2], limits.max - 12)
        zero = int(rng.choice([limits.min, limits.min + 9]))
        scales, zeros = [F(step * rng.uniform(0.7, 1.4)), F(out)], [5, zero]
        made = one("QLinearSoftmax", dtype, scales, zeros, {"x": x}, axis=-1, opset=13)
        agree(three(made, {"x": x}, tmp_path), f"QLinearSoftmax {length} {dtype} {scales}")


@pytest.mark.parametrize(
    ("step", "steps", "below"),
    [
        (0.125, 247, [24, 0, 0, 97]),
        (0.25, 111, [0, 66, 80, 0, 107]),
        (0.5, 223, [208, 192, 40, 33, 194, 0, 216, 0, 142]),
    ],
)
def test_near_ties_of_softmax(step: float, steps: int, below: list[int], tmp_path: Path) -> None:
    """Codes that say whether the table was made with a logarithm in float32, as onnxruntime's."""
    x = {"x": np.array([[255 - d for d in below]], np.uint8)}
    scales, zeros = [F(step), F(1 / (steps + 0.5))], [0, 0]
    made = one("QLinearSoftmax", "uint8", scales, zeros, x, axis=-1, opset=13)
    agree(three(made, x, tmp_path), f"{below}")


# operator -> (why some codes differ, scales and zero points, codes that differ of 256 or so)
DISAGREEMENTS: dict[str, tuple[str, Callable[[], tuple[Any, dict[str, Any]]]]] = {
    "QLinearAveragePool, a mean beyond int32": (
        "x86 casts it to -2^31, the lowest code; ours saturates, as QuantizeLinear does everywhere",
        lambda: _pool(2.0**20),
    ),
    "QLinearSigmoid, a step of 2^-24": (
        "MLAS' logistic is a rational function, good to a few 2^-24; ours is 1 / (1 + exp(-x))",
        lambda: _unary("QLinearSigmoid", 0.12, 2.0**-24),
    ),
}


def _pool(step: float) -> tuple[Any, dict[str, Any]]:
    x = {"x": np.arange(256, dtype=np.uint8).reshape(64, 1, 1, 4)}
    given = {"kernel_shape": [1, 2]}
    return one("QLinearAveragePool", "uint8", [F(step), F(2.0**-10)], [0, 0], x, **given), x


def _unary(op: str, step: float, out: float) -> tuple[Any, dict[str, Any]]:
    x = {"x": np.arange(256, dtype=np.uint8).reshape(1, 256)}
    return one(op, "uint8", [F(step), F(out)], [128, 0], x), x


@pytest.mark.parametrize("what", DISAGREEMENTS)
def test_what_differs_is_named(what: str) -> None:
    why, make = DISAGREEMENTS[what]
    made, x = make()
    ours, theirs = run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0]
    assert (ours != theirs).any(), f"{what} agrees now; remove it: {why}"


@pytest.mark.parametrize("op", ["QLinearSigmoid", "QLinearLeakyRelu"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_tables_of_all_codes(op: str, dtype: str) -> None:
    rng = np.random.default_rng(len(op))
    limits = np.iinfo(dtype)
    x = {"x": np.arange(limits.min, limits.max + 1).astype(dtype).reshape(1, 256)}
    given = {"alpha": 0.3} if op == "QLinearLeakyRelu" else {}
    for kind in ("ties", "near", "shares") * 5:
        zeros = rng.integers(limits.min, limits.max + 1, 2)
        made = one(op, dtype, scales_of(kind, rng, 2), zeros, x, **given)
        ours, theirs = run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0]
        assert np.array_equal(ours, theirs), f"{op} {kind}: {(ours != theirs).sum()} codes"


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("kind", [QuantType.QUInt8, QuantType.QInt8])
def test_a_network_of_onnxruntimes_quantizer_runs_on_the_device(
    kind: Any, form: Any, tmp_path: Path
) -> None:
    made = quantized(
        network(), tmp_path, [{"x": reals(100, 4, 3, 8, 8)}], quant_format=form,
        activation_type=kind, weight_type=QuantType.QInt8,
    )  # fmt: skip
    graph = import_onnx(made.SerializeToString())
    assert "ort_elementwise" in graph.contracts, "its additions"
    write_rq(tmp_path / "m.rq", graph)
    x = {"x": reals(7, 5, 3, 8, 8)}
    ours, device = run(graph, x), Session(tmp_path / "m.rq", threads=1).run(x)
    for name, array in ours.items():
        assert array.tobytes() == device[name].tobytes(), f"{name}: not the bits of the reference"
