"""A file is there whole, or what was there before is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from refquant.formats.whole_file import whole_file


def test_what_is_written_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old", "seen before it is whole"
    assert path.read_bytes() == b"new", "not replaced"
    assert os.listdir(tmp_path) == ["f"], "something is left beside it"


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(call, fail)
    with pytest.raises(OSError, match="no space left"), whole_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old", "the old file was touched"
    assert os.listdir(tmp_path) == ["f"], "something is left beside it"


def test_a_writer_that_gives_up_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "f") as file:
        file.writelines(chunks())
    assert os.listdir(tmp_path) == [], "half a file"
