"""Calibration: the float graph runs over the data, and an observer watches every value of interest.

The data are a dict ``input name -> array`` whose first axis is the samples, or any iterable of such
dicts, each a batch. They pass once, `STEP` samples at a time, so that memory depends neither on the
number of samples nor on how they were cut into batches; nor does any observer's result, except for
the moving average's: to it a batch is what remains of a dict when it is cut by `STEP`.

What was seen is recorded: the number of samples, and for each input the SHA-256 of their bytes.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.calibration import Observer, observer
from refquant.model.execute import run
from refquant.model.graph import DTYPES, Graph, fits, has_batch
from refquant.model.recipe import Activations

__all__ = ["STEP", "Batch", "Calibrated", "calibrate", "steps", "tied"]

Batch = Mapping[str, NDArray[Any]]

STEP = 32
"""Samples that are executed at a time."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An observer for each value, how many samples it saw, and each input's SHA-256 (hex)."""

    observers: Mapping[str, Observer]
    samples: int
    sha256: Mapping[str, str]


def calibrate(
    graph: Graph,
    data: Batch | Iterable[Batch] | None,
    *,
    names: Collection[str],
    rules: Activations,
    sums: str = "ordered",
    within: Mapping[str, tuple[float, float]] | None = None,
) -> Calibrated:
    """Return what the observers of ``rules`` saw of the values ``names`` of the float ``graph``.

    ``within``: ends to which values are cut before they are observed
    (`refquant.model.flat_ends`). ``sums`` as in `refquant.model.execute.run`. `ValueError` for no
    data, other inputs than the graph's, another dtype or shape, NaN and infinities, in the data or
    in what the graph makes of them.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> seen = calibrate(g, {"x": np.float32([[-1, 3]])}, names=["y"], rules=Activations())
    >>> [float(v) for v in seen.observers["y"].range()], seen.samples
    ([0.0, 3.0], 1)
    """
    states = {name: observer(rules.observer, rules.options) for name in sorted(names)}
    hashes = {name: hashlib.sha256() for name in graph.inputs}
    samples = 0
    for batch in steps(graph, data):
        for name, array in batch.items():
            hashes[name].update(np.ascontiguousarray(array).astype("<f4").tobytes())
        arrays = {**run(graph, batch, keep=states, sums=sums), **batch}
        for name, state in states.items():
            low, high = (within or {}).get(name, (-np.inf, np.inf))
            states[name] = _updated(state, name, _cut(arrays[name], low, high))
        samples += len(batch[graph.inputs[0]]) if has_batch(graph) else 1
    if samples == 0:
        raise ValueError("calibration holds no samples; pass at least one, better a few hundred")
    return Calibrated(states, samples, {name: h.hexdigest() for name, h in hashes.items()})


def tied(seen: Calibrated, ties: Sequence[tuple[str, str]]) -> Calibrated:
    """Return ``seen`` where both values of each pair in ``ties`` have seen what either has.

    >>> from refquant.calibration import observer
    >>> a, b = (observer("minmax", {}).update(np.array([v], np.float32)) for v in (1, 2))
    >>> both = tied(Calibrated({"a": a, "b": b}, 1, {}), [("a", "b")]).observers
    >>> [[float(v) for v in both[name].range()] for name in "ab"]
    [[1.0, 2.0], [1.0, 2.0]]
    """
    group = {name: [name] for name in seen.observers}
    for one, other in ties:
        if one in group and other in group and group[one] is not group[other]:
            joined = group[one] + group[other]
            group |= dict.fromkeys(joined, joined)
    observers = dict(seen.observers)
    for names in group.values():
        merged = seen.observers[names[0]]
        for name in names[1:]:
            merged = merged.merge(seen.observers[name])
        observers[names[0]] = merged
    return replace(seen, observers={name: observers[group[name][0]] for name in observers})


def _cut(array: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Cut finite numbers; what is infinite or NaN is the observer's to refuse."""
    if (low, high) == (-np.inf, np.inf):
        return array
    cut = np.clip(array, np.float32(low), np.float32(high))
    return np.where(np.isfinite(array), cut, array)


def _updated(state: Observer, name: str, array: NDArray[Any]) -> Observer:
    try:
        return state.update(array)
    except ValueError as error:
        raise ValueError(
            f"calibration, value {name!r}: {error}; look at the data and the model's constants"
        ) from error


def steps(graph: Graph, data: Batch | Iterable[Batch] | None) -> Iterator[Batch]:
    """Yield the data in checked batches of at most `STEP` samples; `ValueError` as `calibrate`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> [len(batch["x"]) for batch in steps(g, {"x": np.zeros((40, 2), np.float32)})]
    [32, 8]
    """
    if data is None:
        raise ValueError(
            "calibration data are missing, and this recipe needs them for its ranges or weights; "
            "pass a dict of arrays, first axis samples"
        )
    for batch in [data] if isinstance(data, Mapping) else data:
        samples = _check(graph, batch)
        if samples is None:
            yield batch
            continue
        for i in range(0, samples, STEP):
            yield {name: array[i : i + STEP] for name, array in batch.items()}


def _check(graph: Graph, batch: object) -> int | None:
    """Return the number of samples of a batch; None where the graph has no batch."""
    if not isinstance(batch, Mapping) or batch.keys() != set(graph.inputs):
        got = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        raise ValueError(
            f"calibration must have an array for each of the inputs {sorted(graph.inputs)}, "
            f"got {got}; rename its arrays"
        )
    sizes: dict[str, int] = {}
    for name in graph.inputs:
        array, shape = batch[name], graph.values[name].shape
        dtype = DTYPES["float32" if graph.values[name].quant else graph.values[name].dtype]
        if not isinstance(array, np.ndarray) or array.dtype != dtype.container:
            got = str(getattr(array, "dtype", type(array).__name__))
            raise ValueError(
                f"calibration, input {name!r}: it is a {dtype.container} array, got {got}; convert "
                "it as the model's users will"
            )
        if not fits(shape, array.shape, sizes):
            raise ValueError(
                f"calibration, input {name!r}: its shape is {list(shape)}, samples first, and "
                f"every input has as many, got {list(array.shape)}; reshape it"
            )
        if array.size == 0:
            raise ValueError(
                f"calibration, input {name!r}: it is empty, got shape {list(array.shape)}; pass "
                "at least one sample, better a few hundred"
            )
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise ValueError(
                f"calibration, input {name!r}: it is finite, got {bad} NaN or infinity in "
                f"{array.size} elements; remove these samples"
            )
    return sizes.get("N")
