"""The commands of the page on streams, on small files of the names that it has."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from refquant.model.rq import read_rq, write_rq
from tests.refquant.model.importers.test_onnx_states import recurrent
from tests.refquant.model.importers.tflite_streams import spotter
from tests.refquant.model.streams import feeds, lstm
from tests.test_how_to import MAIN, lines

PAGE = "stream-audio.md"
SILERO = Path(__file__).parents[1] / "assets/silero_vad"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keyword_spotting_streaming.tflite").write_bytes(spotter())
    (tmp_path / "whole_recordings.onnx").write_bytes(recurrent().SerializeToString())
    write_rq(tmp_path / "detector.rq", lstm())
    (tmp_path / "recordings").mkdir()
    np.savez(tmp_path / "recording.npz", x=feeds(lstm(), 6, length=4)["x"])
    for i in range(2):
        np.savez(tmp_path / f"recordings/{i}.npz", x=feeds(lstm(), 9, length=4, seed=i)["x"])
    return tmp_path


def test_the_commands_of_the_page_run(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done, scores = [], []
    for name, *arguments in lines(PAGE):
        if any("vad" in word for word in arguments):
            continue  # silero: below
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
        done.append(arguments[0])
        if arguments[0] == "run":
            with np.load(files / "scores.npz") as archive:
                scores.append(archive["y"].tobytes())
    assert done == ["import", "import", "run", "run", "quantize", "compare"], "all of them"
    assert scores[0] == scores[1], "the page says: the same bits"
    assert [s.name for s in read_rq(files / "stream.rq").states] == ["rnn/h", "rnn/c"], "streaming"
    assert [s.name for s in read_rq(files / "kws.rq").states] == ["heard"], "its variable"


@pytest.mark.models
def test_the_page_imports_silero(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in SILERO.glob("*.onnx"):
        shutil.copy(file, files)
    ours = [line for line in lines(PAGE) if any("vad" in word for word in line)]
    assert len(ours) == 5, f"{ours}"
    for name, *arguments in ours:
        capsys.readouterr()
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
        if arguments[0] == "inspect":
            said = "state  state: state is what stateN was; zeros at first\n"
            assert said in capsys.readouterr().out, "what the page shows"
