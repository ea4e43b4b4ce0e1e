"""MX formats and producers as data: they agree with the definitions of their elements."""

import pytest

from refquant.formats.mx_formats import MX_FORMATS, MX_PRODUCERS, mx_format
from refquant.formats.mx_scales import SCALE_RULES
from refquant.numerics.rounding import ROUNDING
from tests.refquant.formats.block_oracles import ELEMENTS, magnitudes


@pytest.mark.parametrize("name", MX_FORMATS)
def test_the_largest_number_is_that_of_the_element(name: str) -> None:
    form = MX_FORMATS[name]
    assert ELEMENTS[name] == form.element, f"{name} has elements {form.element}"
    assert form.max_value == magnitudes(form.element)[-1], f"{name}: {form.max_value}"
    assert form.num_bits == int(name[4 if name[2] == "f" else 5]), "the number in its name"


@pytest.mark.parametrize("name", MX_PRODUCERS)
def test_a_producer_has_a_rule_and_a_rounding_that_exist(name: str) -> None:
    row = MX_PRODUCERS[name]
    assert row.scale_rule in SCALE_RULES, f"{name}: {row.scale_rule}"
    assert row.rounding in (*ROUNDING, "half_toward_zero"), f"{name}: {row.rounding}"
    exact = row.log2 == "exact" or SCALE_RULES[row.scale_rule].uses_logarithm
    assert exact, f"{name}: a logarithm that {row.scale_rule} does not have"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match=r"format must be one of .*mxfp4.*; got 'mxfp5'"):
        mx_format("mxfp5")
