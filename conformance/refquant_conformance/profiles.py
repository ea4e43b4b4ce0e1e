"""How hard the judge looks: ``ci`` in two minutes, ``full`` overnight, ``exhaustive`` everything.

A profile is numbers: how many examples a property draws, how many elements are asked where a
domain is walked through, how many of them the oracle counts after the reference. The same seed
gives the same cases; a verdict that another seed changes is a fault of the property.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["PROFILES", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One depth of search.

    ``examples``: drawn by a property that draws; ``elements``: at most so many of a domain that
    is too large to walk through; ``audited``: elements of each expected output that the oracle
    counts again; ``exhaustive``: whether whole domains of 2^32 are walked.
    """

    name: str
    examples: int
    elements: int
    audited: int
    exhaustive: bool = False


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "ci": Profile("ci", examples=40, elements=1 << 14, audited=3),
        "full": Profile("full", examples=2_000, elements=1 << 20, audited=16),
        "exhaustive": Profile("exhaustive", 10_000, 1 << 26, 64, exhaustive=True),
    }
)
