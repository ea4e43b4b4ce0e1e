"""The file of a profile: what onnxruntime's has, read by the same lines of a script."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as real
import pytest

from refquant.model.build import Builder
from refquant.model.exporters.onnx_export import write_onnx
from refquant.model.rq import write_rq
from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat.onnxruntime_profile import Profile

STEP = {"node": "y", "op": "MatMul", "kernel": "gemm", "us": 2.0, "gops": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    b = Builder("small")
    x = b.input("x", ("N", 4))
    y = b.node("MatMul", [x, b.constant("w", np.ones((4, 2), np.float32))], name="y")
    write_rq(path / "m.rq", b.graph([y]))
    write_onnx(path / "m.onnx", b.graph([y]), form="float")
    return path


def test_events_are_in_the_order_and_form_of_the_trace(tmp_path: Path) -> None:
    profile = Profile(str(tmp_path / "p"))
    profile.add("Session", "model_run", 10, 5.4, batch=3)
    path = profile.end([STEP])
    assert Path(path).name.startswith("p_20"), "prefix and time"
    events = json.loads(Path(path).read_text(encoding="utf-8"))
    assert [e["name"] for e in events] == ["model_run", "y_kernel_time"], f"{events}"
    assert (events[0]["ts"], events[0]["dur"], events[0]["args"]) == (10, 5, {"batch": 3}), "as is"
    assert events[1]["args"]["op_name"] == "MatMul", "of what kind"
    assert profile.end([STEP]) == "", "once"


def test_a_script_reads_both(tmp_path: Path, folder: Path) -> None:
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        options = module.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(tmp_path / module.__name__)
        session = module.InferenceSession(str(folder / name), options)
        session.run(None, {"x": np.ones((1, 4), np.float32)})
        assert session.get_profiling_start_time_ns() > 0, module.__name__
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text())
        seen = {(e["cat"], e["name"]) for e in events}
        assert ("Session", "session_initialization") in seen, module.__name__
        assert ("Session", "model_run") in seen, module.__name__
        ops = {e["args"].get("op_name") for e in events if e["cat"] == "Node"}
        assert ops == {"MatMul"}, f"{module.__name__}: {ops}"
        assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in events), module.__name__
        assert session.end_profiling() == "", "over"


def test_without_it_there_is_no_file(folder: Path) -> None:
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        session = module.InferenceSession(str(folder / name))
        assert session.end_profiling() == "", module.__name__
        assert session.get_profiling_start_time_ns() == 0, module.__name__


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Profile(str(tmp_path / "no" / "p")).end([])
