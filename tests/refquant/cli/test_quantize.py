"""A model and a recipe make a file; what does not fit makes a sentence and no file."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.demo_data import load_demo
from refquant.model.build import Builder
from refquant.model.checkpoint import open_checkpoint, partial_path
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe, recipe_names
from refquant.model.rq import read_rq, rq_bytes, write_rq

Refquant = Callable[..., Any]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_what_the_library_makes(
    name: str, refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "q.rq"
    done = refquant("quantize", model, "--recipe", name, "--calibration", data, "-o", out, "--json")
    assert done.code == 0, done.err
    expected = quantize(read_rq(model), recipe(name), {"x": np.load(data)["x"]})
    assert out.read_bytes() == rq_bytes(expected), "other bytes than the library's"
    result = json.loads(done.out)
    assert (result["recipe"], result["output"]) == (name, str(out)), f"{result}"
    assert result["bytes"] == out.stat().st_size, f"{result}"
    assert result["bytes_before"] == model.stat().st_size, f"{result}"
    assert result["bytes_before_of"] == "file", f"{result}"


def test_steps_of_calibration_do_not_change_the_bytes(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    x = np.random.default_rng(3).standard_normal((70, 4)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=x)
    (tmp_path / "mine.toml").write_text(
        'scheme = "static"\ncontract = "ort"\n[activations]\nobserver = "moving_average"\n'
        "[activations.options]\nmomentum = 0.9\n[weights]\nbits = 8\n"
    )
    options = ("--recipe", tmp_path / "mine.toml", "--calibration", tmp_path / "c.npz")
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == 0, done.err
    expected = quantize(read_rq(model), recipe(tmp_path / "mine.toml"), {"x": x})
    assert (tmp_path / "q.rq").read_bytes() == rq_bytes(expected), "batches changed the result"


def test_weights_alone_need_no_calibration(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    done = refquant("quantize", model, "--recipe", "w8_weight_only", "-o", tmp_path / "q.rq")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{tmp_path / 'q.rq'}: "), done.out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--recipe", "w9"), 2, "unknown recipe 'w9'; there are float32,"),
        (("--recipe", "w8a8_tflite"), 2, "needs --calibration D.npz"),
        (("--recipe", "no.toml"), 1, "no.toml: no such file or directory"),
        (("--recipe", "w8a8_tflite", "--calibration", "no.npz"), 1, "no.npz: no such file"),
    ],
)
def test_recipes_and_data_that_are_not_there(
    options: tuple[str, ...],
    code: int,
    said: str,
    refquant: Refquant,
    model: Path,
    tmp_path: Path,
) -> None:
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == code, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err
    assert not (tmp_path / "q.rq").exists(), "a partial output"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('scheme = "float33"', "'float33'"),
        ("scheme = ", "mine"),
        ('scheme = "weight_only"\ncontract = "ort"\n[weights]\nbits = 8\n'
         '[[override]]\nnodes = "conv*"\nexclude = true\n', "conv*"),
    ],
)  # fmt: skip
def test_recipes_that_mean_nothing(
    toml: str, said: str, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(toml)
    options = ("--recipe", tmp_path / "mine.toml", "-o", tmp_path / "q.rq")
    done = refquant("quantize", model, *options)
    assert done.code == 1, f"exit code {done.code}"
    assert said in done.err, done.err


def test_nan_in_calibration_is_refused(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    x = np.zeros((3, 4), np.float32)
    x[1, 2] = np.nan
    np.savez(tmp_path / "c.npz", x=x)
    options = ("--recipe", "w8a8_tflite", "--calibration", tmp_path / "c.npz")
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "'x'" in done.err, f"does not name the input: {done.err}"


def test_a_quantized_model_is_not_quantized_again(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    options = ("--recipe", "w8_weight_only", "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "the first time"
    again = (*options[:-1], tmp_path / "again.rq")
    done = refquant("quantize", tmp_path / "q.rq", *again)
    assert done.code == 1, f"exit code {done.code}"
    assert "quantize takes a float32 graph" in done.err, done.err


def test_what_is_read_is_not_overwritten(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    before = model.read_bytes(), data.read_bytes()
    (tmp_path / "alias.rq").symlink_to(model)
    for output in (model, data, tmp_path / "alias.rq"):
        options = ("--scheme", "int4_gptq", "--calibration", data, "-o", output)
        done = refquant("quantize", model, *options)
        assert done.code == 2, f"exit code {done.code}: {done.err}"
        assert f"{output}: is what is read; give another path" in done.err, done.err
    assert (model.read_bytes(), data.read_bytes()) == before, "both are as they were"


def test_other_formats_and_outputs_that_cannot_be_written(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    done = refquant("quantize", "m.onnx", "--recipe", "float32", "-o", tmp_path / "q.rq")
    assert "m.onnx: cannot be read" in done.err, done.err
    done = refquant("quantize", model, "--recipe", "float32", "-o", tmp_path / "no" / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "there is no folder" in done.err, done.err


LAYERS = 3
KILLED = """
import os, signal, sys
left, fsync = int(sys.argv[1]), os.fsync
def counted(fd):
    global left
    left -= 1
    if left == 0:  # all is written, nothing is renamed yet: the worst moment
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(fd)
os.fsync = counted
from refquant.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def job(tmp_path: Path) -> tuple[Path, ...]:
    """A network of three products that groups can be scaled between, and correlated inputs."""
    rng = np.random.default_rng(5)
    b = Builder("three")
    h = b.input("x", ("N", 16))
    for i in range(LAYERS):
        w = b.constant(f"w{i}", rng.standard_normal((16, 16)).astype(np.float32))
        h = b.node("MatMul", [h, w], name=f"layer{i}")
        h = h if i == LAYERS - 1 else b.node("Relu", [h], name=f"relu{i}")
    write_rq(tmp_path / "float.rq", b.graph([h]))
    mixed = rng.standard_normal((16, 16)) * np.exp2(-np.arange(16))
    np.savez(tmp_path / "d.npz", x=(rng.standard_normal((64, 16)) @ mixed).astype(np.float32))
    return tmp_path / "float.rq", tmp_path / "d.npz"


