"""The parts of a recipe, made in Python."""

import pytest

from refquant.model.recipe_rules import Activations, Override, Transforms, Weights


def test_the_dtype_of_codes_follows_bits_and_symmetry() -> None:
    made = {
        (bits, symmetric): Weights(bits, symmetric).dtype
        for bits in (8, 4, 2)
        for symmetric in (True, False)
    }
    assert made == {
        (8, True): "int8", (4, True): "int4", (2, True): "int2",
        (8, False): "uint8", (4, False): "uint4", (2, False): "uint2",
    }, made  # fmt: skip


def test_a_group_has_a_size_and_nothing_else_has() -> None:
    assert Weights(granularity="group").group_size == 32, "the default size of a group"
    assert Weights().group_size is None, "per channel there are no groups"
    with pytest.raises(ValueError, match="only with granularity 'group'"):
        Weights(group_size=32)


def test_an_override_replaces_what_it_names() -> None:
    base = Weights(4, granularity="group", group_size=16, observer="mse_grid")
    changed = Override("x", weights={"bits": 8}).applied_to(base)
    assert changed == Weights(8, granularity="group", group_size=16, observer="mse_grid")
    changed = Override("x", weights={"granularity": "per_channel"}).applied_to(base)
    assert changed == Weights(4, observer="mse_grid"), "the size goes with its granularity"
    changed = Override("x", weights={"granularity": "group"}).applied_to(Weights())
    assert changed == Weights(granularity="group", group_size=32), changed


def test_options_are_those_of_the_observer() -> None:
    Activations(observer="moving_average", options={"momentum": 0.5})
    with pytest.raises(ValueError, match=r"activations.options: .* has no option 'momentum'"):
        Activations(observer="minmax", options={"momentum": 0.5})


def test_equalization_has_sweeps_and_nothing_else_has() -> None:
    assert Transforms(equalize=True).sweeps == 20, "the default number of sweeps"
    assert Transforms().sweeps is None, "without equalization there is nothing to repeat"
    with pytest.raises(ValueError, match="only with equalize"):
        Transforms(sweeps=20)
