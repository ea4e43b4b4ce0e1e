"""Laws that are proved elsewhere: by tests that exist, and with a reason."""

import re
from pathlib import Path

import pytest

from refquant_conformance.properties import PROPERTIES
from refquant_conformance.properties.elsewhere import ELSEWHERE, Elsewhere

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("one", ELSEWHERE, ids=lambda one: one.id)
def test_the_tests_that_are_named_exist(one: Elsewhere) -> None:
    assert one.tests, f"{one.id} is proved by nothing"
    for name in one.tests:
        path, _, function = name.partition("::")
        text = (ROOT / path).read_text()
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), f"{name} is no test"


def test_an_id_is_a_property_or_proved_elsewhere() -> None:
    for one in ELSEWHERE:
        assert one.part == (one.id in PROPERTIES), f"{one.id}: in the register, or not, by 'part'"
        assert one.sentence.endswith("."), f"{one.id} has no sentence"
        assert one.reason, f"{one.id} has no reason"
