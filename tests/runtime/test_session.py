"""A session: copies and bound buffers, wrong inputs, many samples, many callers, its end."""

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import write_rq
from refquant_runtime import FormatError, InputError, Session, isa
from tests.runtime.test_equivalence import same_bits
from tests.runtime.zoo import ZOO, environment, feeds_of, file_of

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "m.rq").write_bytes(file_of("movement"))
    return tmp_path / "m.rq"


def expected(name: str, feeds: Arrays) -> Arrays:
    with np.errstate(all="ignore"):
        return run(ZOO[name](), feeds)


def check(actual: Arrays, reference: Arrays, what: str) -> None:
    assert actual.keys() == reference.keys(), f"{what}: outputs"
    for name, array in reference.items():
        assert same_bits(array, actual[name]), f"{what}: {name!r} differs from the reference"


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_run_gives_the_references_bits(name: str, threads: int, tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(file_of(name))
    session = Session(tmp_path / "m.rq", threads=threads)
    assert session.threads == threads, "as many as asked for, also more than cores"
    feeds = feeds_of(name, 3)
    for _ in range(3):  # the same bits every time: nothing stays behind
        check(session.run(feeds), expected(name, feeds), f"{name}, {threads} threads")
    session.close()


@pytest.mark.parametrize("samples", [0, 1, 2, 17])
def test_any_number_of_samples(samples: int, file: Path) -> None:
    feeds = feeds_of("movement", samples)
    outputs = Session(file, threads=2).run(feeds)
    for name, array in outputs.items():
        assert len(array) == samples, f"{name} has one entry a sample"
    check(outputs, expected("movement", feeds), f"{samples} samples")


def test_bound_buffers_need_no_copies(file: Path) -> None:
    session, feeds = Session(file, threads=2), feeds_of("movement", 1)
    inputs, outputs = session.inputs, session.outputs
    for number in range(3):
        for name, array in feeds.items():
            inputs[name][...] = array + array.dtype.type(number)
        assert session.invoke() is None, "the results are in the outputs"  # type: ignore[func-returns-value]
        moved = {name: array + array.dtype.type(number) for name, array in feeds.items()}
        check(dict(outputs), expected("movement", moved), f"invocation {number}")
    assert np.shares_memory(outputs["a"], inputs["a"]), "an input that is an output is one memory"
    for array in (*inputs.values(), *outputs.values()):
        assert array.ctypes.data % 64 == 0, "aligned"
        assert np.shares_memory(array, session.plan.arena), "the plan's own memory"


def test_bound_buffers_cannot_be_swapped_for_others(file: Path) -> None:
    session = Session(file, threads=1)
    name = next(iter(session.inputs))
    with pytest.raises(TypeError, match="does not support item assignment"):
        session.inputs[name] = np.zeros(1)  # type: ignore[index] # forgets [...]
    with pytest.raises(TypeError, match="does not support item assignment"):
        session.outputs["y"] = np.zeros(1)  # type: ignore[index]


def test_results_are_copies(file: Path) -> None:
    session, feeds = Session(file, threads=1), feeds_of("movement", 2)
    first = session.run(feeds)
    kept = {name: array.copy() for name, array in first.items()}
    session.run({name: array + array.dtype.type(1) for name, array in feeds.items()})
    check(first, kept, "a later run leaves earlier results alone")


def test_inputs_may_lie_in_memory_as_they_like(file: Path) -> None:
    feeds = feeds_of("movement", 4)
    strided = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in feeds.items()}
    turned = {name: np.asfortranarray(array) for name, array in feeds.items()}
    frozen = {name: array.copy() for name, array in feeds.items()}
    for array in frozen.values():
        array.flags.writeable = False
    session = Session(file, threads=1)
    for what, other in (("strided", strided), ("turned", turned), ("read-only", frozen)):
        check(session.run(other), expected("movement", feeds), what)


