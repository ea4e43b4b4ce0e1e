"""The choice of an instruction set: the CPU's report, the variable, and what the errors say."""

import platform

import pytest

from refquant_runtime import isa

AVX512 = frozenset({"avx2", "avx512f", "avx512bw", "avx512vl", "avx512vnni"})


@pytest.fixture
def avx512_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "_features", lambda: AVX512)
    monkeypatch.delenv(isa.VARIABLE, raising=False)


def test_portable_runs_everywhere_and_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isa.available()[0] == "portable", "the fallback is always there"
    monkeypatch.setattr(isa, "_features", frozenset)
    monkeypatch.delenv(isa.VARIABLE, raising=False)
    assert isa.available() == ("portable",), "a CPU without features has the fallback only"
    assert isa.chosen() == "portable", "which is then the best"


@pytest.mark.usefixtures("avx512_machine")
def test_the_best_available_set_is_chosen() -> None:
    assert isa.available() == ("portable", "avx2", "avx512vnni"), "AVX-VNNI is another feature"
    assert isa.chosen() == "avx512vnni", "the last one is the best"


@pytest.mark.parametrize("missing", ["avx512vl", "avx512bw", "avx512vnni"])
def test_every_needed_feature_is_needed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "_features", lambda: AVX512 - {missing})
    assert isa.available() == ("portable", "avx2"), f"{missing} is missing"


@pytest.mark.usefixtures("avx512_machine")
@pytest.mark.parametrize("name", ["portable", "avx2", "avx512vnni"])
def test_the_variable_names_the_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, name)
    assert isa.chosen() == name, "what the variable says"


@pytest.mark.usefixtures("avx512_machine")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("avxvnni", "this CPU does not have"),
        ("neon", "not implemented yet"),
        ("dotprod", "not implemented yet"),
        ("i8mm", "not implemented yet"),
        ("AVX2", "not an instruction set we know"),
        ("sse9", "not an instruction set we know"),
    ],
)
def test_a_set_that_cannot_run_is_refused_in_one_sentence(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(isa.VARIABLE, name)
    with pytest.raises(isa.IsaError) as caught:
        isa.chosen()
    message = str(caught.value)
    assert isa.VARIABLE in message, "names the variable"
    assert name in message, "names the value"
    assert reason in message, "says why"
    assert message.endswith("portable, avx2, avx512vnni"), "lists what is allowed here"
    assert "\n" not in message, "one sentence"


@pytest.mark.usefixtures("avx512_machine")
def test_an_empty_variable_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, "")
    assert isa.chosen() == "avx512vnni", "as if it were not set"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 names")
def test_the_report_of_this_cpu_has_llvms_names() -> None:
    assert "sse2" in isa._features(), "every 64-bit x86 CPU has SSE2"
