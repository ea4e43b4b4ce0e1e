"""The parts of a recipe, made in Python."""

from dataclasses import replace
from typing import Any

import pytest

from refquant.model.recipe_rules import Activations, Override, Weights


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
    with pytest.raises(ValueError, match="group_size: only with granularity 'group'"):
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


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("affine", (8, "per_channel", None, "int8")), ("nf4", (4, "group", 64, "uint4")),
        ("mxfp4", (4, "group", 32, "uint4")), ("nvfp4", (4, "group", 16, "uint4")),
        ("fp8_e4m3", (8, "per_channel", None, "uint8")),
    ],
)  # fmt: skip
def test_a_format_has_bits_and_blocks_of_its_own(format: str, expected: tuple[Any, ...]) -> None:
    w = Weights(format=format)
    assert (w.bits, w.granularity, w.group_size, w.dtype) == expected, f"{w}"
    assert replace(w) == w, "what is filled in is accepted"
    other = Weights(format="nvfp4" if format != "nvfp4" else "nf4")
    assert Override("a", weights={"format": format}).applied_to(other) == w, "all of it"


def test_what_is_not_fixed_can_be_said() -> None:
    assert Weights(format="nf4", group_size=128).group_size == 128, "QLoRA's other block"
    assert Weights(format="fp8_e4m3", granularity="group").group_size == 32, "as for integers"
    kept = Override("a", weights={"group_size": 32}).applied_to(Weights(format="nf4"))
    assert (kept.format, kept.group_size) == ("nf4", 32), "an override keeps the format"
    back = Override("a", weights={"format": "affine", "bits": 4})
    assert back.applied_to(Weights(format="nvfp4")) == Weights(4), "none of the other format's"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"format": "nf5"}, "format: unknown value 'nf5'; allowed: 'affine', 'nf4'"),
        ({"format": "nf4", "bits": 8}, "bits: format 'nf4' has 4, got 8; leave it out"),
        ({"format": "nf4", "symmetric": False}, "symmetric: format 'nf4' has True, got False"),
        ({"format": "nf4", "observer": "mse_grid"}, "observer: format 'nf4' has 'minmax'"),
        ({"format": "nf4", "algorithm": "awq"}, "algorithm: format 'nf4' has 'rtn' or 'gptq', got"),
        (
            {"format": "nf4", "algorithm": "gptq", "gptq": {"groups": "lazy"}},
            "gptq.groups: format 'nf4' has its scales before the walk, 'static', got 'lazy'",
        ),
        ({"format": "nf4", "granularity": "per_channel"}, "granularity: format 'nf4' has 'group'"),
        ({"format": "mxfp4", "group_size": 64}, "group_size: format 'mxfp4' has 32, got 64"),
        ({"format": "fp8_e4m3", "group_size": 64}, "group_size: only with granularity 'group'"),
        ({"format": "nf4", "group_size": 0}, "group_size: an integer >= 1"),
        ({"bits": True}, "bits: unknown value True"),
        ({"bits": 1}, "bits: unknown value 1"),
    ],
)
def test_what_contradicts_a_format_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"weights\.{message}"):
        Weights(**said)
