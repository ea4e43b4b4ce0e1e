"""Variables in LiteRT 2.3.0: step by step the same bits, and what its reset does not reset."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.importers.tflite import tflite_graph
from refquant.model.rq import write_rq
from refquant.model.stream import Stream
from refquant_runtime import Session
from refquant_runtime.compat.tflite import Interpreter
from tests.refquant.model.importers.tflite_streams import FRAME, running_sum, spotter

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="asks its kernels; see `make outsiders`"
)

pytestmark = pytest.mark.torch

TOOLS = ("xnnpack", "tflite_reference")
STEPS = 9
FILES: dict[str, tuple[bytes, tuple[int, ...], str]] = {
    "sum of reals": (running_sum(), (1, FRAME), "float32"),
    "sum of codes": (running_sum("int8"), (1, FRAME), "int8"),
    "read again": (running_sum("int8", again=True), (1, FRAME), "int8"),
    "never assigned": (running_sum(assigned=False), (1, FRAME), "float32"),
    "window of codes": (spotter(), (1, 1, FRAME), "int8"),
    "window of reals": (spotter("float32"), (1, 1, FRAME), "float32"),
}


def interpreter(data: bytes, tool: str) -> Any:
    kinds = litert.OpResolverType
    resolver = kinds.AUTO if tool == "xnnpack" else kinds.BUILTIN_REF
    it = litert.Interpreter(
        model_content=data, experimental_op_resolver_type=resolver, num_threads=1
    )
    it.allocate_tensors()
    return it


def step(it: Any, x: NDArray[Any]) -> list[NDArray[Any]]:
    it.set_tensor(it.get_input_details()[0]["index"], x)
    it.invoke()
    return [it.get_tensor(made["index"]).copy() for made in it.get_output_details()]


def heard(shape: tuple[int, ...], dtype: str) -> list[NDArray[Any]]:
    rng = np.random.default_rng(4)
    whole = rng.integers(-128, 128, (STEPS, *shape))
    return list(whole.astype(dtype) if dtype == "int8" else (whole / 8).astype(dtype))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", FILES)
def test_every_step_has_litert_s_bits(name: str, tool: str, tmp_path: Path) -> None:
    data, shape, dtype = FILES[name]
    graph = tflite_graph(data, path="m.tflite", contract=tool)
    write_rq(tmp_path / "m.rq", graph)
    it, stream = interpreter(data, tool), Stream(graph)
    session, ours = Session(tmp_path / "m.rq", threads=2), Interpreter(tmp_path / "m.rq")
    ours.allocate_tensors()
    for number, x in enumerate(heard(shape, dtype)):
        want = step(it, x)
        for what, got in {
            "the reference": list(stream.run({"x": x}).values()),
            "the runtime": list(session.run({"x": x}).values()),
            "the shim": step(ours, x),
        }.items():
            for a, b in zip(got, want, strict=True):
                assert a.tobytes() == b.tobytes(), f"step {number}: {what}"
    fresh = step(interpreter(data, tool), heard(shape, dtype)[0])
    session.reset()
    ours.reset_all_variables()
    x = heard(shape, dtype)[0]
    for got in (list(session.run({"x": x}).values()), step(ours, x)):
        for a, b in zip(got, fresh, strict=True):
            assert a.tobytes() == b.tobytes(), "a reset is a new interpreter"


DISAGREEMENTS = {
    "reset": "reset_all_variables is for tensors that are variables themselves, as SVDF has them, "
    "and leaves what VAR_HANDLE names; ours resets that, as a new interpreter does",
    "never filled": "a variable that is read before anything was put in it holds whatever memory "
    "holds, by XNNPACK; the reference kernels fail; we refuse the file",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_its_reset_leaves_variables_as_they_are(tool: str) -> None:
    it, x = interpreter(running_sum(), tool), np.ones((1, FRAME), np.float32)
    step(it, x)
    it.reset_all_variables()
    (y,) = step(it, x)
    assert y.tolist() == [[3, 4, 5, 6]], f"{DISAGREEMENTS['reset']}: gone, if this fails"


def test_what_was_never_filled_is_an_error_in_its_reference() -> None:
    it = interpreter(running_sum(begins=False), "tflite_reference")
    with pytest.raises(RuntimeError, match="variable != nullptr"):
        step(it, np.ones((1, FRAME), np.float32))
