"""The judge: identify each cell of a backend, then hold it to what it declared or was found to be.

For every operator and scheme that a backend says it computes:

1. *identify*: which contracts explain all answers to the probes;
2. *verify*: every property of the operator, with the declared contract, or else the identified one,
   as the exact yardstick;
3. *compare*: that contract with the one that the specification demands.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from refquant_conformance.deviations import Deviation
from refquant_conformance.excuse import stale
from refquant_conformance.identify import Identification
from refquant_conformance.inquiry import Inquiry
from refquant_conformance.profiles import PROFILES, Profile
from refquant_conformance.properties import for_op
from refquant_conformance.protocol import Capability, Info
from refquant_conformance.side_by_side import over_cells
from refquant_conformance.subject import Subject
from refquant_conformance.verdict import Cell

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that was found out about one backend with one set of knobs."""

    info: Info
    profile: str
    seed: int
    identified: tuple[Identification, ...]
    cells: tuple[Cell, ...]
    knobs: dict[str, str | int] = field(default_factory=dict)

    @property
    def red(self) -> tuple[Cell, ...]:
        """The lines that make a run fail."""
        return tuple(cell for cell in self.cells if cell.red)


def judge(
    subject: Subject,
    *,
    profile: Profile = PROFILES["ci"],
    seed: int = 0,
    ops: Iterable[str] = (),
    schemes: Iterable[str] = (),
    properties: Iterable[str] = (),
    deviations: Sequence[Deviation] = (),
    today: date | None = None,
    jobs: int = 1,
) -> Judgement:
    """Identify and verify every cell that ``subject`` says it computes.

    ``ops``, ``schemes`` and ``properties`` restrict what is asked; empty means all. Cells come in
    the order of the backend's capabilities, properties in the order of their ids. ``jobs`` cells
    are asked at once, each in a process of its own; the findings are the same. ``ValueError`` for
    a backend that says nonsense of itself, or for ``jobs`` of a subject that is no worker.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> onnx = Local(load_backend("reference:onnx"))
    >>> found = judge(onnx, properties=("QDQ-02",), schemes=("f32_u8",))
    >>> {cell.verdict for cell in found.cells}
    {'BIT_EXACT'}
    """
    chosen_ops, chosen_schemes = frozenset(ops), frozenset(schemes)
    chosen = frozenset(properties)
    known = [entry for entry in deviations if entry.speaks_of(subject.info)]
    asked = [
        cell
        for cell in subject.capabilities
        if (not chosen_ops or cell.op in chosen_ops)
        and (not chosen_schemes or cell.scheme in chosen_schemes)
    ]
    task = partial(_judge_cell, profile=profile, seed=seed, properties=chosen, known=known)
    found = over_cells(subject, asked, task, jobs)
    identified = tuple(one for one, _ in found if one is not None)
    cells = [row for _, rows in found for row in rows]
    whole = not (chosen_ops or chosen_schemes or chosen)
    cells += stale(known, cells, subject.info, today or date.today(), whole=whole)
    knobs = dict(getattr(subject, "knobs", {}))
    return Judgement(subject.info, profile.name, seed, identified, tuple(cells), knobs)


def _judge_cell(
    subject: Subject,
    cell: Capability,
    *,
    profile: Profile,
    seed: int,
    properties: Set[str],
    known: Sequence[Deviation],
) -> tuple[Identification | None, list[Cell]]:
    """Return what a cell was identified as, and a line for each of its properties."""
    inquiry = Inquiry(subject, profile, seed, known)
    identified = inquiry.identified(cell)
    rows = (
        inquiry.check(one, cell)
        for one in for_op(cell.op)
        if not properties or one.id in properties
    )
    return identified, [row for row in rows if row is not None]
