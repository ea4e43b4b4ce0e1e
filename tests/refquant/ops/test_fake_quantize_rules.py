"""Which settings mean something together: the table, all of it."""

from itertools import product

import pytest

from refquant.formats.mx_formats import MX_FORMATS
from refquant.ops.fake_quantize_rules import (
    FORMATS,
    FP8,
    GRANULARITIES,
    INTEGERS,
    check_rules,
    is_blocked,
    mixes,
)


def allowed(format: str, granularity: str, static: bool, clipped: bool, threshold: bool) -> bool:
    """The table of the module, read as a person would."""
    if format in (*INTEGERS, *FP8):
        if granularity == "tensor":
            return not threshold and not (static and clipped)
        return granularity == "token" and not static
    simple = granularity == "block" and not clipped and not threshold
    return simple and (not static or format == "nvfp4")


def test_the_table() -> None:
    flags = (False, True)
    for format, granularity, static, clipped, large in product(
        FORMATS, GRANULARITIES, flags, flags, flags
    ):
        said = True
        try:
            check_rules(
                format=format,
                granularity=granularity,
                static=static,
                clip_ratio=0.9 if clipped else 1.0,
                threshold=6.0 if large else None,
            )
        except ValueError:
            said = False
        case = f"{format} {granularity} static={static} clipped={clipped} threshold={large}"
        assert said == allowed(format, granularity, static, clipped, large), case


def test_all_formats_of_mx_are_there_and_bring_blocks() -> None:
    assert set(FORMATS) == {*INTEGERS, *FP8, *MX_FORMATS, "nvfp4"}, FORMATS
    assert [f for f in FORMATS if is_blocked(f)] == [*MX_FORMATS, "nvfp4"], "and no other"


@pytest.mark.parametrize(
    ("format", "granularity", "static", "threshold", "expected"),
    [
        ("int8", "token", False, None, False),
        ("int8", "token", False, 6.0, True),
        ("fp8_e4m3", "tensor", False, None, True),
        ("fp8_e4m3", "tensor", True, None, False),
        ("mxfp4", "block", False, None, False),
        ("nvfp4", "block", False, None, True),
        ("nvfp4", "block", True, None, False),
    ],
)
def test_who_looks_at_the_whole_sample(
    format: str, granularity: str, static: bool, threshold: float | None, expected: bool
) -> None:
    found = mixes(format=format, granularity=granularity, static=static, threshold=threshold)
    assert found == expected, f"{format} {granularity}"
