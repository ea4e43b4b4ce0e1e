"""Finished layers survive whatever kills a run; another job's layers are refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.checkpoint import (
    CheckpointError,
    open_checkpoint,
    partial_path,
    remove_checkpoint,
)

JOB = {"graph": "ab" * 32, "recipe": {"weights": {"bits": 4}}, "calibration": {"x": "cd" * 32}}
ARRAYS: dict[str, Any] = {
    "codes": np.array([[1, -2]], np.int8),
    "scale": np.array([[np.float32(0.1)]], np.float32),
    "zero_point": np.array(0, np.int32),
}


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    folder = tmp_path / "o.rq.partial"
    store = open_checkpoint(folder, JOB, resume=False)
    assert not folder.exists(), "nothing to keep, no folder"
    assert store.load("layer/a") is None, "nothing is finished"
    store.save("layer/../a\nb", ARRAYS, {"loss": 0.1, "n": None})
    again = open_checkpoint(folder, JOB, resume=True)
    found = again.load("layer/../a\nb")
    assert found is not None, "a key may be anything"
    arrays, record = found
    assert record == {"loss": 0.1, "n": None}, "the record is JSON"
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].shape == array.shape, name
        assert arrays[name].tobytes() == array.tobytes(), name
    assert again.load("layer/b") is None, "another layer is not finished"


def test_a_folder_is_not_touched_without_resume(tmp_path: Path) -> None:
    folder = tmp_path / "o.rq.partial"
    open_checkpoint(folder, JOB, resume=False).save("a", ARRAYS, {})
    with pytest.raises(CheckpointError, match="go on with --resume"):
        open_checkpoint(folder, JOB, resume=False)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"graph": "ef" * 32}, r"differs in graph \(abababab... there, efefefef... now\)"),
        ({"recipe": {"weights": {"bits": 3}}}, r"recipe.weights.bits \(4 there, 3 now\)"),
        ({"calibration": {"x": "00"}}, r"calibration.x \(cdcdcdcd... there, 00 now\)"),
        ({"calibration": None}, r"calibration \(nothing there, null now\), calibration.x"),
        ({"versions": {"numpy": "9"}}, r"versions.numpy \(nothing there, 9 now\)"),
    ],
)
def test_another_job_is_refused_and_named(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "o.rq.partial"
    open_checkpoint(folder, JOB, resume=False).save("a", ARRAYS, {})
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint(folder, {**JOB, **changed}, resume=True)


def test_damage_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "o.rq.partial"
    store = open_checkpoint(folder, JOB, resume=False)
    store.save("a", ARRAYS, {"loss": 0.5})
    (path,) = folder.glob("*.safetensors")
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole + b"\0", b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"damaged: .*; remove this file"):
            store.load("a")
    path.write_bytes(whole)
    assert store.load("a") is not None, "the whole file is read"
    path.replace(store._path("b"))
    with pytest.raises(CheckpointError, match="damaged"):
        store.load("b")
    (folder / "job.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"job.json: damaged.*remove the folder"):
        open_checkpoint(folder, JOB, resume=True)


def test_damage_to_a_record_is_seen(tmp_path: Path) -> None:
    store = open_checkpoint(tmp_path / "p", JOB, resume=False)
    store.save("a", ARRAYS, {"loss": 0.125})
    (path,) = (tmp_path / "p").glob("*.safetensors")
    whole = path.read_bytes()
    assert whole.count(b"0.125") == 1, "in the record"
    path.write_bytes(whole.replace(b"0.125", b"0.127"))
    with pytest.raises(CheckpointError, match="its content is not what was written"):
        store.load("a")


@pytest.mark.parametrize("said", ["{}", "[]", "null", "3"])
def test_a_job_that_says_nothing_is_damaged(tmp_path: Path, said: str) -> None:
    open_checkpoint(tmp_path / "p", JOB, resume=False).save("a", ARRAYS, {})
    (tmp_path / "p" / "job.json").write_text(said)
    with pytest.raises(CheckpointError, match=r"job\.json: damaged: it says nothing of a job"):
        open_checkpoint(tmp_path / "p", JOB, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_layers_of_nobody_knows_which_job_are_refused(tmp_path: Path, resume: bool) -> None:
    open_checkpoint(tmp_path / "p", JOB, resume=False).save("a", ARRAYS, {})
    (tmp_path / "p" / "job.json").unlink()
    with pytest.raises(CheckpointError, match=r"has layers but no job\.json"):
        open_checkpoint(tmp_path / "p", JOB, resume=resume)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "o.rq.partial"
    store = open_checkpoint(folder, JOB, resume=False)
    store.save("a", ARRAYS, {})
    before = sorted(folder.iterdir())

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save("b", ARRAYS, {})
    assert sorted(folder.iterdir()) == before, "half a file, or its temporary one"
    assert store.load("b") is None, "what was not written is not finished"


def test_the_folder_goes_when_it_is_ours_only(tmp_path: Path) -> None:
    folder = tmp_path / "o.rq.partial"
    open_checkpoint(folder, JOB, resume=False).save("a", ARRAYS, {})
    remove_checkpoint(folder)
    assert not folder.exists(), "the file is there, the layers are not needed"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    remove_checkpoint(folder)
    assert (folder / "thesis.tex").exists(), "a folder without job.json is not ours"


def test_the_job_is_readable(tmp_path: Path) -> None:
    folder = partial_path(tmp_path / "o.rq")
    open_checkpoint(folder, JOB, resume=True).save("a", ARRAYS, {})
    assert json.loads((folder / "job.json").read_text()) == JOB, "what is being made, for people"
