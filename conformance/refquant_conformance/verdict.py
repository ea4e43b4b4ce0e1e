"""The verdicts: a closed set, so that a report never says "maybe".

==========================  ============================================================== =====
``BIT_EXACT``               the specification's contract, bit for bit                       ok
``BIT_EXACT_CONTRACT``      another named contract, bit for bit                             ok
``WITHIN_BOUND``            every error within a bound with a derivation; the worst ratio   ok
``DEVIATES_DOCUMENTED``     fails, and an entry of the deviations file says how             ok
``SPEC_AMBIGUOUS``          the specification is silent here; what was seen is recorded     ok
``UNSUPPORTED``             not computed; counted apart, never a pass                       --
``FAILS``                   none of the above; a counterexample is attached                 red
``CRASHED`` ``HUNG``        the process died, or was silent for too long                    red
``STALE``                   a deviation that no longer occurs, or matches nothing           red
``HARNESS_ERROR``           the judge contradicts itself, or the adapter answers nonsense   red
==========================  ============================================================== =====
"""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field

from refquant.contracts.axes import AxisValue
from refquant_conformance.protocol import Array, Case

__all__ = ["RED", "VERDICTS", "Cell", "Counterexample"]

VERDICTS = (
    *("BIT_EXACT", "BIT_EXACT_CONTRACT", "WITHIN_BOUND", "DEVIATES_DOCUMENTED", "SPEC_AMBIGUOUS"),
    *("UNSUPPORTED", "FAILS", "CRASHED", "HUNG", "STALE", "HARNESS_ERROR"),
)
RED = frozenset(("FAILS", "CRASHED", "HUNG", "STALE", "HARNESS_ERROR"))
"""The verdicts that make a run fail."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest case found whose answer is not what it should be.

    ``law`` if no contract was asked: the answer breaks something that holds for all of them.
    """

    case: Case
    reason: str
    expected: Mapping[str, Array] = field(default_factory=dict)
    observed: Mapping[str, Array] = field(default_factory=dict)
    law: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of a report: what one property says of one operator in one scheme.

    ``cases`` counts the output elements that were asked, ``compared`` those that were equal to what
    the contract computes, bit for bit; ``mismatches`` those of the failing case that differ.
    ``repro`` is a program that asks the counterexample without this package.
    """

    property: str
    op: str
    scheme: str
    verdict: str
    contract: str = ""
    axes: Mapping[str, AxisValue] = field(default_factory=dict)
    cases: int = 0
    compared: int = 0
    mismatches: int = 0
    detail: str = ""
    knobs: Mapping[str, str | int] = field(default_factory=dict)
    counterexample: Counterexample | None = None
    repro: str = ""
    seconds: float = 0.0

    @builtins.property  # "property" is a field here
    def red(self) -> bool:
        """Whether this line makes a run fail."""
        return self.verdict in RED
