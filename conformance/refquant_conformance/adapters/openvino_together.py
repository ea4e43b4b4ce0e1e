"""Cases that OpenVINO computes together: one compiled model for many, kept for what comes again.

Compiling takes tens of milliseconds, whether a model has one node or thirty; running takes none. So
cases that are announced become one model, in which nothing joins two of them::

    announced   case 0, case 1, ... case 31   -->  one compiled model, one run, 32 answers
    later       case 1, other data            -->  the same model: case 1 is fed anew, and its
                                                   neighbours what they were fed last

What is asked in another floating-point mode is compiled and run when the first case of it is asked:
then the mode is entered, as it would be in the caller's program. All such modes share what was
compiled in the first of them.

Left out: models that do not compile, or refuse their data, beside others; they are asked alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from refquant_conformance.adapters.engine import Kept
from refquant_conformance.adapters.onnx_joint import joint, numbered
from refquant_conformance.adapters.onnx_models import Model
from refquant_conformance.adapters.openvino_models import Compiled, key_of
from refquant_conformance.protocol import Array, Rejected, Result, Unsupported

__all__ = ["Asked", "Together"]

_MOST = 32  # models in one
_PLAIN = "default"

Make = Callable[[Model, Mapping[str, Any]], Compiled]
Ask = Callable[[Compiled, Iterable[str], Mapping[str, Array]], Result]
_Key = tuple[Any, ...]


class Asked(NamedTuple):
    """A case: the floating-point mode it is asked in, its model, and what that is fed."""

    mode: str
    model: Model
    feeds: Mapping[str, Array]

    @property
    def key(self) -> _Key:
        """What a compiled model of the case is found by."""
        return (self.mode == _PLAIN, *key_of(self.model, self.feeds))

    @property
    def whole_key(self) -> _Key:
        """What the answer of the case is found by."""
        return (self.mode, *key_of(self.model, self.feeds, of_data=True))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model stands in a joint one, and what all members of that were fed last."""

    made: Compiled
    k: int
    members: int
    feeds: dict[str, Array]

    def part(self, found: Result, model: Model) -> Result:
        """Return what this member computed."""
        arrays = {name: found.outputs[numbered(name, self.k)] for name in model.outputs}
        return Result(arrays, {**found.provenance, "compiled": f"with {self.members - 1} others"})


@dataclass(slots=True)
class Together:
    """What was announced and not asked yet, and the joint models made last.

    ``make`` compiles a model for shapes, ``ask`` runs what was compiled; both may raise
    ``Unsupported`` or ``Rejected``.
    """

    make: Make
    ask: Ask
    _later: dict[str, list[Asked]] = field(default_factory=dict)
    _foreseen: dict[_Key, Result] = field(default_factory=dict)
    _places: Kept[_Place] = field(default_factory=lambda: Kept(2048))

    def announce(self, cases: Iterable[Asked]) -> None:
        """Forget what was announced before; compute these, or those of a mode when it is entered.

        What was compiled before is not compiled again, and not computed yet.
        """
        self._later.clear()
        self._foreseen.clear()
        for asked in cases:
            if asked.key not in self._places.things:
                self._later.setdefault(asked.mode, []).append(asked)
        self._foresee(_PLAIN)

    def run(self, asked: Asked) -> Result | None:
        """Return the answer of a case that stands in a joint model, None of another.

        ``Rejected`` if the engine refuses the data.
        """
        self._foresee(asked.mode)
        known = self._foreseen.pop(asked.whole_key, None)
        place = self._places.things.get(asked.key)
        if known is not None or place is None:
            return known
        names = [numbered(name, place.k) for name in asked.model.outputs]
        feeds = place.feeds | {numbered(n, place.k): a for n, a in asked.feeds.items()}
        found = self.ask(place.made, names, feeds)
        place.feeds.update(feeds)
        return place.part(found, asked.model)

    def _foresee(self, mode: str) -> None:
        """Compute what was announced of a mode."""
        new = self._later.pop(mode, [])
        for first in range(0, len(new), _MOST):
            try:
                self._compute(new[first : first + _MOST])
            except (Unsupported, Rejected):
                continue

    def _compute(self, cases: Sequence[Asked]) -> None:
        """Compile the models of the cases as one, note each answer and keep each place."""
        whole = joint([asked.model for asked in cases])
        feeds: dict[str, Array] = {}
        shapes: dict[str, Any] = {}
        for k, asked in enumerate(cases):
            feeds |= {numbered(name, k): array for name, array in asked.feeds.items()}
            shapes |= {numbered(name, k): array.shape for name, array in asked.feeds.items()}
            rank = next(iter(asked.feeds.values())).ndim
            shapes |= {numbered(n, k): (None,) * rank * (n == "y") for n in asked.model.outputs}
        made = self.make(whole, shapes)
        found = self.ask(made, whole.outputs, feeds)
        for k, asked in enumerate(cases):
            place = _Place(made, k, len(cases), feeds)
            self._places.get(asked.key, partial(_given, place))
            self._foreseen[asked.whole_key] = place.part(found, asked.model)


def _given(place: _Place) -> _Place:
    return place
