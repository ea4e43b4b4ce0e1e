"""What the commands share."""

import json
import os
import sys
from pathlib import Path

import pytest

from refquant.cli.common import (
    check_writable,
    decimals,
    need_tables,
    plain,
    print_json,
    print_table,
    progress,
    sentence,
    whole_file,
)


def test_a_sentence_names_file_and_reason() -> None:
    error = FileNotFoundError(2, "No such file or directory", "a.toml")
    assert sentence(error).startswith("a.toml: no such file or directory; "), sentence(error)


@pytest.mark.parametrize("error", [ValueError("a\nb\x07"), ValueError(), MemoryError(), OSError()])
def test_a_sentence_is_one_printable_line(error: Exception) -> None:
    said = sentence(error)
    assert said, "nothing"
    assert said.isprintable(), f"not printable: {said!r}"


def test_plain_keeps_what_can_be_read() -> None:
    assert plain("größe [bold]\u202e") == "größe [bold]\\u202e", plain("größe [bold]\u202e")


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.125, 2, "0.12"), (-0.004, 2, "0.00"), (205544, 0, "205,544"), (None, 3, "-")],
)
def test_decimals(value: float | None, places: int, text: str) -> None:
    assert decimals(value, places) == text, f"{decimals(value, places)!r}"


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": None})
    assert json.loads(capsys.readouterr().out) == {"a": None}, "not JSON"
    with pytest.raises(ValueError, match="JSON"):
        print_json({"a": float("nan")})


def test_a_table_in_a_pipe_neither_wraps_nor_trails(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60
    print_table({"name": "left", "n": "right"}, [(long, 1), ("[red]x[/red]", "\x1b[0m")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4, f"heading, rule, two rows: {lines}"
    assert all(line == line.rstrip() for line in lines), "blanks at the end of a line"
    assert lines[3].startswith("[red]x[/red]"), f"markup was obeyed: {lines[3]}"
    assert "\x1b" not in "".join(lines), "an escape sequence came through"


def test_without_rich_a_table_names_the_extra_and_progress_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install '\.\[cli\]', or say --json"):
        need_tables()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress() as bar:
        bar("work", 3)(1)


def test_progress_in_a_pipe_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as bar:
        bar("work", 3)(1)
    assert capsys.readouterr() == ("", ""), "something was shown"


def test_progress_on_a_terminal_goes_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as bar:
        bar("work [bold]", 3)(3)
    captured = capsys.readouterr()
    assert captured.out == "", f"wrote to stdout: {captured.out}"
    assert "work [bold]" in captured.err, f"no bar: {captured.err!r}"


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "a.npz"
    with pytest.raises(TypeError), whole_file(target) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    with whole_file(target) as file:
        file.write(b"whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"], "something was left behind"
    assert target.read_bytes() == b"whole", "another content"


def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.rq")
    with pytest.raises(ValueError, match="is a folder; give the path of a file"):
        check_writable(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a device or a pipe; give the path of a file"):
        check_writable(tmp_path / "pipe")
    with pytest.raises(ValueError, match="there is no folder"):
        check_writable(tmp_path / "no" / "new.rq")
    with pytest.raises(ValueError, match="cannot be written"), whole_file(tmp_path / "no" / "x"):
        pass
