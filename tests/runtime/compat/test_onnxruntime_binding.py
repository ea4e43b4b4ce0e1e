"""The same bindings over onnxruntime and over the runtime."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as real
import pytest

from refquant.model.build import Builder
from refquant.model.exporters.onnx_export import write_onnx
from refquant.model.rq import write_rq
from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat.onnxruntime_binding import IOBinding

X = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
Pair = tuple[ModuleType, Any]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    b = Builder("small")
    w = b.constant("w", np.arange(8, dtype=np.float32).reshape(4, 2))
    x = b.input("x", ("N", 4))
    graph = b.graph([b.node("MatMul", [x, w], name="y"), b.node("Relu", [x], name="z")])
    path = tmp_path_factory.mktemp("models")
    write_rq(path / "m.rq", graph)
    write_onnx(path / "m.onnx", graph, form="float")
    return [
        (real, real.InferenceSession(str(path / "m.onnx"))),
        (ours, ours.InferenceSession(str(path / "m.rq"))),
    ]


def arrays(module: ModuleType, s: Any) -> Any:
    io, x = s.io_binding(), X.copy()
    io.bind_cpu_input("x", x)
    io.bind_output("z")
    io.bind_output("y", "cpu")
    io.bind_output("z")  # again: its place stays
    io.synchronize_inputs()
    s.run_with_iobinding(io)
    first = [a.tolist() for a in io.copy_outputs_to_cpu()]
    x[0, 0] = 99  # seen by the next run
    s.run_with_iobinding(io, module.RunOptions())
    io.synchronize_outputs()
    return first, [v.numpy().tolist() for v in io.get_outputs()]


def values(module: ModuleType, s: Any) -> Any:
    io = s.io_binding()
    io.bind_ortvalue_input("x", module.OrtValue.ortvalue_from_numpy(X))
    out = module.OrtValue.ortvalue_from_shape_and_type([3, 2], np.float32)
    io.bind_ortvalue_output("y", out)
    s.run_with_iobinding(io)
    return out.numpy().tolist(), io.get_outputs()[0].shape()


def addresses(module: ModuleType, s: Any) -> Any:
    io, out = s.io_binding(), np.zeros((3, 2), np.float32)
    io.bind_input("x", "cpu", 0, np.float32, X.shape, X.ctypes.data)
    io.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    s.run_with_iobinding(io)
    return out.tolist()


def cleared(module: ModuleType, s: Any) -> Any:
    io = s.io_binding()
    io.bind_cpu_input("x", np.asfortranarray(X))
    io.bind_output("y")
    s.run_with_iobinding(io)
    io.clear_binding_outputs()
    io.bind_output("z")
    s.run_with_iobinding(io)
    return [v.numpy().tolist() for v in io.get_outputs()]


@pytest.mark.parametrize("script", [arrays, values, addresses, cleared])
def test_a_script_has_the_same_answers(
    pairs: list[Pair], script: Callable[[ModuleType, Any], Any]
) -> None:
    theirs, mine = (script(*pair) for pair in pairs)
    assert mine == theirs, f"{mine}"


def bound(s: Any, x: Any = X, *outputs: str) -> Any:
    io = s.io_binding()
    io.bind_cpu_input("x", x)
    for name in outputs:
        io.bind_output(name)
    return io


def into(module: ModuleType, s: Any, array: Any) -> None:
    io = bound(s)
    io.bind_ortvalue_output("y", module.OrtValue.ortvalue_from_numpy(array))
    s.run_with_iobinding(io)


WRONG: dict[str, tuple[Callable[[ModuleType, Any], object], str]] = {
    "no output": (lambda m, s: s.run_with_iobinding(bound(s)), "At least one output"),
    "nothing": (lambda m, s: s.run_with_iobinding(s.io_binding()), "At least one output"),
    "another name": (lambda m, s: s.io_binding().bind_cpu_input("q", X), "with name: q"),
    "a list": (lambda m, s: bound(s, X.tolist()), "Unable to create OrtValue"),
    "float64": (lambda m, s: s.run_with_iobinding(bound(s, X.astype(float), "y")),
                r"Actual: \(tensor\(double\)\) , expected: \(tensor\(float\)\)"),
    "another output": (lambda m, s: s.run_with_iobinding(bound(s, X, "q")), "Error in execution"),
    "shape": (lambda m, s: into(m, s, np.zeros((2, 2), np.float32)), r"has shape .2, ?2. but"),
    "type": (lambda m, s: into(m, s, np.zeros((3, 2))), "Unexpected output data type"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_runtime_errors_there_and_here(pairs: list[Pair], name: str) -> None:
    call, said = WRONG[name]
    for module, session in pairs:
        with pytest.raises(RuntimeError, match=said):
            call(module, session)


def test_the_width_of_memory_is_asked_for(pairs: list[Pair]) -> None:
    for _, session in pairs:
        with pytest.raises(ValueError, match="`element_type` and `shape` are to be provided"):
            session.io_binding().bind_output("y", buffer_ptr=1)


def test_what_is_not_here_is_said(pairs: list[Pair]) -> None:
    """onnxruntime dies of a missing input, or of memory that is none; here it is an error."""
    io = IOBinding(pairs[1][1])
    io.bind_output("y")
    with pytest.raises(RuntimeError, match="Required inputs"):
        pairs[1][1].run_with_iobinding(io)
    with pytest.raises(RuntimeError, match="buffer_ptr"):
        io.bind_output("y", "cpu", 0, np.float32, (3, 2), 0)
    with pytest.raises(RuntimeError, match="'cpu' only"):
        io.bind_output("y", "cuda")
    with pytest.raises(RuntimeError, match="must be an OrtValue"):
        io.bind_ortvalue_input("x", X)  # type: ignore[arg-type]  # the point


def test_a_failed_run_leaves_memory_alone(pairs: list[Pair]) -> None:
    session = pairs[1][1]
    io, good = bound(session), np.full((3, 4), 7, np.float32)
    io.bind_ortvalue_output("z", ours.OrtValue.ortvalue_from_numpy(good))
    io.bind_ortvalue_output("y", ours.OrtValue.ortvalue_from_numpy(np.zeros((1, 2), np.float32)))
    with pytest.raises(RuntimeError, match="has shape"):
        session.run_with_iobinding(io)
    assert (good == 7).all(), "nothing is written"