def _command(job: tuple[Path, ...], scheme: str, out: Path) -> list[str]:
    model, data = map(str, job)
    return ["quantize", model, "--scheme", scheme, "--calibration", data, "-o", str(out)]


@pytest.mark.usefixtures("child_path")
@pytest.mark.parametrize(
    ("scheme", "after"),
    # One write says what the job is, then one for each scale and layer, then the file.
    [("int4_gptq", 1), ("int4_gptq", 3), ("int4_gptq", LAYERS + 2), ("int4_awq", 4)],
)
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    scheme: str, after: int, refquant: Refquant, job: tuple[Path, ...], tmp_path: Path
) -> None:
    out, whole = tmp_path / "q.rq", tmp_path / "whole.rq"
    assert refquant(*_command(job, scheme, whole)).code == 0, "the undisturbed run"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(after), *_command(job, scheme, out)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, f"{killed.returncode}: {killed.stderr}"
    assert not out.exists(), "a file that is not whole"
    layers = list(partial_path(out).glob("*.safetensors"))
    assert len(layers) == max(after - 2, 0), f"finished before it was killed: {layers}"
    if layers:
        again = refquant(*_command(job, scheme, out))
        assert again.code == 1, "hours of work are not overwritten unasked"
        assert "go on with --resume" in again.err, again.err
    done = refquant(*_command(job, scheme, out), "--resume")
    assert done.code == 0, done.err
    assert out.read_bytes() == whole.read_bytes(), "other bytes than the undisturbed run's"
    assert not partial_path(out).exists(), "the layers are in the file now"


