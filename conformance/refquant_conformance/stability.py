"""Whether verdicts depend on the seed: the same backend, judged with several.

A seed decides which cases are drawn, and nothing else. Where two seeds disagree, a property asks
too little, or the backend wavers; either is a fault that a reader of a report must be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refquant_conformance.judge import Judgement

__all__ = ["Wavering", "wavering"]


@dataclass(frozen=True, slots=True)
class Wavering:
    """A line, or the identification of a cell (``property`` is ""), that seeds disagree about."""

    property: str
    op: str
    scheme: str
    seen: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        """Return what each seed saw, on one line."""
        told = ", ".join(f"seed {seed}: {verdict}" for seed, verdict in self.seen)
        return f"{self.property or 'identified'}  {self.op}  {self.scheme}  {told}"


def wavering(judgements: Sequence[Judgement]) -> list[Wavering]:
    """Return what is not the same in all judgements of one backend, in the order of the first.

    A verdict is compared with its contract; what a sentence says beside it may differ. A line that
    one seed has and another has not differs too.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.judge import judge
    >>> from refquant_conformance.subject import Local
    >>> onnx = Local(load_backend("reference:onnx"))
    >>> wavering([judge(onnx, seed=n, ops=("cast",), schemes=("f32_f16",)) for n in (0, 1)])
    []
    """
    seen: dict[tuple[str, str, str], dict[int, str]] = {}
    for found in judgements:
        for one in found.identified:
            seen.setdefault(("", one.op, one.scheme), {})[found.seed] = one.name
        for cell in found.cells:
            key = (cell.property, cell.op, cell.scheme)
            seen.setdefault(key, {})[found.seed] = f"{cell.verdict} {cell.contract}".strip()
    seeds = [found.seed for found in judgements]
    rows = {key: tuple((n, by.get(n, "no line")) for n in seeds) for key, by in seen.items()}
    return [
        Wavering(*key, row) for key, row in rows.items() if len({verdict for _, verdict in row}) > 1
    ]
