"""What is noted of a loader: while it is watched, and no longer."""

import os
from pathlib import Path

from refquant_conformance.watched import watched


def test_files_and_code_are_noted_each_once(tmp_path: Path) -> None:
    with watched() as events:
        for _ in range(2):
            exec(compile("1", "a text", "exec"))
        Path("/proc/self/status").read_text()
        os.mkdir(tmp_path / "made")
    seen = events()
    assert len(set(seen)) == len(seen), "each once"
    for event in ("compile", "exec", "open /proc/self/status", "os.mkdir"):
        assert event in seen, f"{event} is not in {seen}"


def test_a_temporary_file_has_no_name_and_what_comes_later_is_not_noted(tmp_path: Path) -> None:
    with watched() as events:
        (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    os.mkdir(tmp_path / "later")
    assert events() == ("open a temporary file",), f"{events()}"
