"""Where a preset comes from: the record that the atlas and the documentation print.

A contract says what is computed; this says whose arithmetic it is, on which path of that tool, by
which text we know, and whether we only read the text or also ran the tool against it.
"""

from dataclasses import dataclass

from refquant.contracts.contract import Contract

__all__ = ["Provenance", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A text: a file of a public repository on a day, or a page (then ``repository`` is its host).

    >>> str(Source("pytorch/FBGEMM", "src/QuantUtils.cc", "2026-08-21"))
    'pytorch/FBGEMM src/QuantUtils.cc (2026-08-21)'
    """

    repository: str
    path: str
    date: str

    def __str__(self) -> str:
        """One line: repository, path, date of the snapshot that was read."""
        return f"{self.repository} {self.path} ({self.date})"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which path of which tool ``contract`` is (``about``, one sentence), and how we know.

    ``measured`` names what was run against it, with its version; empty: the sources were read only.
    ``differs`` says what the tool does and the contract cannot say; empty: we know of nothing.
    """

    contract: Contract
    about: str
    sources: tuple[Source, ...]
    measured: str = ""
    differs: str = ""

    @property
    def evidence(self) -> str:
        """Either "measured: ..." or "read"."""
        return f"measured: {self.measured}" if self.measured else "read"
