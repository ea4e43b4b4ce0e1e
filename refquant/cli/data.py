"""Arrays from ``.npz`` files for a graph, and arrays into them.

An archive is read as what it is, a zip of ``.npy`` files, and only the arrays that are asked for:
each one's header is checked against the size of its entry before anything is allocated, objects
(which would be pickled) are refused, and so is an archive that unpacks to more than `LIMIT` bytes.

Data are float32, as the model's users have them. A model whose input holds codes gets the codes of
these reals, by the input's parameters and the contract of the node that reads it first.
"""

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import whole_file
from refquant.formats.affine import dequantize, quantize
from refquant.model.ends import input_contract
from refquant.model.graph import DTYPES, Graph, fits, has_batch
from refquant.model.params import qparams_of
from refquant.model.states import free_inputs
from refquant.model.stream import has_steps

__all__ = [
    "LIMIT",
    "encode",
    "in_reals",
    "load",
    "read_npz",
    "sample_count",
    "write_npz",
]

Arrays = dict[str, NDArray[Any]]

LIMIT = 2**32
"""Bytes that the arrays of one archive may unpack to."""


def load(path: str, graph: Graph, *, labels: bool = False) -> tuple[Arrays, NDArray[Any] | None]:
    """Return what ``graph`` is run on, checked, and the array ``labels`` if it is asked for.

    Where there are states, the arrays are those of a recording: `refquant.model.stream.pieces`.
    """
    names = free_inputs(graph)
    arrays = read_npz(path, [*names, *(["labels"] if labels else [])])
    inputs = encode(graph, {name: arrays[name] for name in names})
    try:
        samples = _check(graph, inputs)
        if not labels:
            return inputs, None
        found = arrays["labels"]
        if found.dtype.kind not in "iu" or found.shape != (samples,):
            raise ValueError(
                f"'labels' must be {samples} integers, one a sample, got {found.dtype} of shape "
                f"{list(found.shape)}; give each sample the number of its class"
            )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return inputs, found


def encode(graph: Graph, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return ``arrays`` with float32 ones turned into codes where the graph's input holds codes."""
    return {name: _encode(graph, name, array) for name, array in arrays.items()}


def _encode(graph: Graph, name: str, array: NDArray[Any]) -> NDArray[Any]:
    contract = input_contract(graph, name)
    if graph.values[name].quant is None or array.dtype != np.float32 or contract is None:
        return array
    container = DTYPES[graph.values[name].dtype].container
    return quantize(array, qparams_of(graph, name), contract=contract).astype(container)


def in_reals(graph: Graph, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return what the computed ``array`` of the value ``name`` means."""
    if graph.values[name].quant is None:
        return array
    return dequantize(array, qparams_of(graph, name))


def sample_count(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> int:
    """Return the number of samples of checked ``inputs``: 1 without a batch or steps."""
    names, many = free_inputs(graph), has_batch(graph) or has_steps(graph, inputs)
    return len(inputs[names[0]]) if names and many else 1


def _check(graph: Graph, inputs: Arrays) -> int:
    """Refuse arrays that are not the graph's inputs; return the number of samples."""
    counts, sizes, stepped = set(), dict[str, int](), has_steps(graph, inputs)
    for name in free_inputs(graph):
        value, array = graph.values[name], inputs[name]
        container = DTYPES[value.dtype].container
        if array.dtype != container:
            reals = f" (or the reals, float32, that {value.dtype} codes stand for)"
            raise ValueError(
                f"array {name!r} must be {container}{reals if value.quant else ''}, got "
                f"{array.dtype}; convert it with .astype({container.name!r})"
            )
        if not fits(value.shape, array.shape[1:] if stepped else array.shape, sizes):
            raise ValueError(
                f"array {name!r} must have shape [{', '.join(map(str, value.shape))}], "
                f"got {list(array.shape)}; reshape it"
            )
        if value.shape[:1] == ("N",) or stepped:
            counts.add(len(array))
        sizes.pop("N", None)  # counted, and said in its own words
    if len(counts) > 1:
        raise ValueError(
            f"inputs have different numbers of samples {sorted(counts)}; make them one"
        )
    if 0 in counts:
        raise ValueError("holds no samples; give at least one")
    return counts.pop() if counts else 1


def read_npz(path: str | os.PathLike[str], names: Collection[str]) -> Arrays:
    """Return the arrays ``names`` of the archive; whatever is odd is one `ValueError`."""
    where = Path(path)
    if not where.is_file():
        kind = "is not a file" if where.exists() else "no such file"
        raise ValueError(f"{path}: {kind}; give an .npz file with one array an input")
    try:
        with zipfile.ZipFile(where) as archive:
            entries = _entries(archive, names)
            return {name: _array(archive, entry) for name, entry in entries.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be read: {reason}; give a whole .npz file") from error
    except (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        # RuntimeError: encrypted, or (NotImplementedError) a compression that nobody has
        raise ValueError(f"{path}: not an .npz file: {error}; write it with numpy.savez") from error


def _entries(archive: zipfile.ZipFile, names: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of the arrays ``names``."""
    infos = archive.infolist()
    listed = [info.filename.removesuffix(".npy") for info in infos]
    for name in names:
        if name not in listed:
            has = ", ".join(map(repr, listed[:8])) + (", ..." if len(listed) > 8 else "")
            raise ValueError(f"has no array {name!r}, but {has or 'nothing'}; rename its arrays")
        if listed.count(name) > 1:
            raise ValueError(f"has more than one array {name!r}; keep one")
    wanted = {name: infos[listed.index(name)] for name in names}
    total = sum(info.file_size for info in wanted.values())
    if total > LIMIT:
        raise ValueError(f"unpacks to {total:,} bytes, more than {LIMIT:,}; split it")
    return wanted


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Return one entry as an array; allocate nothing that the entry does not hold."""
    name = entry.filename.removesuffix(".npy")
    with archive.open(entry) as file:
        shape, fortran, dtype = _header(file, name)
        data = file.read()
    if dtype.kind not in "biuf":
        raise ValueError(f"array {name!r} holds {dtype}, give it plain numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(
            f"array {name!r} is damaged: {list(shape)} of {dtype} is not {len(data)} bytes; "
            "write it again"
        )
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.asarray(array, dtype.newbyteorder("="), order="C")


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and dtype."""
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        return read(file)
    except (OSError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # a damaged header makes NumPy's parser raise nearly anything
        raise ValueError(
            f"entry {name!r} is not an array of plain numbers; write the file with numpy.savez"
        ) from error


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays`` to an archive, whole or not at all."""
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
