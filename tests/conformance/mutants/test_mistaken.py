"""Every value of every axis: a backend that declares it and computes another is found out."""

import pytest

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, arithmetic_of
from refquant_conformance.mutants.mistaken import killers, mistaken
from refquant_conformance.profiles import PROFILES

CI = PROFILES["ci"]
SEEDS = 3  # as many as the kill matrix has
QUICK = ("dequantize_linear", "cast", "decode", "pack", "move", "layer_norm")  # of `make test`


def quantizer() -> Arithmetic:
    found = arithmetic_of("quantize_linear", "f32_u8")
    assert found is not None, "the operator everything begins with"
    return found


def alike(arithmetic: Arithmetic, axis: str, value: AxisValue) -> bool:
    """Whether ``value`` computes what another value of its axis does, in every scheme, by name."""
    schemes = {
        scheme for e in arithmetic.equal if e.axis == axis and value in e.values
        for scheme in e.schemes
    }  # fmt: skip
    return len(arithmetic.axes[axis]) == 1 or schemes == set(arithmetic.schemes)


def check(arithmetic: Arithmetic, seeds: int) -> None:
    made = list(mistaken(arithmetic))
    told = {(one.axis, one.value) for one in made}
    every = {(axis, value) for axis, values in arithmetic.axes.items() for value in values}
    silent = {place for place in every - told if not alike(arithmetic, *place)}
    assert not silent, f"{arithmetic.op}: no probe tells {silent}, and no text says they are equal"
    for one in made:
        for seed in range(seeds):
            found = killers(one, CI, seed)
            assert found, (
                f"{arithmetic.op} {one.scheme}: who declares {one.axis}={one.value} and computes "
                f"{one.instead} passes every property with seed {seed}; else {dict(one.axes)}"
            )


def label(arithmetic: Arithmetic) -> str:
    return f"{arithmetic.op}-{arithmetic.schemes[0]}"


@pytest.mark.parametrize("arithmetic", [a for a in ARITHMETICS if a.op in QUICK], ids=label)
def test_values_of_quick_operators(arithmetic: Arithmetic) -> None:
    check(arithmetic, 1)


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=label)
def test_every_value_is_held_to_its_word(arithmetic: Arithmetic) -> None:
    check(arithmetic, SEEDS)


def test_the_nearest_mistake_is_made() -> None:
    made = {(one.axis, one.value): one for one in mistaken(quantizer())}
    one = made["rounding", "half_even"]
    assert one.instead == "half_down", f"{one.instead}: half_away differs at more ties"
    assert one.axes["rounding"] == "half_even", "what is declared"
    assert one.declared("quantize_linear") == one.axes, "what is declared"
    assert [(c.op, c.scheme) for c in one.capabilities()] == [("quantize_linear", "f32_u8")]
    assert one.info().name == "mistaken:rounding", one.info().name


def test_all_killers_begin_with_the_first() -> None:
    one = next(mistaken(quantizer()))
    first, every = killers(one, CI, 0), killers(one, CI, 0, all_of_them=True)
    assert every[:1] == first, f"{first} of {every}"
    assert len(every) > 1, f"a tie is a matter of several properties, not of {every}"


def test_an_honest_backend_has_no_killer() -> None:
    one = next(mistaken(quantizer()))
    honest = type(one)(one.arithmetic, one.scheme, one.axis, one.value, one.value, one.axes)
    assert killers(honest, CI, 0, all_of_them=True) == [], "it computes what it declares"
