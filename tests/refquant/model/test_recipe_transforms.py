"""What happens to weights first: keys that belong together."""

import re

import pytest

from refquant.model.recipe_transforms import Transforms


def test_equalization_has_sweeps_and_nothing_else_has() -> None:
    assert Transforms(equalize=True).sweeps == 20, "the default number of sweeps"
    assert Transforms().sweeps is None, "without equalization there is nothing to repeat"
    with pytest.raises(ValueError, match="only with equalize"):
        Transforms(sweeps=20)


def test_rotation_has_a_seed_and_nothing_else_has() -> None:
    assert Transforms(rotate="online").seed == 0, "the default, written out"
    assert Transforms(rotate="fused", seed=7).seed == 7, "or the one that is asked for"
    assert Transforms(smooth=0.5).seed is None, "without a rotation there are no signs"
    for keys, message in (
        ({"seed": 0}, "transforms.seed: only with rotate, got 0"),
        ({"rotate": "all"}, "transforms.rotate: unknown value 'all'; allowed: 'online', 'fused'"),
        ({"rotate": True}, "transforms.rotate: unknown value True"),
        ({"rotate": "fused", "seed": -1}, "transforms.seed: an integer >= 0, got -1"),
        ({"rotate": "fused", "seed": 1.0}, "transforms.seed: an integer >= 0, got 1.0"),
        ({"rotate": "fused", "seed": True}, "transforms.seed: an integer >= 0, got True"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            Transforms(**keys)


def test_bias_correction_knows_means_in_one_of_two_ways() -> None:
    assert Transforms(bias_correction="empirical").needs_data, "its means are of data"
    assert not Transforms(bias_correction="analytic").needs_data, "its means are of statistics"
    assert Transforms(equalize=True, bias_correction="empirical").sweeps == 20, "both may be"
    for value in ("both", True, 1):
        with pytest.raises(ValueError, match=r"transforms\.bias_correction: unknown value"):
            Transforms(bias_correction=value)  # type: ignore[arg-type]  # that is the test
