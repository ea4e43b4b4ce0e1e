r"""How near a model's outputs are to those of another: cosine and signal to noise.

By eq. (1) and (2) of `refquant.model.metrics`, for each sample alone and for all together::

    sample 0   r0  t0   -> cos 0.99   SQNR 20 dB
    sample 1   r1  t1   -> cos 0.97   SQNR 14 dB
    mean               cos 0.98                     least   cos 0.97   SQNR 14 dB
    all together                     SQNR 16 dB     (sums of signal over sums of noise)

The mean of cosines is a mean of directions: each sample counts the same. A mean of decibels is
none of anything (one sample that is equal is infinitely good, and so is the mean), so what is given
of SQNR is that of all samples together, and the least.

A model may be near on average and far where it matters: the least is there for that.

References
----------
`refquant.model.metrics`, for the equations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.walk import Arrays, common_values, pairs, pieces
from refquant.model.graph import Graph
from refquant.model.metrics import Moments, moments, pooled

__all__ = ["Similarity", "moments_of_samples", "similarity"]


@dataclass(frozen=True, slots=True)
class Similarity:
    """One output: a number for each sample stands in ``samples``."""

    output: str
    samples: tuple[Moments, ...]

    @property
    def cosine_mean(self) -> float:
        """The mean of the samples' cosines; NaN if one of them is all zeros on one side.

        >>> Similarity("y", (Moments(1.0, 1.0, 1.0, 0.0, 0.0), Moments(1.0, 1.0, 0.5, 1.0, 1.0))
        ...            ).cosine_mean
        0.75
        """
        return float(np.mean([sample.cosine for sample in self.samples]))

    @property
    def cosine_least(self) -> float:
        """The least of the samples' cosines; NaN as in the mean."""
        return float(np.min([sample.cosine for sample in self.samples]))

    @property
    def sqnr_db(self) -> float:
        """Of all samples together; ``inf`` if all are equal."""
        return pooled(self.samples).sqnr_db

    @property
    def sqnr_db_least(self) -> float:
        """Of the sample that is worst."""
        return min(sample.sqnr_db for sample in self.samples)

    @property
    def largest(self) -> float:
        """The largest difference of an element."""
        return pooled(self.samples).largest


def moments_of_samples(
    name: str, reference: NDArray[Any], test: NDArray[Any], *, batch: bool
) -> list[Moments]:
    """Return the sums of each sample (of the whole, without a ``batch``) of the value ``name``.

    `ValueError` where one of the two is NaN or infinite: no distance means anything then.

    >>> [m.noise for m in moments_of_samples("y", np.float32([[1], [2]]), np.float32([[1], [0]]),
    ...                                      batch=True)]
    [0.0, 4.0]
    """
    for whose, array in (("reference", reference), ("model", test)):
        if not np.isfinite(array).all():
            raise ValueError(
                f"the {whose} computes NaN or infinity in {name!r}; mend it before it is compared"
            )
    if not batch:
        return [moments(reference, test)]
    return [moments(r, t) for r, t in zip(reference, test, strict=True)]


def similarity(
    reference: Graph,
    test: Graph,
    data: Sequence[Arrays],
    *,
    sums: str = "ordered",
    advance: Callable[[int], None] = lambda done: None,
) -> list[Similarity]:
    """Return how near each output of ``test`` is to that of ``reference`` on ``data``.

    ``data``: dicts of the inputs in reals, each of some samples (sequences of one length). Outputs
    without a batch count as one sample a dict. `ValueError` for graphs without a common output.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> similarity(g, g, [{"x": np.float32([[1, 2], [3, 4]])}])[0].cosine_mean
    1.0
    """
    made = frozenset(common_values(reference, test))
    names = [name for name in reference.outputs if name in test.outputs and name in made]
    if not names:
        raise ValueError(
            f"the models have no output in common: {_shapes(reference)} and {_shapes(test)}; "
            "compare models that make the same"
        )
    found: dict[str, list[Moments]] = {name: [] for name in names}
    for batch in data:
        for piece in pieces([reference, test], batch):
            samples = 0
            for name, r, t in pairs(reference, test, piece, names, sums=sums):
                many = reference.values[name].shape[:1] == ("N",)
                found[name] += moments_of_samples(name, r, t, batch=many)
                samples = len(r) if many else 1
            advance(samples)
    return [Similarity(name, tuple(samples)) for name, samples in found.items()]


def _shapes(graph: Graph) -> str:
    return ", ".join(f"{name} {list(graph.values[name].shape)}" for name in graph.outputs)