WRONG: dict[str, tuple[Any, str]] = {
    "no mapping": ([1], "feeds must map names to arrays, got list"),
    "none": ({}, r"inputs are \['a', 'c'\], got \[\]"),
    "one": ({"a": 0}, r"inputs are \['a', 'c'\], got \['a'\]"),
    "another": ({"a": 0, "c": 0, "d": 0}, r"got \['a', 'c', 'd'\]"),
    "dtype": (
        {"a": np.zeros((1, 2, 3, 2), np.uint8)},
        "input 'a' must be an array of int8, got an array of uint8",
    ),
    "list": ({"a": [0]}, "input 'a' must be an array of int8, got list"),
    "float64": (
        {"c": np.zeros((1, 3, 4))},
        "input 'c' must be an array of float32, got an array of float64",
    ),
    "bytes": (
        {"c": np.zeros((1, 3, 4), ">f4")},
        "input 'c' must be an array of float32, got an array of >f4",
    ),
    "rank": ({"c": np.zeros((3, 4), np.float32)}, r"'c' must have shape \['N', 3, 4\], got \[3, 4"),
    "shape": ({"c": np.zeros((1, 3, 5), np.float32)}, r"must have shape .*, got \[1, 3, 5\]"),
    "scalar": ({"c": np.zeros((), np.float32)}, r"must have shape \['N', 3, 4\], got \[\]"),
    "samples": ({"c": np.zeros((2, 3, 4), np.float32)}, r"different numbers of samples \[1, 2\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs_are_one_error_that_names_file_and_input(name: str, file: Path) -> None:
    given, rule = WRONG[name]
    fits = feeds_of("movement", 1)
    whole = fits | given if isinstance(given, dict) and given.keys() <= fits.keys() else given
    if name in ("none", "one"):
        whole = given
    session = Session(file, threads=1)
    with pytest.raises(InputError, match=rf"m\.rq: .*{rule}"):
        session.run(whole)
    check(session.run(fits), expected("movement", fits), "and the session still works")


@pytest.mark.parametrize("threads", [0, -1, 257, 1.0, True, "2"])
def test_a_number_of_threads_that_is_none_is_refused(threads: Any, file: Path) -> None:
    with pytest.raises(InputError, match="threads must be an integer from 1 to 256, got"):
        Session(file, threads=threads)


@pytest.mark.parametrize("path", [3, None, 1.5, b"m.rq", ["m.rq"]])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(InputError, match=r"path must be a str or a pathlib.Path, got .*; pass the"):
        Session(path, threads=1)


def test_a_model_without_inputs_has_outputs(tmp_path: Path) -> None:
    b = Builder("constant")
    y = b.node("Exp", [b.constant("k", np.array([0.0, 1.0], np.float32))])
    write_rq(tmp_path / "m.rq", b.graph([y]))
    (array,) = Session(tmp_path / "m.rq", threads=2).run({}).values()
    assert array.shape == (2,), "its own shape, no samples"
    assert array[0] == 1, "computed"


@pytest.mark.parametrize("sizes", [(0,), (2, 0), (0, 3, 4)])
def test_empty_tensors_are_no_problem(sizes: tuple[int, ...], tmp_path: Path) -> None:
    b = Builder("empty")
    x = b.input("x", ("N", *sizes))
    ys = [
        b.node("Relu", [x]), b.node("Add", [x, x]), b.node("Flatten", [x]),
        b.node("Concat", [x, x], attributes={"axis": 1}),
        b.node("Transpose", [x], attributes={"perm": (0, *range(len(sizes), 0, -1))}),
        b.node("Pad", [x], attributes={"pads": (0, *[1] * len(sizes)) * 2, "value": 2.5}),
    ]  # fmt: skip
    graph = b.graph(ys)
    write_rq(tmp_path / "m.rq", graph)
    feeds: Arrays = {"x": np.zeros((2, *sizes), np.float32)}
    check(Session(tmp_path / "m.rq", threads=2).run(feeds), run(graph, feeds), f"{sizes}")


def test_an_output_without_axes_is_an_array(tmp_path: Path) -> None:
    b = Builder("scalar")
    y = b.node("Neg", [b.input("x", ())], name="y")
    write_rq(tmp_path / "m.rq", b.graph([y]))
    made = Session(tmp_path / "m.rq").run({"x": np.array(2.5, np.float32)})["y"]
    assert isinstance(made, np.ndarray), f"a {type(made).__name__} is no array"
    assert (made.shape, made.dtype, float(made)) == ((), np.dtype("f4"), -2.5), f"{made!r}"


def test_many_python_threads_may_share_a_session(file: Path) -> None:
    session = Session(file, threads=2)
    faults: list[str] = []

    def work(seed: int) -> None:
        feeds = {
            name: array + array.dtype.type(seed) for name, array in feeds_of("movement").items()
        }
        reference = expected("movement", feeds)
        for _ in range(20):
            actual = session.run(feeds)
            faults.extend(n for n in reference if not same_bits(reference[n], actual[n]))

    callers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers), "no caller waits for ever"
    assert not faults, f"every caller gets its own results, but {faults}"
    session.close()


def test_two_sessions_work_side_by_side(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.rq").write_bytes(file_of("dynamic"))
    sessions = {
        "movement": Session(file, threads=2), "dynamic": Session(tmp_path / "other.rq", threads=3),
    }  # fmt: skip
    for _ in range(5):
        for name, session in sessions.items():
            feeds = feeds_of(name)
            check(session.run(feeds), expected(name, feeds), name)
    sessions["movement"].close()
    check(sessions["dynamic"].run(feeds_of("dynamic")), expected("dynamic", feeds_of("dynamic")),
          "the other one goes on")  # fmt: skip


def ours() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("refquant-")}


def test_the_end_of_a_session_ends_its_threads(file: Path) -> None:
    gc.collect()
    for way in ("close", "garbage"):
        session = Session(file, threads=4)
        threads = list(session._ready.executor.crew.threads)
        view = session.outputs["m"]
        if way == "close":
            session.close()
            with pytest.raises(InputError, match="the session is closed"):
                session.run(feeds_of("movement"))
        del session
        gc.collect()
        deadline = time.monotonic() + 20
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not any(thread.is_alive() for thread in threads), f"{way} stops the threads"
        assert view.shape == (1, 3, 6), "a view that somebody holds keeps its memory"


def test_the_instruction_set_is_read_when_the_session_is_made(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = feeds_of("movement")
    results = []
    for name in isa.available():
        monkeypatch.setenv("REFQUANT_ISA", name)
        session = Session(file, threads=1)
        assert session.isa == name, "the one that the variable names"
        monkeypatch.setenv("REFQUANT_ISA", "none")
        results.append(session.run(feeds))  # later changes are not looked at
    for other in results[1:]:
        check(other, results[0], "the same bits on each")
    with pytest.raises(InputError, match="REFQUANT_ISA is 'none'"):
        Session(file)


def test_a_profile_has_a_line_a_step(file: Path) -> None:
    session = Session(file, threads=2)
    rows = session.profile(runs=2)
    assert len(rows) == len(session.plan.steps), "every step"
    for row in rows:
        assert set(row) == {"node", "op", "kernel", "us", "gops"}, "what people ask for"
        assert row["us"] >= 0, "a time"
    check(
        session.run(feeds_of("movement")), expected("movement", feeds_of("movement")), "afterwards"
    )


def test_loading_says_how_long_it_took_and_needs_a_file(file: Path) -> None:
    session = Session(str(file), threads=1)
    assert set(session.startup_seconds) == {"load", "plan"}, "the two parts"
    assert session.path == file, "a string is a path, too"
    with pytest.raises(FormatError, match="no such file"):
        Session(file.with_name("none.rq"))


def test_importing_the_package_imports_nothing_of_others() -> None:
    # numba looks for SciPy by itself.
    code = """
import sys, numba, llvmlite.binding
before = set(sys.modules)
import refquant_runtime, refquant_runtime.cli, refquant_runtime.commands
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(names - {"refquant_runtime", "numpy", "numba", "llvmlite"} - sys.stdlib_module_names))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.stdout.strip() == "[]", f"imported {done.stdout}{done.stderr}"


SPAWNED = """
import multiprocessing, sys
import numpy as np
from refquant_runtime import Session

def work(path):
    session = Session(path, threads=2)
    return float(session.run({"x": np.ones((2, 5), np.float32)})["y"].sum())

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        here = work(sys.argv[1])
        assert pool.map_async(work, [sys.argv[1]] * 2).get(60) == [here, here]
"""


def test_sessions_work_in_spawned_processes(tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(file_of("weight_only"))
    (tmp_path / "work.py").write_text(SPAWNED)
    command = [sys.executable, str(tmp_path / "work.py"), str(tmp_path / "m.rq")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
