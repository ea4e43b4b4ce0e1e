"""Packing: against the oracle, against the containers of the reference, and told apart."""

from itertools import combinations

import numpy as np
import pytest

from refquant.formats.containers import awq, ggml_halves, words
from refquant.numerics import packing as bits_of
from refquant_conformance.arithmetic.base import Arithmetic, candidates
from refquant_conformance.arithmetic.packing import PACKING, pack_case, row_bytes, unpack_case
from refquant_conformance.protocol import Array

CELLS = [(a, scheme) for a in PACKING for scheme in a.schemes]
IDS = [f"{a.op}-{scheme}" for a, scheme in CELLS]
U4 = {"order": "low_first", "sign": "twos_complement", "padding": "ignored"}


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_every_order_is_what_the_oracle_counts(arithmetic: Arithmetic, scheme: str) -> None:
    for axes in candidates(arithmetic):
        for case in arithmetic.probes(scheme):
            if case.inputs["x"].size > 80:
                continue
            made = arithmetic.compute(case, axes)
            size = 1 if made is None else made["y"].size
            for index in range(0, size, 1 + size // 5):
                counted = arithmetic.exact(case, axes, "y", index)
                got = None if made is None else made["y"].reshape(-1)[index].item()
                assert got == counted, f"{dict(axes)} [{index}]: {got}, oracle {counted}"


@pytest.mark.parametrize(("arithmetic", "scheme"), CELLS, ids=IDS)
def test_probes_tell_the_values_of_each_axis_apart(arithmetic: Arithmetic, scheme: str) -> None:
    known = {(e.axis, frozenset(e.values)) for e in arithmetic.equal if scheme in e.schemes}
    base = {axis: values[0] for axis, values in arithmetic.axes.items()}
    for axis, values in arithmetic.axes.items():
        for a, b in combinations(values, 2):
            answers = [
                [
                    None if (made := arithmetic.compute(case, {**base, axis: v})) is None
                    else made["y"].tobytes()
                    for case in arithmetic.probes(scheme)
                ]
                for v in (a, b)
            ]  # fmt: skip
            equal = (axis, frozenset((a, b))) in known
            assert (answers[0] == answers[1]) == equal, f"{scheme}: {axis} = {a}, {b}"


def packed(codes: Array, order: str) -> bytes:
    arithmetic = next(a for a in PACKING if a.op == "pack" and "u4" in a.schemes)
    made = arithmetic.compute(pack_case("u4", codes), {**U4, "order": order})
    assert made is not None, "refused"
    return made["y"].tobytes()


def test_the_orders_are_those_of_the_containers() -> None:
    codes = np.random.default_rng(0).integers(0, 16, 64).astype(np.uint8)
    assert packed(codes, "low_first") == bits_of.pack(codes, num_bits=4).tobytes(), "a stream"
    halves = ggml_halves.pack(codes, block_size=32).tobytes()
    assert packed(codes, "halves") == halves, "ggml's halves"
    words_of_eight = awq.pack(codes[:, None], layout="gemm").tobytes()
    assert packed(codes, "awq") == words_of_eight, "AWQ's words"
    three = next(a for a in PACKING if a.op == "pack" and "u3" in a.schemes)
    made = three.compute(pack_case("u3", codes % 8), {**U4, "order": "words32"})
    assert made is not None, "refused"
    fields = (codes % 8).astype(np.uint32)
    assert made["y"].tobytes() == words.pack_padded(fields, num_bits=3).tobytes(), "words of ten"


def test_rows_of_another_length_are_refused() -> None:
    arithmetic = next(a for a in PACKING if a.op == "unpack" and "u4" in a.schemes)
    case = unpack_case("u4", np.zeros(3), 7)
    assert arithmetic.compute(case, U4) is None, "seven codes take four bytes"
    assert arithmetic.exact(case, U4, "y", 0) is None, "by the oracle, too"
    assert row_bytes("words32", num_bits=3, count=11) == 8, "eleven codes take two words of ten"