KILLED_LATER = """
import os, signal, sys, threading
from refquant.model.checkpoint import Checkpoint
left, seconds, save = int(sys.argv[1]), float(sys.argv[2]), Checkpoint.save
def counted(*args):
    global left
    save(*args)
    left -= 1
    if left == 0:  # so many are safe; what runs some time later is killed, whatever it is
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
Checkpoint.save = counted
from refquant.cli.main import main
main(sys.argv[3:])
os.kill(os.getpid(), signal.SIGKILL)  # it was faster
"""


@pytest.fixture(scope="module")
def demo_job(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, ...], bytes, int]:
    """The demo's network and 128 of its images; the undisturbed run's file, and its layers."""
    folder, data = tmp_path_factory.mktemp("demo"), load_demo(1)
    calibration = {data.input: data.calibration[:128]}
    np.savez(folder / "d.npz", **calibration)  # type: ignore[arg-type]  # NumPy 2.3: allow_pickle
    write_rq(folder / "float.rq", data.graph)
    made = quantize(data.graph, recipe("int4_gptq"), calibration)
    layers = len(made.meta["numerics"]["layers"])
    return (folder / "float.rq", folder / "d.npz"), rq_bytes(made), layers


@pytest.mark.usefixtures("child_path")
@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_anywhere_goes_on_to_the_same_bytes(
    seed: int, demo_job: tuple[tuple[Path, ...], bytes, int], refquant: Refquant, tmp_path: Path
) -> None:
    """At any layer, and anywhere in what follows: the walk, the search, a file half written."""
    job, whole, layers = demo_job
    rng = np.random.default_rng(seed)
    layer, seconds = int(rng.integers(1, layers)), float(rng.uniform(0, 0.2))
    out = tmp_path / "q.rq"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_LATER, str(layer), str(seconds),
         *_command(job, "int4_gptq", out)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, f"{killed.returncode}: {killed.stderr}"
    kept = len(list(partial_path(out).glob("*.safetensors")))
    assert kept >= layer or out.exists(), f"{kept} layers are left of {layer}"
    done = refquant(*_command(job, "int4_gptq", out), "--resume")
    assert done.code == 0, done.err
    assert out.read_bytes() == whole, f"killed {seconds:.3f} s after layer {layer}: other bytes"
    assert not partial_path(out).exists(), "the layers are in the file now"


@pytest.mark.usefixtures("child_path")
def test_resuming_another_job_says_what_differs(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path
) -> None:
    out = tmp_path / "q.rq"
    subprocess.run([sys.executable, "-c", KILLED, "3", *_command(job, "int4_gptq", out)],
                   capture_output=True, check=False, timeout=60)  # fmt: skip
    np.savez(tmp_path / "other.npz", x=np.ones((32, 16), np.float32))
    other = refquant(*_command((job[0], tmp_path / "other.npz"), "int4_gptq", out), "--resume")
    assert other.code == 1, "another job"
    assert "differs in calibration.x (" in other.err, other.err
    other = refquant(*_command(job, "int3_gptq", out), "--resume")
    assert "recipe.weights.bits (4 there, 3 now)" in other.err, other.err
    assert "recipe.name (int4_gptq there" in other.err, other.err
    assert partial_path(out).exists(), "what is there stays there"


def test_schemes_are_recipes_by_name(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    for kind, name in (("scheme", "int8_static"), ("recipe", "w8a8_static_per_channel")):
        out = tmp_path / f"{kind}.rq"
        done = refquant("quantize", model, f"--{kind}", name, "--calibration", data, "-o", out)
        assert done.code == 0, done.err
    a, b = (read_rq(tmp_path / f"{kind}.rq") for kind in ("scheme", "recipe"))
    assert a.constants.keys() == b.constants.keys(), "two names of one thing"
    assert all(a.constants[k].tobytes() == b.constants[k].tobytes() for k in a.constants), "bytes"
    assert a.meta["recipe"]["name"] == "int8_static", "recorded as it was asked for"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "one of the arguments --scheme --recipe is required"),
        (("--scheme", "int8_static", "--recipe", "int8_static"), "not allowed with"),
        (("--scheme", "int9"), "unknown scheme 'int9'; there are float32,"),
        (("--scheme", "mine.toml"), "unknown scheme 'mine.toml'"),
        (("--scheme", "int4_gptq"), "needs --calibration D.npz"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], said: str, refquant: Refquant, model: Path) -> None:
    done = refquant("quantize", model, *options, "-o", "q.rq")
    assert done.code == 2, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err


