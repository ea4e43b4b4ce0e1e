"""Which paths external data may have: everything else is a tensor named in an error."""

import os
from pathlib import Path

import pytest

from refquant.model.importers.onnx_external import external_size, read_external
from refquant.model.importers.onnx_wire import OnnxFormatError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.bin").write_bytes(bytes(range(16)))
    (inside / "sub").mkdir()
    (inside / "sub" / "v.bin").write_bytes(b"12345678")
    (tmp_path / "secret").write_bytes(b"secret!!")
    return inside


def test_bytes_from_an_offset(folder: Path) -> None:
    where = {"location": "w.bin", "offset": "4", "length": "8"}
    assert read_external(folder, where, 8, "w") == bytes(range(4, 12)), "offset 4, 8 bytes"
    assert read_external(folder, {"location": "sub/v.bin"}, 8, "v") == b"12345678", "a folder below"
    assert external_size(folder, {"location": "w.bin"}, "w") == 16, "the whole file"


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/passwd",
        "sub/../../secret",
        "",
        "C:\\x",
        "\\\\host\\x",
        "..\\secret",
        "a\0b",
    ],
)
def test_places_outside_are_refused(folder: Path, location: str) -> None:
    for ask in (
        lambda: read_external(folder, {"location": location}, 8, "w"),
        lambda: external_size(folder, {"location": location}, "w"),
    ):
        with pytest.raises(OnnxFormatError, match="tensor 'w': external data lies in the model's"):
            ask()


def test_links_are_refused(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "there").symlink_to(folder.parent)
    os.link(folder.parent / "secret", folder / "hard")
    for location, what in (("link", "link"), ("there/secret", "link"), ("hard", "of its own")):
        with pytest.raises(OnnxFormatError, match=what):
            read_external(folder, {"location": location}, 8, "w")
    (folder / "ring").symlink_to(folder / "ring")
    with pytest.raises(OnnxFormatError, match="link"):
        external_size(folder, {"location": "ring"}, "w")


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ({"location": "none.bin"}, "No such file"),
        ({"location": "sub"}, "no file of its own|Is a directory"),
        ({"location": "w.bin", "offset": "12"}, "bytes 12 to 20 of 'w.bin', which has 16"),
        ({"location": "w.bin", "offset": "-4"}, "offset of external data is a number"),
        ({"location": "w.bin", "offset": "9" * 30}, "offset of external data is a number"),
        ({"location": "w.bin", "length": "7"}, "needs 8 bytes, external data has 7"),
        ({"location": "w.bin", "length": "x"}, "length of external data is a number"),
    ],
)
def test_bytes_that_are_not_there(folder: Path, where: dict[str, str], what: str) -> None:
    with pytest.raises(OnnxFormatError, match=what):
        read_external(folder, where, 8, "w")


def test_a_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(OnnxFormatError, match="no file of its own"):
        read_external(folder, {"location": "pipe"}, 8, "w")


def test_a_model_of_bytes_has_no_folder() -> None:
    with pytest.raises(OnnxFormatError, match="needs the model's folder"):
        read_external(None, {"location": "w.bin"}, 8, "w")


@pytest.mark.parametrize("kept", range(8))
def test_a_read_that_is_short_is_no_tensor(
    folder: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.fdopen

    class Short:
        """A file that shrinks between the question for its size and the read."""

        def __init__(self, handle: int, mode: str) -> None:
            self.file = opened(handle, mode)

        def __enter__(self) -> "Short":
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def seek(self, at: int) -> None:
            self.file.seek(at)

        def read(self, count: int) -> bytes:
            return bytes(self.file.read(min(count, kept)))

    monkeypatch.setattr(os, "fdopen", Short)
    with pytest.raises(OnnxFormatError, match="ends early"):
        read_external(folder, {"location": "w.bin", "length": "8"}, 8, "w")
