"""examples/pth_tensors.py reads checkpoints as PyTorch wrote them, and runs nothing.

There is no PyTorch here: a file is put together from pieces of pickles, with PyTorch's names.
"""

import importlib.util
import os
import pickle
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "examples/pth_tensors.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pth_tensors", SCRIPT)
    assert spec is not None, f"{SCRIPT} is not there"
    assert spec.loader is not None, f"{SCRIPT} cannot be loaded"
    module = importlib.util.module_from_spec(spec)
    sys.modules["pth_tensors"] = module
    spec.loader.exec_module(module)
    return module


pth = load_script()
HEAD = [pth.MAGIC, pth.PROTOCOL, {"little_endian": True}]


@dataclass
class Tensor:
    """A tensor of a storage of six elements, and how it is said in a pickle."""

    key: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    def said(self) -> bytes:
        storage = b"(" + body("storage") + b"ctorch\nFloatStorage\n"
        storage += b"".join(body(item) for item in (self.key, "cpu", 6, None)) + b"tQ"
        rest = (self.offset, self.shape, self.strides, False, None)
        arguments = storage + b"".join(body(item) for item in rest)
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def body(obj: Any) -> bytes:
    """A pickle without its beginning and its end: to be put into another."""
    return pickle.dumps(obj, 2)[2:-1]


def pickled(obj: Any) -> bytes:
    if isinstance(obj, dict) and any(isinstance(value, Tensor) for value in obj.values()):
        pairs = b"".join(body(key) + value.said() for key, value in obj.items())
        return b"\x80\x02}(" + pairs + b"u."
    return pickle.dumps(obj, 2)


def checkpoint(path: Path, tensors: Any, *, head: list[Any] = HEAD, size: int = 6) -> Path:
    parts = [*map(pickled, head), pickled(tensors), pickled(["a"])]
    parts += [struct.pack("<q", size), np.arange(6, dtype="<f4").tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def test_strides_and_offsets_are_followed(tmp_path: Path) -> None:
    tensors = {
        "rows": Tensor("a", (2, 3), (3, 1)),
        "columns": Tensor("a", (2, 3), (1, 2)),
        "one": Tensor("a", (), (), 4),
        "last": Tensor("a", (2,), (1,), 4),
        "again": Tensor("a", (2, 2), (0, 1)),
    }
    got = {k: v.tolist() for k, v in pth.read_pth(checkpoint(tmp_path / "x.pth", tensors)).items()}
    assert got == {
        "rows": [[0, 1, 2], [3, 4, 5]], "columns": [[0, 2, 4], [1, 3, 5]], "one": 4.0,
        "last": [4, 5], "again": [[0, 1], [0, 1]],
    }, f"{got}"  # fmt: skip


BEYOND = {
    "offset": Tensor("a", (2,), (1,), 5),
    "shape": Tensor("a", (7,), (1,)),
    "stride": Tensor("a", (2, 2), (5, 1)),
    "negative": Tensor("a", (2,), (-1,), 3),
    "fewer strides": Tensor("a", (2, 2), (1,)),
    "empty": Tensor("a", (0,), (1,)),
}


@pytest.mark.parametrize("name", BEYOND)
def test_nothing_beyond_a_storage_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tensor 't'"):
        pth.read_pth(checkpoint(tmp_path / "x.pth", {"t": BEYOND[name]}))


class Evil:
    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("place", range(4))
def test_a_program_is_refused_and_not_run(place: int, tmp_path: Path) -> None:
    objects = [*HEAD, {"t": Tensor("a", (2,), (1,))}]
    objects[place] = {"t": Evil(tmp_path / "made")}
    path = checkpoint(tmp_path / "x.pth", objects[3], head=objects[:3])
    with pytest.raises(ValueError, match=r"asks for '(posix|nt) mkdir'"):
        pth.read_pth(path)
    assert not (tmp_path / "made").exists(), "it ran"


def test_another_file_is_refused(tmp_path: Path) -> None:
    good = {"t": Tensor("a", (2,), (1,))}
    with pytest.raises(ValueError, match="not a legacy PyTorch checkpoint"):
        pth.read_pth(checkpoint(tmp_path / "x.pth", good, head=[1, *HEAD[1:]]))
    with pytest.raises(ValueError, match="another size"):
        pth.read_pth(checkpoint(tmp_path / "x.pth", good, size=7))
    path = checkpoint(tmp_path / "x.pth", good)
    for cut in range(len(path.read_bytes())):
        (tmp_path / "cut.pth").write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ValueError):  # noqa: PT011  # whatever it says: no other exception
            pth.read_pth(tmp_path / "cut.pth")