def test_a_full_disk_costs_no_finished_layer(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.rq", tmp_path / "q.rq"
    assert refquant(*_command(job, "int4_gptq", whole)).code == 0, "with room"
    fsync, left = os.fsync, 3

    def full(fd: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        fsync(fd)

    monkeypatch.setattr("os.fsync", full)
    done = refquant(*_command(job, "int4_gptq", out))
    assert done.code == 1, f"exit code {done.code}"
    assert f"{out}: cannot be written: no space left on device" in done.err, done.err
    assert f"finished layers are in {out}.partial; make room" in done.err, done.err
    assert "--resume" in done.err, done.err
    assert not list(tmp_path.rglob("*.tmp")), "rubbish on a disk that is full already"
    monkeypatch.setattr("os.fsync", fsync)
    assert refquant(*_command(job, "int4_gptq", out), "--resume").code == 0, "there is room again"
    assert out.read_bytes() == whole.read_bytes(), "the same file"


@pytest.mark.parametrize("scheme", ["int8_static", "fp8_static", "fp8_dynamic", "int8_dynamic"])
@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_layers_of_another_job_survive_every_scheme(
    scheme: str, options: tuple[str, ...], refquant: Refquant, job: tuple[Path, ...], tmp_path: Path
) -> None:
    out, kept = tmp_path / "q.rq", tmp_path / "q.rq.partial"
    open_checkpoint(kept, {"hours": 9}, resume=False).save("a", {"w": np.ones(1, np.int8)}, {})
    done = refquant(*_command(job, scheme, out), *options)
    assert done.code == 1, f"exit code {done.code}: {done.err}"
    assert "another job" in done.err if options else "go on with --resume" in done.err, done.err
    assert len(list(kept.iterdir())) == 2, "hours of work are in it"
    assert not out.exists(), "and nothing was made"


def test_a_full_disk_without_layers_is_a_sentence(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = refquant(*_command(job, "int8_static", tmp_path / "q.rq"))
    assert done.code == 1, f"exit code {done.code}"
    said = "q.rq: cannot be written: no space left on device; make room, or give another path"
    assert said in done.err, done.err
    assert not list(tmp_path.glob("*q.rq*")), "nothing half-written"


def test_a_folder_that_may_not_be_written_is_refused_before_work(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs tests may be root, who may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    done = refquant(*_command(job, "int4_gptq", tmp_path / "q.rq"))
    assert done.code == 1, f"exit code {done.code}"
    assert "this user may not write there" in done.err, done.err


def test_layers_are_listed_for_scripts_and_nothing_is_shown_in_a_pipe(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path
) -> None:
    done = refquant(*_command(job, "int4_gptq", tmp_path / "q.rq"), "--json")
    layers = json.loads(done.out)["layers"]
    assert [layer["node"] for layer in layers] == ["layer0", "layer1", "layer2"], layers
    assert all(0 < layer["loss"] < 1 for layer in layers), layers
    assert done.err == "", "progress is for terminals"


def test_a_terminal_sees_each_layer_and_its_loss(
    refquant: Refquant, job: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    done = refquant(*_command(job, "int4_gptq", tmp_path / "q.rq"))
    assert done.code == 0, done.err
    assert "1/3 layer0: gptq uint4, loss" in done.err, done.err
    assert "3/3 layer2: gptq uint4, loss" in done.err, done.err
