"""The adapter of gfloat, also where it is absent; tests/outsiders asks it."""

from tests.conformance.adapters.standing import here_or_named


def test_it_answers_or_says_what_to_install() -> None:
    assert here_or_named("gfloat"), "neither the backend nor its extra"
