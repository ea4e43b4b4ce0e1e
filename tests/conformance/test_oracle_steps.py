"""The oracle of steps, by hand."""

import pytest

from refquant_conformance.oracle_steps import rescale_in_steps_exact

ONE = (1.0, 1.0, 2.0)
BYTE = (-128, 127)


def rescaled(acc: int, bias: int | None, mode: str, *, zero_point: int = 0, **more: bool) -> int:
    return rescale_in_steps_exact(
        acc, bias, ONE, zero_point=zero_point, limits=BYTE, mode=mode,
        divided=more.get("divided", False),
    )  # fmt: skip


def test_ties() -> None:
    """7 halves are 3.5: even is 4; with a zero point of 1 before the rounding, 4.5 is 4 as well."""
    assert rescaled(7, None, "float32_steps") == 4, "even"
    assert rescaled(7, None, "float32_steps", zero_point=1) == 4, "the zero point comes first"
    assert rescaled(7, None, "float_rne_real_bias", zero_point=1) == 5, "and here last"
    assert rescaled(5, None, "factors_half_away") == 3, "away from zero"
    assert rescaled(-5, None, "factors_half_away") == -3, "on either side"


def test_a_bias_is_added() -> None:
    for mode in ("float32_steps", "float_rne_real_bias", "factors_half_away"):
        assert rescaled(4, 4, mode) == 4, mode
        assert rescaled(4, 4, mode, divided=True) == 4, mode


def test_what_is_infinite_or_nan_is_an_end() -> None:
    huge = (3e38, 3e38, 1.0)
    made = rescale_in_steps_exact(
        -1, 1, huge, zero_point=0, limits=BYTE, mode="float32_steps", divided=False
    )
    assert made == -128, "infinity less infinity"
    made = rescale_in_steps_exact(
        1, None, huge, zero_point=0, limits=BYTE, mode="float32_steps", divided=False
    )
    assert made == 127, "infinity"
    with pytest.raises(ValueError, match="mode must be one of"):
        rescaled(1, None, "float_rne")
