"""The register of properties: a stable id, one sentence, the clause, and a function.

Ids are never used again or given another meaning; what a property says changes only with a new id.
A property is written once, as a function of a trial with one sentence as its docstring::

    @prop("QDQ-02", "q_tie_rule", ops=("quantize_linear",), clause="...", catches="2.3")
    def tie_rule(trial):
        \"\"\"At exact ties the code is the one that the rounding rule gives.\"\"\"
"""

from collections.abc import Callable
from dataclasses import dataclass

from refquant_conformance.trial import Trial

__all__ = ["Property", "prop", "registered"]

Check = Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Property:
    """One property: what it says, of which operators, by which text, and how it is checked."""

    id: str
    name: str
    sentence: str
    ops: tuple[str, ...]
    clause: str
    catches: str
    check: Check


_REGISTER: dict[str, Property] = {}


def prop(
    identifier: str, name: str, *, ops: tuple[str, ...], clause: str, catches: str
) -> Callable[[Check], Check]:
    """Register a property; its docstring's first line is its sentence."""

    def register(check: Check) -> Check:
        sentence = (check.__doc__ or "").strip().splitlines()[0:1]
        if not sentence:
            raise ValueError(f"property {identifier} has no sentence: write its docstring")
        if identifier in _REGISTER:
            raise ValueError(f"property {identifier} is registered twice")
        _REGISTER[identifier] = Property(identifier, name, sentence[0], ops, clause, catches, check)
        return check

    return register


def registered() -> dict[str, Property]:
    """Return every property registered so far, by id."""
    return dict(_REGISTER)
