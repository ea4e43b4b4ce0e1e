"""What commands share: whom they ask, and what they refuse before anybody is asked."""

import argparse

import pytest

from refquant.cli.common import UsageError
from refquant_conformance.commands.common import (
    add_backend,
    add_filters,
    add_profile,
    aligned,
    subject_of,
)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_backend(parser)
    add_filters(parser)
    add_profile(parser)
    return parser.parse_args(words)


def test_a_backend_is_named_with_its_knobs() -> None:
    arguments = parsed("--backend", "mutant:thread_split", "--knob", "threads=2")
    subject = subject_of(arguments)
    try:
        assert subject.knobs == {"threads": 2}, f"{subject.knobs}"
        assert subject.info.name == "mutant:thread_split", f"{subject.info}"
        assert (arguments.profile, arguments.seed) == ("ci", 0), "the defaults"
    finally:
        subject.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--knob", "threads"], "NAME=VALUE"),
        (["--knob", "=2"], "NAME=VALUE"),
        (["--knob", "wings=2"], "has no knob wings=2; it has none"),
        (["--op", "nop"], "no operator 'nop'"),
        (["--scheme", "f99"], "no scheme 'f99'"),
        (["--op", "cast", "--scheme", "u8_i8"], "cast has no scheme 'u8_i8'"),
        (["--time-limit", "0"], "--time-limit"),
        (["--time-limit", "nan"], "--time-limit"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("'", ".")):
        subject_of(parsed("--backend", "mutant:half_away", *words))


@pytest.mark.parametrize("seed", ["-1", "x"])
def test_a_seed_is_a_number_that_is_not_negative(
    seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--backend", "reference:onnx", "--seed", seed)
    assert "--seed" in capsys.readouterr().err, "the option is not named"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned([("a", "b"), ("long", "")]) == "a     b\nlong", "columns"
