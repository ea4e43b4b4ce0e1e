"""What a killed run leaves behind, and how the next one goes on.

Beside ``out.rq`` grows a folder, ``out.rq.partial``: ::

    job.json                  what is being made: hashes of model and data, recipe, versions
    0f3a5c....safetensors     one finished layer: its arrays, and a record of them as JSON

Each file is written under another name, synced and renamed: it is there whole or not at all, and
``kill -9`` costs one layer. A layer's file is called by the hash of its key, so that names of nodes
need not be names of files; the key is inside, with the SHA-256 of each array and of the record.

Going on with another model, other data, another recipe or version would make a file that nobody
asked for: `CheckpointError` says what differs. So does a damaged file. Without ``resume`` an
existing folder is not touched either: hours of work may be in it.

A layer is a function of the job and of the layers before it, so that a run that goes on makes the
same file, byte for byte, as one that was never killed.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.whole_file import whole_file
from refquant.model.rq_container import decode, encode
from refquant.model.rq_json import dumps, loads

__all__ = ["Checkpoint", "CheckpointError", "open_checkpoint", "partial_path",
           "remove_checkpoint"]  # fmt: skip

Arrays = Mapping[str, NDArray[Any]]

_JOB = "job.json"


class CheckpointError(ValueError):
    """The folder is of another job or damaged; the message says what differs and what to do."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A ``folder`` of finished layers of ``job``, which `open_checkpoint` has looked at."""

    folder: Path
    job: Mapping[str, Any]

    def load(self, key: str) -> tuple[dict[str, NDArray[Any]], Any] | None:
        """Return arrays and record of the layer ``key``, None if it is not finished."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            metadata, tensors = decode(path.read_bytes())
            digests = loads(metadata["sha256"])
            if metadata["key"] != key or digests != _digests(tensors, metadata["record"]):
                raise ValueError("its content is not what was written")
            return {name: np.array(array) for name, array in tensors.items()}, loads(
                metadata["record"]
            )
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{path}: damaged: {error}; remove this file, and its layer is made again"
            ) from error

    def save(self, key: str, arrays: Arrays, record: Any) -> None:
        """Write the layer ``key``; ``record`` is JSON. `OSError` if the disk does not take it."""
        if not (self.folder / _JOB).exists():  # not before there is a layer to keep
            self.folder.mkdir(exist_ok=True)
            with whole_file(self.folder / _JOB) as file:
                file.write(dumps(self.job).encode())
        stored = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
        said = dumps(record)
        metadata = {"key": key, "record": said, "sha256": dumps(_digests(stored, said))}
        with whole_file(self._path(key)) as file:
            file.writelines(encode(stored, metadata))

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def partial_path(output: str | os.PathLike[str]) -> Path:
    """Return the folder that belongs to the file ``output``.

    >>> partial_path("models/out.rq").name
    'out.rq.partial'
    """
    path = Path(output)
    return path.with_name(f"{path.name}.partial")


def open_checkpoint(
    folder: str | os.PathLike[str], job: Mapping[str, Any], *, resume: bool
) -> Checkpoint:
    """Return the checkpoint in ``folder`` of what ``job`` (JSON) describes.

    With ``resume`` a folder of the same job is gone on with, and one that is not there is made;
    `CheckpointError` for one of another job, and without ``resume`` for any that is there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "out.rq.partial"
    >>> store = open_checkpoint(folder, {"recipe": {"bits": 4}}, resume=False)
    >>> store.save("a", {"codes": np.int8([1])}, {"loss": 0.5})
    >>> again = open_checkpoint(folder, {"recipe": {"bits": 4}}, resume=True).load("a")
    >>> again[0]["codes"].tolist(), again[1]
    ([1], {'loss': 0.5})
    >>> open_checkpoint(folder, {"recipe": {"bits": 3}}, resume=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    refquant.model.checkpoint.CheckpointError: ... differs in recipe.bits (4 there, 3 now); ...
    """
    path = Path(folder)
    begun = path / _JOB
    if begun.exists() and not resume:
        raise CheckpointError(
            f"{path}: a run that was not finished has left its layers here; go on with --resume "
            "(resume=True), or remove the folder"
        )
    if begun.exists():
        _same_job(path, begun, loads(dumps(job)))
    elif any(path.glob("*.safetensors")):
        raise CheckpointError(
            f"{path}: has layers but no {_JOB}, so that nobody knows of which job they are; remove "
            "the folder and begin again"
        )
    return Checkpoint(path, job)


def remove_checkpoint(folder: str | os.PathLike[str]) -> None:
    """Remove the folder, if it is there: the file that it was for is whole.

    >>> remove_checkpoint("no such folder.partial")
    """
    if (Path(folder) / _JOB).exists():
        shutil.rmtree(folder)


def _same_job(folder: Path, begun: Path, job: Any) -> None:
    try:
        told = loads(begun.read_text("utf-8"))
        if not isinstance(told, dict) or not told:
            raise ValueError("it says nothing of a job")
        there = dict(_leaves(told, ""))
    except ValueError as error:
        raise CheckpointError(f"{begun}: damaged: {error}; remove the folder {folder}") from error
    now = dict(_leaves(job, ""))
    different = [
        f"{key} ({_brief(there, key)} there, {_brief(now, key)} now)"
        for key in sorted(there.keys() | now.keys())
        if there.get(key, "nothing") != now.get(key, "nothing")
    ]
    if different:
        raise CheckpointError(
            f"{folder}: is of another job, which differs in {', '.join(different)}; use what it "
            "was begun with, or remove the folder and begin again"
        )


def _leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of all that is no object with keys."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name, tree


def _brief(leaves: Mapping[str, Any], key: str) -> str:
    text = dumps(leaves[key]).strip('"') if key in leaves else "nothing"
    return text if len(text) <= 12 else f"{text[:8]}..."


def _digests(arrays: Arrays, record: str) -> list[dict[str, str] | str]:
    """Return the SHA-256 of each array, by its name, and that of the record."""
    each = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    return [each, hashlib.sha256(record.encode()).hexdigest()]
