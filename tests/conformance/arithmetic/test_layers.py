"""Layers in containers: against the oracle, told apart, and words by hand."""

from itertools import combinations

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Arithmetic, Outputs, candidates
from refquant_conformance.arithmetic.codebooks import CODEBOOKS
from refquant_conformance.arithmetic.layers import LAYERS, pack_layer, unpack_layer
from refquant_conformance.arithmetic.wide_matmul import WIDE_MATMUL

CELLS = [(a, scheme) for a in (*LAYERS, CODEBOOKS, WIDE_MATMUL) for scheme in a.schemes]
IDS = [f"{a.op}-{scheme}" for a, scheme in CELLS]


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_every_choice_is_what_the_oracle_counts(arithmetic: Arithmetic, scheme: str) -> None:
    for axes in candidates(arithmetic):
        for case in arithmetic.probes(scheme):
            for name, array in (arithmetic.compute(case, axes) or {}).items():
                flat = array.reshape(-1)
                for index in range(0, flat.size, 1 + flat.size // 40):
                    counted = arithmetic.exact(case, axes, name, index)
                    got = flat[index].item()
                    assert got == counted, f"{dict(axes)} {name}[{index}]: {got}, oracle {counted}"


def _bits(made: Outputs | None) -> object:
    return None if made is None else {name: array.tobytes() for name, array in made.items()}


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_probes_tell_the_values_of_each_axis_apart(arithmetic: Arithmetic, scheme: str) -> None:
    probes = arithmetic.probes(scheme)
    for a, b in combinations(candidates(arithmetic), 2):
        answers = [[_bits(arithmetic.compute(p, c)) for p in probes] for c in (a, b)]
        assert answers[0] != answers[1], f"{scheme}: {dict(a)}, {dict(b)}"


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_the_smallest_case_of_an_element_holds_it(arithmetic: Arithmetic, scheme: str) -> None:
    axes = next(iter(candidates(arithmetic)))
    case = arithmetic.probes(scheme)[0]
    made = arithmetic.compute(case, axes)
    assert made is not None, "refused"
    name = next(iter(made))
    index = made[name].size - 3
    small = arithmetic.compute(arithmetic.element(case, index), axes)
    assert small is not None, "refused alone"
    flat = small[name].reshape(-1)
    assert flat[index % flat.size] == made[name].reshape(-1)[index], "another element"


def test_words_by_hand() -> None:
    codes = np.zeros((64, 32))
    codes[:8, 0] = np.arange(8)  # a column of GPTQ's; in AWQ's words, the first of eight rows
    zeros = np.zeros((2, 32))
    zeros[0, :8] = np.arange(8)
    gptq, awq = LAYERS[0], LAYERS[1]
    made = gptq.compute(pack_layer("gptq", codes, zeros), {"zeros": "v2"})
    assert made is not None, "refused"
    assert hex(int(made["qweight"][0, 0])) == "0x76543210", "eight in_features, the first lowest"
    assert hex(int(made["qzeros"][0, 0])) == "0x76543210", "eight out_features"
    made = awq.compute(pack_layer("awq", codes, zeros), {})
    assert made is not None, "refused"
    assert hex(int(made["qzeros"][0, 0])) == "0x75316420", "0 2 4 6 1 3 5 7, the first lowest"


def test_a_stored_fifteen_of_the_first_convention_is_sixteen_or_zero() -> None:
    words = np.zeros((8, 32), np.int32)
    stored = np.full((2, 4), -1, np.int32)
    case = unpack_layer("gptq", words, stored, np.ones((2, 32)), "v1")
    seen = [LAYERS[2].compute(case, {"last_zero": value}) for value in ("sixteen", "zero")]
    assert [float(made["y"][0, 0]) for made in seen if made] == [-16.0, 0.0], "by hand"
