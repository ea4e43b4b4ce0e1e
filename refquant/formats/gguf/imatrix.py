r"""Files of importance: how much each column of a weight matters, measured on real inputs.

A column j of a weight meets the activation :math:`x_{tj}` of every token t. Its importance is the
mean of the squares; an encoder weighs the error of a weight in that column with it:

.. math::

    w_j = \mathrm{f32}(s_j \oslash c), \qquad s_j = \sum_{t=1}^{c} x_{tj}^2                  \tag{1}

The file holds s and c, the number of tokens. Where weights are stacked (experts), every matrix has
its own s and, if a router chose among them, its own c; c = 0 (no token came) makes every w of that
matrix 1. It is a ``.gguf`` file of F32 tensors; name is the weight's::

    general.type = "imatrix", imatrix.datasets, imatrix.chunk_count u32, imatrix.chunk_size u32
    name.in_sum2  (matrices, columns)   s             (columns,) if there is one
    name.counts   (matrices, 1)         c             (1,)       if there is one
    name.in_sum   (matrices, columns)   sum of x, optional: newer writers' statistics

An older form is in `refquant.formats.gguf.imatrix_legacy`; ``read_imatrix`` reads both, and tells
them apart by the magic. Left out: other tensors such a file may hold, which are not kept.

References
----------
llama.cpp ``tools/imatrix/imatrix.cpp``, ``save_imatrix``; ``tools/quantize/quantize.cpp``,
``load_imatrix``, for eq. (1) and c = 0.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.gguf.cursor import shown
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.imatrix_legacy import parse_legacy
from refquant.formats.gguf.layout import MAGIC
from refquant.formats.gguf.read import GgufFile, read_gguf
from refquant.formats.gguf.tensor import GgufTensor, plain_tensor
from refquant.formats.gguf.values import Value
from refquant.formats.gguf.write import write_gguf

__all__ = ["Imatrix", "ImatrixEntry", "imatrix_of", "read_imatrix", "write_imatrix"]

F32 = NDArray[np.float32]

_REMEDY = "make the file again with llama-imatrix"


@dataclass(frozen=True, slots=True, eq=False)
class ImatrixEntry:
    """What was summed for one weight: ``sums`` (matrices, columns), ``counts`` (matrices,).

    Both are float32, finite and not negative. ``activations`` is the sum of x, of the shape of
    ``sums``, or None.
    """

    sums: F32
    counts: F32
    activations: F32 | None = None

    def __post_init__(self) -> None:
        """Refuse shapes and types that do not belong together."""
        arrays = (
            self.sums,
            self.counts,
            self.sums if self.activations is None else self.activations,
        )
        shapes = tuple(array.shape for array in arrays)
        rows = self.sums.shape[:1]
        if (
            self.sums.ndim != 2
            or not self.sums.size
            or shapes != (self.sums.shape, rows, shapes[0])
        ):
            raise _wrong(
                f"sums, counts and activations have shapes {shapes}, not (m, n), (m,), (m, n)"
            )
        if any(array.dtype != np.float32 for array in arrays):
            raise _wrong(f"an array is not float32 but {[array.dtype.name for array in arrays]}")
        signed = arrays[:2]
        if not all(np.isfinite(array).all() for array in arrays) or any(
            (a < 0).any() for a in signed
        ):
            raise _wrong("an array holds NaN or infinity, or a sum of squares below zero")

    def importance(self, shape: Sequence[int] | None = None) -> F32:
        """Return eq. (1), float32 of shape (matrices, columns).

        ``shape`` is that of the weight, columns last: then the result is (matrices, columns) of the
        weight, also where the file lists all matrices as one (legacy files do). ``ValueError`` if
        the numbers do not fit.

        >>> entry = ImatrixEntry(np.array([[2, 4, 6, 8]], np.float32), np.array([2], np.float32))
        >>> entry.importance(shape=(2, 5, 2)).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        """
        counts = self.counts[:, np.newaxis]
        mean = np.ones_like(self.sums)
        with np.errstate(over="ignore", under="ignore"):
            np.divide(self.sums, counts, out=mean, where=counts > 0)
        if shape is None:
            return mean
        columns = shape[-1]
        matrices = math.prod(shape[:-2])
        if mean.size != matrices * columns:
            raise ValueError(
                f"importance has {mean.size} numbers, a weight of shape {list(shape)} needs "
                f"{matrices} x {columns}; take the file that was made with this model"
            )
        return mean.reshape(matrices, columns)


@dataclass(frozen=True, slots=True, eq=False)
class Imatrix:
    """A file of importance: entries by the weight's name, and what it was measured on.

    ``chunk_count`` chunks of ``chunk_size`` tokens of ``datasets``; a legacy file does not know the
    size (0), and may not know the rest.
    """

    entries: Mapping[str, ImatrixEntry]
    datasets: tuple[str, ...] = ()
    chunk_count: int = 0
    chunk_size: int = 0


def read_imatrix(path: str | os.PathLike[str]) -> Imatrix:
    """Return what a file of importance says, of either form; any fault is a `GgufError`.

    >>> import tempfile
    >>> entry = ImatrixEntry(np.array([[8, 2]], np.float32), np.array([2], np.float32))
    >>> with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
    ...     write_imatrix(file.name, Imatrix({"blk.0.attn_q.weight": entry}))
    ...     read_imatrix(file.name).entries["blk.0.attn_q.weight"].importance().tolist()
    [[4.0, 1.0]]
    """
    try:
        with open(path, "rb") as file:
            legacy = os.path.isfile(path) and file.peek(4)[:4] != MAGIC
            data = file.read() if legacy else b""
    except (OSError, ValueError):
        legacy = False  # read_gguf says what is wrong
    try:
        if not legacy:
            return imatrix_of(read_gguf(path))
        sums, datasets, chunks = parse_legacy(data)
        entries = {
            name: ImatrixEntry(values[np.newaxis], np.array([calls], np.float32))
            for name, (values, calls) in sums.items()
        }
        return Imatrix(entries, datasets, chunks)
    except GgufError as error:
        raise (error if str(error).startswith(str(path)) else error.within(str(path))) from None


def imatrix_of(file: GgufFile) -> Imatrix:
    """Return the importance that the ``.gguf`` file holds; `GgufError` if it holds none.

    >>> from refquant.formats.gguf.read import parse_gguf
    >>> from refquant.formats.gguf.write import gguf_bytes
    >>> keys = {"imatrix.chunk_count": np.uint32(1), "imatrix.chunk_size": np.uint32(512)}
    >>> sums = [plain_tensor("w.in_sum2", np.ones(4, np.float32)),
    ...         plain_tensor("w.counts", np.ones(1, np.float32))]
    >>> data = gguf_bytes({**keys, "imatrix.datasets": ("a.txt",)}, sums)
    >>> imatrix_of(parse_gguf(data, name="f")).entries["w"].sums.shape
    (1, 4)
    """
    kind, datasets = (file.metadata.get(k) for k in ("general.type", "imatrix.datasets"))
    numbers = [file.metadata.get(f"imatrix.chunk_{what}") for what in ("count", "size")]
    if (
        kind not in (None, "imatrix")
        or not isinstance(datasets, tuple)
        or not all(isinstance(number, np.uint32) for number in numbers)
    ):
        raise _wrong("the metadata is not that of importance (imatrix.datasets, chunk_count, ...)")
    parts: dict[str, dict[str, GgufTensor]] = {}
    for name, tensor in file.tensors.items():
        weight, _, suffix = name.rpartition(".")
        if suffix in ("in_sum2", "counts", "in_sum"):
            parts.setdefault(weight, {})[suffix] = tensor
    if not parts:
        raise _wrong("no tensor is a sum (*.in_sum2) or a count (*.counts)")
    entries = {weight: _entry(weight, found) for weight, found in parts.items()}
    count, size = (int(number) for number in numbers)  # type: ignore[arg-type]  # uint32
    return Imatrix(entries, datasets, count, size)


def write_imatrix(path: str | os.PathLike[str], imatrix: Imatrix) -> None:
    """Write ``imatrix`` as a ``.gguf`` file, weights by name, whole or not at all.

    `GgufError` for what no file can hold, `OSError` from the disk.

    >>> write_imatrix("", Imatrix({}))
    Traceback (most recent call last):
    ...
    refquant.formats.gguf.errors.GgufError: no weight; make the file again with llama-imatrix
    """
    if not imatrix.entries:
        raise _wrong("no weight")
    metadata: dict[str, Value] = {
        "general.type": "imatrix",
        "imatrix.datasets": imatrix.datasets,
        "imatrix.chunk_count": np.uint32(imatrix.chunk_count),
        "imatrix.chunk_size": np.uint32(imatrix.chunk_size),
    }
    tensors = []
    for name, entry in sorted(imatrix.entries.items()):
        arrays = {"in_sum2": entry.sums, "counts": entry.counts[:, np.newaxis]}
        if entry.activations is not None:
            arrays["in_sum"] = entry.activations
        one = len(entry.sums) == 1  # ggml does not write axes of 1 at the end of its shapes
        tensors += [
            plain_tensor(f"{name}.{suffix}", array[0] if one else array)
            for suffix, array in arrays.items()
        ]
    write_gguf(path, metadata, tensors)


def _entry(weight: str, parts: Mapping[str, GgufTensor]) -> ImatrixEntry:
    """Return the entry of a weight, checked."""
    if not {"in_sum2", "counts"} <= parts.keys():
        raise _wrong(f"weight {shown(weight)} has only {', '.join(sorted(parts))}")
    arrays = {}
    for suffix, tensor in parts.items():
        if tensor.type.name != "F32":
            raise _wrong(f"tensor {shown(tensor.name)} is {tensor.type.name}, not F32")
        order = "<f4" if tensor.byte_order == "little" else ">f4"
        arrays[suffix] = tensor.data.view(order).astype(np.float32)
    counts, total = arrays["counts"].reshape(-1), arrays["in_sum2"].size
    if total % counts.size or any(
        array.size != total for array in arrays.values() if array is not arrays["counts"]
    ):
        sizes = {suffix: array.size for suffix, array in arrays.items()}
        raise _wrong(f"weight {shown(weight)} has numbers that do not fit: {sizes}")
    matrices = {k: a.reshape(counts.size, -1) for k, a in arrays.items() if k != "counts"}
    try:
        return ImatrixEntry(matrices["in_sum2"], counts, matrices.get("in_sum"))
    except GgufError as error:
        raise _wrong(f"weight {shown(weight)}: {error.what}") from None


def _wrong(what: str) -> GgufError:
    return GgufError(what, _REMEDY, code="bad_imatrix")
