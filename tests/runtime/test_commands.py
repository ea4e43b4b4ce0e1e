"""What the commands print: keys that scripts rely on, numbers that add up, files as they were."""

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.rq import rq_bytes
from refquant_runtime import InputError, Session, __version__, isa
from refquant_runtime.commands import run_bench, run_doctor, run_info, run_profile, run_run
from refquant_runtime.contracts import EXECUTED
from refquant_runtime.data import read_npz, write_npz
from refquant_runtime.jobs import digest_of
from tests.refquant.model.streams import feeds, lstm
from tests.runtime.test_equivalence import same_bits
from tests.runtime.zoo import ZOO, feeds_of, file_of


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "m.rq").write_bytes(file_of("movement"))
    return str(tmp_path / "m.rq")


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    streams = capsys.readouterr()
    assert not streams.err, "nothing on stderr"
    return json.loads(streams.out)


def test_info_describes_the_file(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_info(Namespace(model=model, json=True))
    told = printed(capsys)
    assert told["bytes"] == len(file_of("movement")), "its size"
    assert told["inputs"] == {
        "a": "int8[N, 2, 3, 2] scale 0.5 zero_point -3", "c": "float32[N, 3, 4]",
    }, "its inputs"  # fmt: skip
    assert told["outputs"]["m"] == "float32[N, 3, 6]", "its outputs"
    assert told["operators"] == {
        "Transpose": 1, "Pad": 1, "Concat": 1, "Reshape": 1, "DequantizeLinear": 1, "MatMul": 1,
        "Conv": 1, "Identity": 1,
    }, "its operators"  # fmt: skip
    assert told["contracts"] == ["ort"], "its arithmetic"
    assert told["weight_bytes"] == 6, "24 codes of two bits"
    assert told["macs"] == 3 * 4 * 6 + 4 * 2 * 4 * 3, "products and convolution"


def test_run_writes_what_the_reference_computes(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feeds = feeds_of("movement", 3)
    write_npz(tmp_path / "x.npz", feeds | {"labels": np.arange(3)})  # more may lie beside them
    target = str(tmp_path / "y.npz")
    run_run(
        Namespace(model=model, input=str(tmp_path / "x.npz"), output=target, threads=2, json=True)
    )
    told, outputs, expected = printed(capsys), read_npz(target), run(ZOO["movement"](), feeds)
    assert (told["samples"], told["threads"], told["written"]) == (3, 2, target), "what was done"
    assert told["isa"] == isa.chosen(), "and with what"
    for name, array in expected.items():
        assert same_bits(array, outputs[name]), f"{name} differs"
        described = told["outputs"][name]
        assert described == {
            "dtype": array.dtype.name, "shape": list(array.shape), "sha256": digest_of(array),
        }, name  # fmt: skip


@pytest.mark.parametrize("name", ["weight_only", "passing", "dynamic"])
def test_run_without_input_runs_on_zeros(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.rq").write_bytes(file_of(name))
    run_run(Namespace(model=str(tmp_path / "m.rq"), input=None, output=None, threads=1, json=True))
    told = printed(capsys)
    assert told["samples"] == 1, "one, or a graph without samples"
    assert told["written"] is None, "no file"
    assert os.listdir(tmp_path) == ["m.rq"], "really none"


def test_run_refuses_a_bad_output_before_it_loads_the_model(tmp_path: Path) -> None:
    for output in (str(tmp_path), "", ".", str(tmp_path / "no" / "y.npz")):
        with pytest.raises(InputError, match=r"cannot be written \(.*\); (give|make) "):
            run_run(Namespace(model="none.rq", input=None, output=output, threads=1, json=True))


def test_run_of_no_samples_is_refused(model: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "x.npz", feeds_of("movement", 0))
    data = str(tmp_path / "x.npz")
    with pytest.raises(InputError, match=r"x\.npz: .* holds no samples; give at least one"):
        run_run(Namespace(model=model, input=data, output=None, threads=1, json=True))


def test_bench_has_the_keys_of_the_benchmarks(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_bench(Namespace(model=model, threads=2, runs=7, length=1, json=True))
    told = printed(capsys)
    assert {"model", "engine", "threads", "median_ms", "version"} <= told.keys(), "never renamed"
    assert (told["engine"], told["version"]) == ("refquant-runtime", __version__), "who"
    assert (told["model"], told["threads"], told["runs"]) == (model, 2, 7), "what"
    assert 0 < told["min_ms"] <= told["median_ms"] <= told["p90_ms"], "in order"


def test_profile_has_a_line_a_step(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_profile(Namespace(model=model, threads=1, runs=3, length=1, json=True))
    rows = printed(capsys)
    steps = Session(model, threads=1).plan.steps
    assert [row["node"] for row in rows] == [step.node for step in steps], "every step, in order"
    run_profile(Namespace(model=model, threads=1, runs=3, length=1, json=False))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows) + 2, "a head, a line a step, and the sum"


def test_profile_of_nothing_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.rq").write_bytes(file_of("passing"))
    for as_json in (True, False):
        run_profile(
            Namespace(model=str(tmp_path / "m.rq"), threads=1, runs=3, length=1, json=as_json)
        )
    assert capsys.readouterr().out.startswith("[]\n"), "no steps"


def test_doctor_says_what_this_machine_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFQUANT_ISA", "portable")
    run_doctor(Namespace(json=True))
    told = printed(capsys)
    assert told["refquant-runtime"] == __version__, "the version"
    assert told["isa"] == told["REFQUANT_ISA"] == "portable", "what was asked for"
    assert told["isa_available"] == list(isa.available()), "what there is"
    assert {"ort", "xnnpack", "tflite_reference"} <= set(told["contracts"]), "what runs"
    assert told["contracts"] == list(EXECUTED), "what the loader takes"
    assert {"numpy", "numba", "llvmlite", "kernel_cache", "cores"} <= told.keys(), "what one asks"


def test_doctor_names_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from refquant_runtime import commands

    monkeypatch.setattr(commands, "cache_folder", lambda: None)
    run_doctor(Namespace(json=False))
    assert "problem: no folder for compiled kernels; set NUMBA_CACHE_DIR" in capsys.readouterr().out


@pytest.mark.parametrize("command", [run_info, run_bench, run_run, run_doctor])
def test_people_get_lines(command: Any, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"input": None, "output": None}
    command(Namespace(model=model, threads=1, runs=3, length=1, json=False, **nothing))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5, "a line a fact"
    assert all("  " in line for line in lines), "key and value"


def test_a_model_of_sequences_is_measured_at_a_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.rq"
    path.write_bytes(file_of("sentence"))
    run_info(Namespace(model=str(path), json=True))
    assert printed(capsys)["inputs"]["ids"] == "int32[N, T]", "any number of steps"
    run_bench(Namespace(model=str(path), threads=1, runs=3, length=5, json=True))
    assert printed(capsys)["length"] == 5, "the plan of that length"
    path.write_bytes(file_of("float_cnn"))
    with pytest.raises(InputError, match="no input is a sequence"):
        run_profile(Namespace(model=str(path), threads=1, runs=1, length=2, json=True))


def test_info_and_run_of_a_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tmp_path / "s.rq")
    Path(model).write_bytes(rq_bytes(lstm(length=2, batch=1)))
    run_info(Namespace(model=model, json=True))
    told = printed(capsys)
    assert told["states"] == {"h": "float32[1, 1, 4]", "c": "float32[1, 1, 4]"}, "its states"
    assert list(told["inputs"]) == ["x"], "which are no inputs to feed"
    x = feeds(lstm(length=2), 4)["x"]
    write_npz(tmp_path / "x.npz", {"x": x[:, None]})
    source, target = str(tmp_path / "x.npz"), str(tmp_path / "y.npz")
    run_run(Namespace(model=model, input=source, output=target, threads=1, json=True))
    assert printed(capsys)["samples"] == 4, "steps"
    expected = run(lstm(length=2), {"x": x})["y"]
    assert read_npz(target)["y"][:, 0].tobytes() == expected.tobytes(), "of one stream"
