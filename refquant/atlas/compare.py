r"""Two contracts: whether they can differ, the smallest input that shows it, and how often.

The verdict is looked for in the order of ``STAGE_ORDER``; a stage counts if both contracts define
it. In ``quantize`` it covers every float32 up to 2^30 marks for every ruler of ``probes.RULERS``
(up to 126 marks if one of the two wraps); in the other stages the listed cases. So ``differ`` False
means one of two things, and ``because`` says which: both have the same value on every axis, or no
difference was found in all that was compared.

The rates are of int8 codes, scale and zero point given:

.. math::

    \mathrm{rate} = P(q_A(x) \ne q_B(x))                                          \tag{1}

``rate_ties`` over all ties of all rulers and their neighbours, counted; ``rate_gaussian`` over
N(0, 1), computed from the staircases and not sampled, with zero point 0 and the scale 4 / 127,
under which four standard deviations fill the codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.atlas.probes import RULERS, Ruler, near_ties
from refquant.atlas.stages import REFUSED, STAGES, int8_codes
from refquant.atlas.staircase import (
    BOUND,
    first_difference,
    gaussian_share,
    staircase,
    up_to,
)
from refquant.contracts import PRESETS, Contract

__all__ = ["STAGE_ORDER", "Divergence", "Example", "atlas", "diverge"]

STAGE_ORDER = ("quantize", *STAGES)

_GAUSSIAN = Ruler(float(np.float32(4 / 127)), 0)


@dataclass(frozen=True, slots=True)
class Example:
    """The smallest input of a stage on which two contracts differ; a result None: refused."""

    stage: str
    given: Mapping[str, Any]
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Divergence:
    """The verdict on an ordered pair of contracts.

    ``stages`` maps each stage to ``same``, ``differ`` or ``undefined`` (one of the two has no such
    operator); ``examples`` has one for each that differs. The rates are None where one of the two
    does not quantize reals in this way.
    """

    a: str
    b: str
    differ: bool
    because: str
    stages: Mapping[str, str]
    examples: Mapping[str, Example]
    rate_ties: float | None
    rate_gaussian: float | None

    @property
    def example(self) -> Example | None:
        """The example of the first stage that differs."""
        return next(iter(self.examples.values()), None)


def diverge(a: Contract, b: Contract) -> Divergence:
    """Return the verdict on ``a`` and ``b``.

    >>> from refquant.contracts import preset
    >>> found = diverge(preset("onnx"), preset("tflite_reference"))
    >>> found.differ, found.example.given["x"], found.example.a, found.example.b
    (True, 0.5, 0, 1)
    """
    stages, examples = {}, {}
    for stage in STAGE_ORDER:
        example = _quantize_example(a, b) if stage == "quantize" else _case_example(stage, a, b)
        if isinstance(example, Example):
            examples[stage] = example
        stages[stage] = "differ" if isinstance(example, Example) else example
    return Divergence(
        a.name,
        b.name,
        differ=bool(examples),
        because=_because(a, b, bool(examples)),
        stages=stages,
        examples=examples,
        rate_ties=_tie_rate(a, b),
        rate_gaussian=gaussian_share(*_both_stairs(a, b, _GAUSSIAN)),
    )


@cache
def atlas() -> tuple[Divergence, ...]:
    """Return the verdict on every ordered pair of different presets, by name.

    >>> len(atlas()) == len(PRESETS) * (len(PRESETS) - 1)
    True
    """
    names = sorted(PRESETS)
    once = {(a, b): diverge(PRESETS[a], PRESETS[b]) for a, b in combinations(names, 2)}
    both = once | {(b, a): _mirrored(found) for (a, b), found in once.items()}
    return tuple(both[pair] for pair in sorted(both))


def _mirrored(found: Divergence) -> Divergence:
    """Return the verdict on the same pair in the other order."""
    examples = {stage: replace(each, a=each.b, b=each.a) for stage, each in found.examples.items()}
    return replace(found, a=found.b, b=found.a, examples=examples)


def _because(a: Contract, b: Contract, differ: bool) -> str:
    """Say which axes differ, or why nothing does."""
    mine, theirs = a.to_json(), b.to_json()
    axes = [axis for axis in mine if mine[axis] != theirs[axis]]
    if not axes:
        return "every axis is the same"
    if differ:
        return "different axes: " + ", ".join(axes)
    return "no difference found, although these axes have other values: " + ", ".join(axes)


def _bound(contract: Contract) -> float:
    """Return the marks to which codes rise: a contract that wraps has none beyond its range."""
    return 126.0 if contract.overflow == "wrap" else BOUND


@cache
def _stairs(contract: Contract, ruler: Ruler) -> NDArray[np.int64]:
    return staircase(
        lambda x: _codes(x, ruler, contract),
        scale=ruler.scale,
        qmin=-128,
        qmax=127,
        bound=_bound(contract),
    )


def _both_stairs(
    a: Contract, b: Contract, ruler: Ruler
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both staircases, up to where the first of them ends."""
    end = min(_bound(a), _bound(b)) * ruler.scale
    return up_to(_stairs(a, ruler), end), up_to(_stairs(b, ruler), end)


@cache
def _accepted(contract: Contract) -> tuple[Ruler, ...]:
    """Return the rulers of a contract: one without zero points has those with 0 only."""
    zero = np.zeros(1, np.float32)
    return tuple(r for r in RULERS if _codes(zero, r, contract)[0] != REFUSED)


def _codes(x: NDArray[np.float32], ruler: Ruler, contract: Contract) -> NDArray[np.int64]:
    return int8_codes(x, scale=ruler.scale, zero_point=ruler.zero_point, contract=contract)


def _common(a: Contract, b: Contract) -> list[Ruler]:
    return [ruler for ruler in _accepted(a) if ruler in _accepted(b)]


def _quantize_example(a: Contract, b: Contract) -> Example | str:
    """Return the smallest x of the simplest ruler on which the codes differ, or ``same``."""
    for ruler in _common(a, b):
        x = first_difference(*_both_stairs(a, b, ruler))
        if x is not None:
            codes = [int(_codes(np.array([x], np.float32), ruler, each)[0]) for each in (a, b)]
            given = {"x": x, "scale": ruler.scale, "zero_point": ruler.zero_point, "dtype": "int8"}
            return Example("quantize", given, *codes)
    return "same"


@cache
def _rows(stage: str, contract: Contract) -> NDArray[np.int64] | None:
    return STAGES[stage].rows(contract)


def _case_example(stage: str, a: Contract, b: Contract) -> Example | str:
    """Return the first case whose rows differ, ``same``, or ``undefined``."""
    mine, theirs = _rows(stage, a), _rows(stage, b)
    if mine is None or theirs is None:
        return "undefined"
    apart = (mine != theirs).any(axis=1)
    if not STAGES[stage].refusals_count:
        apart &= (mine != REFUSED).all(axis=1) & (theirs != REFUSED).all(axis=1)
    if not apart.any():
        return "same"
    first, words = int(np.argmax(apart)), STAGES[stage].words
    return Example(stage, STAGES[stage].cases()[first], words(mine[first]), words(theirs[first]))


@cache
def _tie_codes(contract: Contract, ruler: Ruler) -> NDArray[np.int64]:
    return _codes(near_ties(ruler), ruler, contract)


def _tie_rate(a: Contract, b: Contract) -> float | None:
    """Return eq. (1) over the ties of all common rulers, None if there is none."""
    apart = [_tie_codes(a, ruler) != _tie_codes(b, ruler) for ruler in _common(a, b)]
    return float(np.mean(apart)) if apart else None
