"""One base for every error, messages of bounded length, and a way between processes."""

import pickle

import pytest

from refquant_runtime import FormatError, InputError, RefquantRuntimeError, UnsupportedError, isa


@pytest.mark.parametrize("kind", [FormatError, InputError, UnsupportedError, isa.IsaError])
def test_every_error_is_one_of_ours_and_a_value_error(kind: type[Exception]) -> None:
    assert issubclass(kind, RefquantRuntimeError), "one type catches them all"
    assert issubclass(kind, ValueError), "as does the usual one"


def test_a_format_error_says_file_place_problem_and_remedy() -> None:
    error = FormatError("m.rq", "tensor 'w'", "is cut off", "copy it again")
    assert str(error) == "m.rq: tensor 'w': is cut off; copy it again", "in this order"
    assert (error.path, error.where) == ("m.rq", "tensor 'w'"), "also as fields"


def test_a_message_does_not_repeat_a_megabyte_of_nonsense() -> None:
    error = FormatError("m.rq", "x" * 10**6, "y" * 10**6, "remove it")
    assert len(str(error)) < 1000, "cut"
    assert str(error).endswith("; remove it"), "the remedy stays"
    assert len(str(UnsupportedError("z" * 10**6))) < 2000, "cut, too"


def test_errors_travel_between_processes() -> None:
    for error in (FormatError("m.rq", "header", "is odd", "write it again"), InputError("no")):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error), "the same type"
        assert str(copy) == str(error), "the same words"
