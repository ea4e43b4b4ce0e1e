"""Archives of arrays: what is written is read, and whatever is not one is one error."""

import os
import stat
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant_runtime import InputError, data
from refquant_runtime.data import check_writable, read_npz, write_npz

ARRAYS: dict[str, NDArray[Any]] = {
    "x": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "file": np.array(3, np.int8),  # numpy.savez cannot write this name
    "a/b c": np.zeros((0, 4), np.uint8),
}


def test_what_is_written_is_read_by_us_and_by_numpy(tmp_path: Path) -> None:
    file = tmp_path / "y.npz"
    assert write_npz(file, ARRAYS) == file.stat().st_size, "its size"
    with np.load(file) as archive:
        for read in (read_npz(file), archive):
            for name, array in ARRAYS.items():
                same = read[name].dtype == array.dtype and np.array_equal(read[name], array)
                assert same, name
    np.savez_compressed(file, x=ARRAYS["x"])
    assert np.array_equal(read_npz(file)["x"], ARRAYS["x"]), "compressed ones are read, too"


def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "y.npz"
    write_npz(file, {"x": np.ones(3)})
    before = file.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data, "_savez", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); choose"):
        write_npz(file, ARRAYS)
    assert file.read_bytes() == before, "the old file is untouched"
    assert os.listdir(tmp_path) == ["y.npz"], "nothing half written stays"


def test_a_new_file_has_the_users_mode(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_npz(tmp_path / "y.npz", ARRAYS)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "y.npz")}
    assert modes["plain"] == modes["y.npz"], f"others may read it if they may read any: {modes}"


@pytest.mark.parametrize("name", ["no/such/folder/y.npz", "", "a\0b"])
def test_a_place_that_cannot_be_written_is_one_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_npz(f"{tmp_path}/{name}", ARRAYS)
    assert os.listdir(tmp_path) == [], "nothing appears"


def test_a_place_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "y.npz")
    os.mkfifo(tmp_path / "pipe")
    problems = {
        tmp_path: "it is a folder); give the path of a file",
        Path(): "it is a folder); give the path of a file",
        tmp_path / "pipe": "it is a device or a pipe); give the path of a file",
        tmp_path / "no" / "y.npz": f"there is no folder {tmp_path / 'no'}); make it first",
        tmp_path / ("y" * 300): "File name too long); choose another place",
    }
    for path, problem in problems.items():
        for refuse in (check_writable, lambda place: write_npz(place, ARRAYS)):
            with pytest.raises(InputError) as caught:
                refuse(path)
            assert str(caught.value) == f"{path}: cannot be written ({problem}", "what, and remedy"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"this user may not write to .*\); choose another place"):
        check_writable(tmp_path / "y.npz")
    assert os.listdir(tmp_path) == ["pipe"], "nothing appears"


def test_what_is_no_archive_is_one_error(tmp_path: Path) -> None:
    files: dict[str, bytes] = {"empty": b"", "text": b"hello", "zip": b"PK\3\4" + b"\0" * 50}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "single.npy", ARRAYS["x"])
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "pickle.npz", x=objects)
    for name in (*files, "single.npy", "pickle.npz"):
        with pytest.raises(InputError, match=rf"{name}: not a readable .npz file \(.*; write it"):
            read_npz(tmp_path / name)
    for path in (tmp_path / "none.npz", Path("a\0b")):
        with pytest.raises(InputError, match=r"no such file; give an \.npz file"):
            read_npz(path)
    with pytest.raises(InputError, match=r"is not a file; give an \.npz file"):
        read_npz(tmp_path)


def test_an_archive_that_may_not_be_read_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    write_npz(tmp_path / "x.npz", ARRAYS)
    monkeypatch.setattr(zipfile, "ZipFile", denied)
    with pytest.raises(InputError, match="this user may not read it; give a file that can be read"):
        read_npz(tmp_path / "x.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bomb.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(10**6))
    monkeypatch.setattr(data, "LIMIT", 10**5)
    with pytest.raises(InputError, match="unpacks to 1000000 bytes, more than 100000; split it"):
        read_npz(file)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("npz") / "x.npz"
    np.savez_compressed(file, x=ARRAYS["x"], z=np.arange(100))
    return file


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore")  # of numpy.load and zipfile, about what they guess
@given(
    cut=st.floats(0, 1),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), max_size=4),
)
def test_damaged_archives_are_one_error_or_arrays(
    archive: Path, cut: float, places: list[tuple[float, int]]
) -> None:
    content = bytearray(archive.read_bytes())
    for place, bit in places:
        content[int(place * len(content))] ^= 1 << bit
    other = archive.with_name("damaged.npz")
    other.write_bytes(content if places else content[: int(cut * len(content))])
    with suppress(InputError):
        assert isinstance(read_npz(other), dict), "arrays, or the one error"
