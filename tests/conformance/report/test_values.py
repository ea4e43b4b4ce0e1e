"""Meanings of values fit a table."""

from refquant_conformance.report.values import VALUES


def test_a_meaning_is_one_short_line() -> None:
    for (axis, value), meaning in VALUES.items():
        assert 0 < len(meaning) <= 80, f"{axis}={value}: {len(meaning)} characters"
        assert meaning[-1] not in ". \n", f"{axis}={value}: {meaning!r}"


def test_two_values_of_an_axis_mean_two_things() -> None:
    for axis in {axis for axis, _ in VALUES}:
        told = [meaning for (one, _), meaning in VALUES.items() if one == axis]
        assert len(set(told)) == len(told), f"{axis}: {told}"
