"""What happens to weights first: keys that belong together."""

import pytest

from refquant.model.recipe_transforms import Transforms


def test_equalization_has_sweeps_and_nothing_else_has() -> None:
    assert Transforms(equalize=True).sweeps == 20, "the default number of sweeps"
    assert Transforms().sweeps is None, "without equalization there is nothing to repeat"
    with pytest.raises(ValueError, match="only with equalize"):
        Transforms(sweeps=20)
