"""What deviations do to a judgement: lines that fail as documented, and entries that are stale."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from refquant_conformance.arithmetic import Axes
from refquant_conformance.deviations import Deviation
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.protocol import Case, Info
from refquant_conformance.trial import HarnessFault, Mismatch, Trial, Unanswered
from refquant_conformance.verdict import Cell

__all__ = ["excused", "stale"]

Check = Callable[[str, Trial], Cell | None]


def excused(cell: Cell, trial: Trial, deviations: Sequence[Deviation], check: Check) -> Cell:
    """Return ``cell``, or the line of the first deviation that explains why it fails.

    A deviation explains a failure if its condition holds for the counterexample, and the property
    holds when the entry's contract takes the place of the other wherever that condition does. A
    law that no contract enters into fails again; then the counterexample must be what the entry's
    contract computes.
    """
    if cell.verdict != "FAILS" or cell.counterexample is None:
        return cell
    for entry in deviations:
        if not entry.matches(cell) or not entry.covers(cell.counterexample.case):
            continue
        again = check(cell.property, _under(entry, trial))
        if again is not None and again.red and not _is_what_it_says(entry, trial, cell, again):
            return replace(cell, detail=f"{cell.detail} (nor is it what the deviation says)")
        return replace(cell, verdict="DEVIATES_DOCUMENTED", detail=entry.name)
    return cell


def _is_what_it_says(entry: Deviation, trial: Trial, cell: Cell, again: Cell) -> bool:
    """Whether a law fails only where the entry's condition holds, by what its contract computes."""
    found, first = again.counterexample, cell.counterexample
    if found is None or first is None or not found.law:
        return False
    return all(entry.covers(c.case) and _computed(entry, trial, c.case) for c in (first, found))


def _under(entry: Deviation, trial: Trial) -> Trial:
    """Return a trial that expects what the entry says where its condition holds.

    Without a contract nothing is expected there.
    """
    base = dict(trial.axes or {})
    changed = {**base, **dict(entry.contract)} if entry.contract else None

    def chosen(case: Case) -> Axes | None:
        return changed if entry.covers(case) else base

    ignored = None if entry.contract else entry.covers
    return replace(trial, cases=0, compared=0, notes={}, bounds={}, axes_of=chosen, excused=ignored)


def _computed(entry: Deviation, trial: Trial, case: Case) -> bool:
    """Whether the answer to ``case`` is what the entry's contract computes."""
    if not entry.contract:
        return True  # what is excused without a contract is not looked at
    try:
        _under(entry, trial).expect(case)
    except (Mismatch, Unanswered, HarnessFault):
        return False
    return True


def stale(
    deviations: Sequence[Deviation],
    cells: Sequence[Cell],
    info: Info,
    today: date,
    *,
    whole: bool = True,
) -> list[Cell]:
    """Return a red line for each entry that is past its date, matches nothing, or is not needed.

    Where not the ``whole`` backend was asked, what matches nothing may match what was left out.
    """
    lines = []
    for entry in deviations:
        if not entry.speaks_of(info):
            continue
        matched = [cell for cell in cells if entry.matches(cell)]
        used = [c for c in matched if c.verdict == "DEVIATES_DOCUMENTED" and c.detail == entry.name]
        if entry.expired(today):
            why = f"expired on {entry.expires}"
        elif not matched and not whole and entry.property in PROPERTIES:
            continue
        elif not matched:
            known = entry.property in PROPERTIES
            why = "matches nothing that was checked" + ("" if known else "; no such property")
        elif not used:
            why = "what it excuses no longer occurs"
        else:
            continue
        detail = f"{entry.name}: {why}"
        lines.append(Cell(entry.property, entry.op, entry.scheme, "STALE", detail=detail))
    return lines
