"""Which cells a run is about: filters leave something, or the sentence names what there is."""

from collections.abc import Iterable

import pytest

from refquant.cli.common import UsageError
from refquant_conformance.adapters import BackendError
from refquant_conformance.cli import main
from refquant_conformance.commands.selection import chosen
from refquant_conformance.protocol import Capability
from refquant_conformance.subject import Local
from tests.conformance.bad_backends import HERE, Empty, Honest


class Two(Honest):
    """Two operators, one with two schemes."""

    def capabilities(self) -> Iterable[Capability]:
        pairs = (("quantize_linear", "f32_u8"), ("quantize_linear", "f32_i8"), ("pack", "u4"))
        return [Capability(*pair) for pair in pairs]


TWO = Local(Two())


def test_filters_leave_what_they_name() -> None:
    assert chosen(TWO) == TWO.capabilities, "no filter leaves all"
    found = chosen(TWO, ops=["quantize_linear"], schemes=["f32_i8"], properties=["QDQ-02"])
    assert found == (Capability("quantize_linear", "f32_i8"),), f"{found}"


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"ops": ["lstm"]}, "--op: two computes no lstm; it computes quantize_linear, pack"),
        (
            {"ops": ["pack", "lstm"]},
            "--op: two computes no lstm; it computes quantize_linear, pack",
        ),
        (
            {"ops": ["pack"], "schemes": ["f32_u8"]},
            "--scheme: two computes pack in no scheme f32_u8; there are u4",
        ),
        ({"schemes": ["u4", "u16"]}, "--scheme: two computes nothing in scheme u16; there are"),
        (
            {"ops": ["pack"], "properties": ["QDQ-02"]},
            "--property: QDQ-02 says nothing of pack; it is about quantize_linear",
        ),
    ],
)
def test_a_filter_that_leaves_nothing_names_what_there_is(
    filters: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(TWO, **filters)
    assert str(caught.value).startswith(told), f"{caught.value}"


def test_a_backend_that_computes_nothing_is_not_certified() -> None:
    with pytest.raises(BackendError, match="empty lists no cell"):
        chosen(Local(Empty()))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["run", "--op", "cast"], 2, "--op: honest computes no cast"),
        (["run", "--property", "ACC-01"], 2, "--property: ACC-01 says nothing of quantize_linear"),
        (["run", "--property", "X-05"], 2, "nothing was asked: X-05 says nothing of the cells"),
        (["identify", "--op", "cast"], 2, "--op: honest computes no cast"),
        (
            ["identify", "--scheme", "f32_i8"],
            2,
            "--scheme: honest computes nothing in scheme f32_i8",
        ),
    ],
)
def test_a_run_that_asks_nothing_is_not_green(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--backend", f"{HERE}:Honest"]) == code, f"{words}"
    captured = capsys.readouterr()
    assert captured.out == "", captured.out
    assert told in captured.err, captured.err
