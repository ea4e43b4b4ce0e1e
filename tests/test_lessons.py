"""Each lesson proves its title, draws one figure and is quick; nothing is plotted here."""

import runpy
import sys
import time
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

LESSONS = sorted((Path(__file__).parents[1] / "docs/lessons").glob("l*.py"))
MAX_LINES, MAX_SECONDS = 80, 2.0


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_asserts_and_draws_once(
    lesson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyplot = MagicMock()
    pyplot.subplots.return_value = MagicMock(), MagicMock()
    package = ModuleType("matplotlib")
    package.__dict__["pyplot"] = pyplot
    monkeypatch.setitem(sys.modules, "matplotlib", package)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    text = lesson.read_text()
    assert "\nassert " in text, f"{lesson.name} asserts nothing"
    assert len(text.splitlines()) <= MAX_LINES, f"{lesson.name} is longer than {MAX_LINES} lines"
    begin = time.process_time()
    runpy.run_path(str(lesson))
    seconds = time.process_time() - begin
    assert pyplot.subplots.call_count == 1, f"{lesson.name} draws {pyplot.subplots.call_count}"
    assert seconds < MAX_SECONDS, f"{lesson.name} takes {seconds:.1f} s"
