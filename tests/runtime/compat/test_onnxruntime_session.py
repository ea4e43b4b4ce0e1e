"""The same script over onnxruntime and over the runtime: answers, shapes, types, errors.

One graph is exported to ONNX for the one, and written as `.rq` for the other.
"""

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as real
import pytest

from refquant.model.build import Builder
from refquant.model.exporters.onnx_export import write_onnx
from refquant.model.rq import write_rq
from refquant_runtime import InputError
from refquant_runtime.compat import onnxruntime as ours
from tests.refquant.model.streams import sums
from tests.runtime.zoo import codes_cnn

X = np.arange(12, dtype=np.float32).reshape(3, 4) - 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small integers: both have the same bits."""
    b = Builder("small")
    w = b.constant("w", np.arange(8, dtype=np.float32).reshape(4, 2))
    x = b.input("x", ("N", 4))
    graph = b.graph([b.node("MatMul", [x, w], name="y"), b.node("Relu", [x], name="z")],
                    meta={"made": "here"})  # fmt: skip
    path = tmp_path_factory.mktemp("models")
    for name, made in (("m", graph), ("q", codes_cnn("ort"))):
        write_rq(path / f"{name}.rq", made)
        form = "float" if name == "m" else "qoperator"
        write_onnx(path / f"{name}.onnx", made, form=form)
    return path


def both(folder: Path, name: str = "m") -> list[tuple[ModuleType, Any]]:
    return [
        (real, real.InferenceSession(str(folder / f"{name}.onnx"))),
        (ours, ours.InferenceSession(str(folder / f"{name}.rq"))),
    ]


@pytest.mark.parametrize("name", ["m", "q"])
def test_ends_are_described_alike(folder: Path, name: str) -> None:
    ends = [
        [(end.name, end.shape, end.type) for end in (*s.get_inputs(), *s.get_outputs())]
        for _, s in both(folder, name)
    ]
    assert ends[0] == ends[1], f"{ends}"


@pytest.mark.parametrize("names", [None, [], ["z"], ["z", "y"], ("y",)])
def test_outputs_are_those_that_are_asked_for(folder: Path, names: Any) -> None:
    theirs, mine = (s.run(names, {"x": X}) for _, s in both(folder))
    assert type(mine) is type(theirs) is list, "a list"
    assert len(mine) == len(theirs), f"{len(mine)}"
    for a, b in zip(mine, theirs, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b), f"{a} {b}"  # noqa: PT018  # one claim


def test_codes_and_reals_of_a_quantized_model(folder: Path) -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32)
    theirs, mine = (s.run(None, {s.get_inputs()[0].name: x}) for _, s in both(folder, "q"))
    for a, b in zip(mine, theirs, strict=True):
        assert np.array_equal(a, b), "the codes we promise"


@pytest.mark.parametrize(
    "x", [X.tolist(), X[:0], np.asfortranarray(X), X[:, ::-1]], ids=["list", "none", "F", "view"]
)
def test_what_is_fed_may_look_different(folder: Path, x: Any) -> None:
    theirs, mine = (s.run(["y"], {"x": x})[0] for _, s in both(folder))
    assert mine.shape == theirs.shape, f"{mine.shape}"
    assert np.array_equal(mine, theirs), f"{mine}"


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "an output": (lambda s: s.run(["q"], {"x": X}), "Invalid output name:q"),
    "no input": (lambda s: s.run(None, {}), r"Required inputs \(\['x'\]\) are missing"),
    "another input": (lambda s: s.run(None, {"q": X}), "Required inputs"),
    "one too many": (lambda s: s.run(None, {"x": X, "q": X}), "Invalid input name: q"),
    "float64": (lambda s: s.run(None, {"x": X.astype(np.float64)}),
                r"Actual: \(tensor\(double\)\) , expected: \(tensor\(float\)\)"),
    "rank": (lambda s: s.run(None, {"x": X[0]}), "Invalid rank for input: x Got: 1 Expected: 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_say_the_same(folder: Path, name: str) -> None:
    call, said = WRONG[name]
    kinds = []
    for _, session in both(folder):
        with pytest.raises(Exception, match=said) as caught:
            call(session)
        kinds.append(type(caught.value).__name__)
    assert kinds[0] == kinds[1] or kinds == ["ValueError", "ValueError"], f"{kinds}"


def test_another_size_is_refused(folder: Path) -> None:
    kinds = []
    for _, session in both(folder):
        with pytest.raises(Exception, match="x") as caught:
            session.run(None, {"x": np.ones((3, 5), np.float32)})
        kinds.append(type(caught.value).__name__)
    assert kinds == ["InvalidArgument"] * 2, f"{kinds}"


def test_a_path_that_is_not_there(folder: Path) -> None:
    for module, name in ((real, "no.onnx"), (ours, "no.rq")):
        with pytest.raises(Exception, match="File doesn't exist") as caught:
            module.InferenceSession(str(folder / name))
        assert type(caught.value).__name__ == "NoSuchFile", module.__name__
        with pytest.raises(TypeError, match="Unable to load from type"):
            module.InferenceSession(3)


def test_an_onnx_file_is_refused_with_the_command(folder: Path) -> None:
    with pytest.raises(InputError, match=r"refquant import m.onnx -o m.rq"):
        ours.InferenceSession(str(folder / "m.onnx"))
    with pytest.raises(InputError, match=r"refquant import MODEL"):
        ours.InferenceSession((folder / "m.onnx").read_bytes())


def test_bytes_are_models(folder: Path) -> None:
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        session = module.InferenceSession((folder / name).read_bytes())
        assert session.run(["z"], {"x": X})[0].shape == (3, 4), module.__name__


def test_providers_that_are_not_there_are_a_warning(folder: Path) -> None:
    assert ours.get_available_providers() == ["CPUExecutionProvider"], "one"
    assert set(ours.get_available_providers()) <= set(real.get_available_providers()), "it has it"
    path = folder / "m.rq"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.InferenceSession(path, providers=["CPUExecutionProvider"])
        ours.InferenceSession(path, None, [("CPUExecutionProvider", {"arena": "0"})])
        ours.InferenceSession(path, providers=[])
    cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        with pytest.warns(UserWarning, match="Specified provider 'CUDAExecutionProvider' is not"):
            session = module.InferenceSession(str(folder / name), providers=cuda)
        assert session.get_providers() == ["CPUExecutionProvider"], module.__name__
    for wrong in ([3], "CPUExecutionProvider"):
        with pytest.raises(ValueError, match="'providers'"):
            ours.InferenceSession(path, providers=wrong)  # type: ignore[arg-type]  # the point


def test_threads_are_those_that_are_asked_for(folder: Path) -> None:
    options = ours.SessionOptions()
    options.intra_op_num_threads = 3
    session = ours.InferenceSession(folder / "m.rq", options)
    assert session.get_session_options() is options, "kept"
    assert session._session.threads == 3, "used"
    options.intra_op_num_threads = -1
    with pytest.raises(ours.InvalidArgument, match="intra_op_num_threads"):
        ours.InferenceSession(folder / "m.rq", options)


def test_the_file_says_what_it_is(folder: Path) -> None:
    theirs, mine = (s.get_modelmeta() for _, s in both(folder))
    assert mine.graph_name == theirs.graph_name == "small", "the name"
    assert mine.producer_name == theirs.producer_name == "refquant", "who"
    assert mine.custom_metadata_map == {"made": "here"}, f"{mine.custom_metadata_map}"
    for name in mine.__dataclass_fields__:
        assert hasattr(theirs, name), f"{name} is none of its"


def test_a_state_is_no_input_but_may_be_fed(tmp_path: Path) -> None:
    write_rq(tmp_path / "s.rq", sums())
    session = ours.InferenceSession(tmp_path / "s.rq")
    assert [given.name for given in session.get_inputs()] == ["x"], "what has a state is not fed"
    x = np.ones((1, 2), np.float32)
    got = [session.run(None, {"x": x})[0].tolist() for _ in range(2)]
    assert got == [[[2, 3]], [[3, 4]]], "it goes on"
    assert session.run(None, {"x": x, "before": x})[0].tolist() == [[2, 2]], "what is fed wins"


def waited(session: Any, names: Any, feed: Any, given: Any = None) -> tuple[Any, ...]:
    done, said = threading.Event(), []

    def callback(*arguments: Any) -> None:
        said.append(arguments)
        done.set()

    session.run_async(names, feed, callback, "mine", given)
    assert done.wait(60), "it is called"
    return tuple(said[0])


def test_a_run_in_a_thread_calls_back(folder: Path) -> None:
    for _, session in both(folder):
        outputs, user, error = waited(session, ["y"], {"x": X})
        assert (user, error) == ("mine", ""), "well"
        assert outputs[0].tolist() == session.run(["y"], {"x": X})[0].tolist(), "the same"
        outputs, user, error = waited(session, ["q"], {"x": X})
        assert (outputs, user) == ([], "mine"), "nothing"
        assert "Invalid output name:" in error, error
        with pytest.raises(ValueError, match="Required inputs"):
            session.run_async(None, {}, print, None)


def test_values_go_in_and_come_out(folder: Path) -> None:
    for module, session in both(folder):
        value = module.OrtValue.ortvalue_from_numpy(X)
        got = session.run_with_ort_values(["z"], {"x": value}, module.RunOptions())
        assert [type(v) for v in got] == [module.OrtValue], "values"
        assert got[0].numpy().tolist() == np.maximum(X, 0).tolist(), "relu"
        assert len(session.run_with_ort_values(None, {"x": value})) == 2, "all"
        assert session.run(["z"], {"x": value})[0].tolist() == got[0].numpy().tolist(), "run too"
        with pytest.raises(ValueError, match="Required inputs"):
            session.run_with_ort_values(None, {})
    with pytest.raises(ours.InvalidArgument, match="must be an OrtValue, got ndarray"):
        session.run_with_ort_values(None, {"x": X})


def test_what_was_told_to_end_does_not_begin(folder: Path) -> None:
    for module, session in both(folder):
        options = module.RunOptions()
        options.terminate = True
        with pytest.raises(module.capi.onnxruntime_pybind11_state.Fail, match="terminate flag"):
            session.run(None, {"x": X}, options)
        io = session.io_binding()
        io.bind_cpu_input("x", X)
        io.bind_output("y")
        with pytest.raises(Exception, match="terminate flag"):
            session.run_with_iobinding(io, options)
        options.terminate = False
        assert len(session.run(None, {"x": X}, options)) == 2, "and now it does"


def test_sizes_that_options_fix(folder: Path) -> None:
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        options = module.SessionOptions()
        options.add_free_dimension_override_by_name("N", 3)
        options.add_free_dimension_override_by_name("nobody", 5)
        session = module.InferenceSession(str(folder / name), options)
        ends = [*session.get_inputs(), *session.get_outputs()]
        assert [end.shape for end in ends] == [[3, 4], [3, 2], [3, 4]], module.__name__
        assert len(session.run(None, {"x": X})) == 2, "of that size"
        with pytest.raises(Exception, match=r"index: 0 Got: 2 Expected: 3"):
            session.run(None, {"x": X[:2]})


def test_providers_are_set_again(folder: Path) -> None:
    for module, session in both(folder):
        session.disable_fallback()
        session.enable_fallback()
        session.set_providers(["CPUExecutionProvider"])
        with pytest.warns(UserWarning, match="Specified provider 'CUDAExecutionProvider' is not"):
            session.set_providers(["CUDAExecutionProvider", "CPUExecutionProvider"])
        assert session.get_providers() == ["CPUExecutionProvider"], module.__name__
        assert session.get_provider_options() == {"CPUExecutionProvider": {}}, module.__name__
        session.release_captured_graph(0)
        assert session.get_overridable_initializers() == [], module.__name__


def test_a_session_may_be_made_with_all_arguments(folder: Path) -> None:
    for module, name in ((real, "m.onnx"), (ours, "m.rq")):
        session = module.InferenceSession(
            path_or_bytes=str(folder / name), sess_options=module.SessionOptions(),
            providers=["CPUExecutionProvider"], provider_options=[{}], enable_fallback=False,
            disabled_optimizers=["ConstantFolding"],
        )  # fmt: skip
        assert len(session.get_inputs()) == 1, module.__name__
