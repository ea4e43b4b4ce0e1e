"""Each property PK holds of the reference, and finds the bug that names it."""

import pytest

from refquant_conformance.properties.pk import BY_HAND
from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("pk")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)


def test_what_is_written_by_hand_has_the_length_of_thirty_two_codes() -> None:
    for (scheme, order), text in BY_HAND.items():
        assert len(text) == 8 * int(scheme[1:]), f"{scheme} {order}"
