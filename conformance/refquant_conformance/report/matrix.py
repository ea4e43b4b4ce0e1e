"""The kill matrix as a page of Markdown: a row for each planted bug, and what each property finds.

A square of 200 bugs and 150 properties is for machines (``mutants --matrix --json``). People read
it by rows (who finds this bug?) and by columns (is there a bug that only this property finds?).
"""

from collections.abc import Sequence

from refquant_conformance.mutants.kill import Kill
from refquant_conformance.properties import PROPERTIES

__all__ = ["matrix_page"]

_HEAD = """# The kill matrix

The judge, judged: what the suite says of {count} backends that are wrong in one way each.
{killed} are found by the property that must find them, with each of {seeds} seeds, and for {first}
it is the first of its group. The reference without a bug has {clean}.
Made by `refquant-conformance mutants --seeds {seeds} --matrix --page FILE` in {minutes:.0f} minutes
on {jobs} processes, profile `{profile}`. What the columns mean: [judging](concepts/judging.md).

## Bugs

*zoo*: the section of the list of bugs that were really shipped; a dash is one that nobody shipped,
for a property that would have none.

| bug | what is wrong | operator | zoo | must be found by | found by |
|---|---|---|---|---|---|
"""

_PROPERTIES = """
## Properties

*finds*: how many of the bugs. *first*: how many of them no property of its group finds before.
*alone*: how many nobody else finds.

| property | sentence | finds | first | alone |
|---|---|---:|---:|---:|
"""


def matrix_page(
    kills: Sequence[Kill], *, seeds: int, profile: str, minutes: float, jobs: int, red: int
) -> str:
    """Return the page; ``red`` is the number of red lines of the reference, which should be 0.

    >>> from refquant_conformance.mutants import MUTANTS
    >>> one = Kill(MUTANTS["half_away"], ("QDQ-02", "X-18"))
    >>> text = matrix_page([one], seeds=3, profile="ci", minutes=1.0, jobs=2, red=0)
    >>> [line for line in text.splitlines() if line.startswith("| `half_away`")]
    ['| `half_away` | ties go away from zero | `quantize_linear` | 2.3 | QDQ-02 | QDQ-02, X-18 |']
    """
    head = _HEAD.format(
        count=len(kills),
        killed=sum(one.as_expected for one in kills),
        first=sum(one.first == one.mutant.killed_by for one in kills),
        clean="no red line" if not red else f"{red} red lines",
        seeds=seeds,
        minutes=minutes,
        jobs=jobs,
        profile=profile,
    )
    return "".join((head, *map(_bug, kills), _PROPERTIES, *_columns(kills)))


def _bug(one: Kill) -> str:
    bug = one.mutant
    found = ", ".join(one.killed_by) or "**nobody**"
    cells = (f"`{bug.name}`", bug.sentence, f"`{bug.op}`", bug.zoo, bug.killed_by, found)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _columns(kills: Sequence[Kill]) -> list[str]:
    rows = []
    for identifier, one in sorted(PROPERTIES.items()):
        finds = [kill for kill in kills if identifier in kill.killed_by]
        first = sum(_first_of(identifier, kill) for kill in finds)
        alone = sum(kill.killed_by == (identifier,) for kill in finds)
        sentence = one.sentence.replace("|", "\\|")
        rows.append(f"| {identifier} | {sentence} | {len(finds)} | {first} | {alone} |\n")
    return rows


def _first_of(identifier: str, kill: Kill) -> bool:
    group = identifier.partition("-")[0]
    return identifier == next(i for i in kill.killed_by if i.partition("-")[0] == group)
