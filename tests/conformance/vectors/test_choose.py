"""The cases of a file are small, and tell apart whom the probes tell apart."""

import pytest

from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, arithmetic_of
from refquant_conformance.vectors.choose import chosen, lost
from refquant_conformance.vectors.expected import specified

FAST = {
    ("qlinear_add", "u8"): "a sum: spread probes alone lose every contract",
    ("dynamic_quantize_linear", "f32_u8"): "parameters of a range, whose cases are cut",
    ("matmul_nbits", "f32_u4"): "no case of one element is small",
    ("layer_pack", "gptq"): "cases that have no parts, and a rule that refuses",
    ("block_dequantize", "q8_0"): "a block that is cut in the middle is refused",
    ("layer_unpack", "awq"): "inputs of other names than x, a and b",
}
CELLS = [
    pytest.param(one, scheme, id=f"{one.op}-{scheme}", marks=pytest.mark.slow)
    for one in ARITHMETICS
    for scheme in one.schemes[:1]
    if (one.op, scheme) not in FAST
]


def _complete(one: Arithmetic, scheme: str) -> None:
    probes, cases = list(one.probes(scheme)), chosen(one, scheme)
    assert cases, "no case"
    refused = [one.compute(case, specified(one)) is None for case in cases]
    assert 2 * sum(refused) < len(cases), f"{sum(refused)} of {len(cases)} are refused"
    sizes = [max(array.size for array in case.inputs.values()) for case in cases]
    assert max(sizes) <= 4096, f"a case of {max(sizes)} elements"
    small = [case for case in probes if max(a.size for a in case.inputs.values()) <= 4096]
    assert not lost(one, small, cases), "two choices are told apart by probes, and not by vectors"


@pytest.mark.parametrize("cell", FAST, ids="-".join)
def test_small_cases_tell_what_the_probes_tell(cell: tuple[str, str]) -> None:
    one = arithmetic_of(*cell)
    assert one is not None, f"no arithmetic for {cell}"
    _complete(one, cell[1])


@pytest.mark.parametrize(("one", "scheme"), CELLS)
def test_small_cases_of_every_operator_tell_what_the_probes_tell(
    one: Arithmetic, scheme: str
) -> None:
    _complete(one, scheme)


def test_what_is_lost_is_told() -> None:
    one = arithmetic_of("qlinear_add", "u8")
    assert one is not None, "no arithmetic of sums"
    probes = list(one.probes("u8"))
    assert lost(one, probes, []) == lost(one, probes, ()), "two answers"
    assert lost(one, probes, []), "without a case nothing is told"
    assert not lost(one, probes, probes), "the probes lose nothing that they tell"
