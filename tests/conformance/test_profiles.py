"""The profiles: each looks harder than the one before."""

from dataclasses import astuple
from itertools import pairwise

from refquant_conformance.profiles import PROFILES


def test_each_looks_harder_than_the_one_before() -> None:
    assert list(PROFILES) == ["ci", "full", "exhaustive"], f"{list(PROFILES)}"
    for name, profile in PROFILES.items():
        assert profile.name == name, f"{profile.name} is called {name}"
    steps = [astuple(profile)[1:] for profile in PROFILES.values()]
    for less, more in pairwise(steps):
        assert all(a <= b for a, b in zip(less, more, strict=True)), f"{less} after {more}"
        assert less != more, "two profiles are one"
