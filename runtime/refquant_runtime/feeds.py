"""What a session is fed: names, dtypes and shapes, checked before anything is computed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import InputError
from refquant_runtime.graph import Value

__all__ = ["check_feeds", "length_of"]


def check_feeds(
    path: Path, values: Mapping[str, Value], views: Mapping[str, NDArray[Any]], feeds: Any
) -> int:
    """Return the number of samples of ``feeds``, or raise an :class:`InputError`.

    ``values`` are the inputs as the file declares them, ``views`` as they lie in memory: one
    sample, with the dtype and the shape of what is to be passed.

    >>> check_feeds(Path("m.rq"), {}, {}, [1])
    Traceback (most recent call last):
    refquant_runtime.errors.InputError: m.rq: feeds must map names to arrays, got list; pass a \
dict with one array for each of []
    """
    names = list(views)
    if not isinstance(feeds, Mapping):
        raise InputError(
            f"{path}: feeds must map names to arrays, got {type(feeds).__name__}; pass a dict "
            f"with one array for each of {names}"
        )
    if set(feeds) != set(names):
        got = sorted(map(str, feeds))
        raise InputError(
            f"{path}: inputs are {names}, got {got}; pass one array for each input and no other"
        )
    counts = set()
    for name, view in views.items():
        where = f"{path}: input {name!r}"
        _check_dtype(where, values[name], view, feeds[name])
        _check_shape(where, values[name], view, feeds[name])
        if values[name].batched:
            counts.add(feeds[name].shape[0])
    if len(counts) > 1:
        raise InputError(
            f"{path}: inputs have different numbers of samples {sorted(counts)}; pass the same "
            "number for every input"
        )
    return counts.pop() if counts else 1


def length_of(path: Path, values: Mapping[str, Value], names: Iterable[str], feeds: Any) -> int:
    """Return the length of the sequences of ``feeds``, 1 where that cannot be told.

    ``check_feeds`` then refuses what does not fit it.
    """
    found: dict[str, int] = {}
    for name in names:
        shape = np.shape(feeds[name]) if isinstance(feeds, Mapping) and name in feeds else ()
        if len(shape) == len(values[name].shape):
            for axis in values[name].lengths:
                found.setdefault(f"input {name!r}", shape[axis])
    if len(set(found.values())) > 1:
        raise InputError(
            f"{path}: sequences have different lengths, "
            f"{', '.join(f'{size} in {name}' for name, size in found.items())}; pass one length"
        )
    length = next(iter(found.values()), 1)
    if length < 1:
        raise InputError(f"{path}: sequences of length {length}; pass at least one step")
    return length


def _check_dtype(where: str, value: Value, view: NDArray[Any], array: Any) -> None:
    dtype = view.dtype
    if isinstance(array, np.ma.MaskedArray):
        remedy = "fill its gaps with .filled(number)"
        raise InputError(f"{where} must be an array of {dtype}, got a masked array; {remedy}")
    if not isinstance(array, np.ndarray):
        scalar = isinstance(array, np.generic)
        got = f"a scalar of {array.dtype}" if scalar else type(array).__name__
        raise InputError(
            f"{where} must be an array of {dtype}, got {got}; make it an array with "
            f"numpy.asarray(x, {dtype.name!r})"
        )
    if array.dtype == dtype:
        return
    quant = value.quant
    if quant is not None and array.dtype.kind == "f":
        numbers = ("", "")
        if quant.block_shape is None:
            numbers = f" {float(quant.scale):.9g}", f" {int(quant.zero_point)}"
        raise InputError(
            f"{where} must be an array of {dtype}, the codes of reals, got an array of "
            f"{array.dtype}; quantize them with the input's scale{numbers[0]} and zero point"
            f"{numbers[1]}, or use `refquant run`, which encodes"
        )
    raise InputError(
        f"{where} must be an array of {dtype}, got an array of {array.dtype}; convert it with "
        f".astype({dtype.name!r})"
    )


def _check_shape(where: str, value: Value, view: NDArray[Any], array: NDArray[Any]) -> None:
    if value.batched:
        fits = array.ndim == view.ndim and array.shape[1:] == view.shape[1:]
    else:
        fits = array.shape == view.shape
    if fits:
        return
    shape: list[Any] = list(view.shape)
    if value.batched:
        shape[0] = "N"
    one = value.batched and array.shape == view.shape[1:]
    remedy = "pass one sample as x[None]" if one else "reshape it"
    if value.batched and not one:
        remedy += "; N is the number of samples"
    raise InputError(f"{where} must have shape {shape}, got {list(array.shape)}; {remedy}")
