"""Which cases the properties of every operator get: few, or many small ones, and from where."""

import pytest

from refquant.contracts import preset
from refquant_conformance.adapters import load_backend
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.profiles import PROFILES
from refquant_conformance.properties.probes import ELEMENTWISE, few, many_small
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial


def trial(op: str, scheme: str, *, seed: int = 0, profile: str = "ci") -> Trial:
    arithmetic = arithmetic_of(op, scheme)
    axes = axes_of(preset("onnx"), arithmetic) if arithmetic else None
    subject = Local(load_backend("reference:onnx"))
    return Trial(subject, op, scheme, arithmetic, axes, PROFILES[profile], seed)


def bytes_of(cases: list[object]) -> list[bytes]:
    return [case.inputs["x"].tobytes() for case in cases]  # type: ignore[attr-defined]  # cases


def test_the_seed_chooses_in_other_profiles_only() -> None:
    ci = [bytes_of([*few(trial("quantize_linear", "f32_u8", seed=n), 4)]) for n in (0, 3)]
    assert ci[0] == ci[1], "another seed asks other cases"
    full = [
        bytes_of([*few(trial("quantize_linear", "f32_u8", seed=n, profile="full"), 4)])
        for n in (0, 3)
    ]
    assert full[0] != full[1], "a nightly run asks the same cases every night"


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_few_are_few_and_computed(op: str) -> None:
    one = trial(op, "f32_u8" if op == "quantize_linear" else "u8" if "qlinear" in op else "u8_f32")
    cases = few(one, 3)
    assert 1 <= len(cases) <= 3, f"{len(cases)} cases"
    for case in cases:
        assert one.expected(case) is not None, "the contract refuses it"


def test_many_small_are_the_small_ones_of_all_probes() -> None:
    one = trial("qlinear_matmul", "u8_i8")
    cases = many_small(one)
    sizes = [sum(array.size for array in case.inputs.values()) for case in cases]
    assert sizes == sorted(sizes), "not the small ones first"
    assert len(cases) >= 3, f"{len(cases)} cases"
    assert sum(sizes[:-1]) <= 2**19 or len(cases) == 3, f"{sum(sizes)} elements"


def test_without_an_arithmetic_there_is_the_sample() -> None:
    for chosen in (few(trial("load", "gguf"), 2), many_small(trial("load", "gguf"))):
        assert [case.op for case in chosen] == ["load"], f"{chosen}"
