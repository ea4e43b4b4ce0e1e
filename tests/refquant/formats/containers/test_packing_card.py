"""Cards of packings: every container has one, and what it says of the bits is true."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import numpy as np
import pytest

from refquant.formats import containers
from refquant.formats.card import Card
from refquant.formats.containers.packing_card import packing_card

WITHOUT_CARD = {"convert", "packing_card", "sniff", "words"}


def cards() -> Iterator[Card]:
    for found in pkgutil.iter_modules(containers.__path__):
        module = importlib.import_module(f"{containers.__name__}.{found.name}")
        listed = getattr(module, "CARDS", None) or (getattr(module, "CARD", None),)
        for card in listed:
            assert (card is None) == (found.name in WITHOUT_CARD), f"{found.name} and its card"
            if card is not None:
                yield card


ALL = {card.name: card for card in cards()}


def test_every_name_is_one_card() -> None:
    names = [card.name for card in cards()]
    assert len(names) == len(set(names)), f"twice: {names}"
    assert all(re.fullmatch(r"[a-z0-9_]+_packing", name) for name in names), f"{names}"
    silent = [card.name for card in cards() if "values are" not in card.title]
    assert not silent, f"the title says that values are codes: {silent}"


@pytest.mark.parametrize("name", ALL)
def test_bits_of_codes_are_apart_and_hold_the_code(name: str) -> None:
    card = ALL[name]
    count = card.block_size or 8
    x = (np.arange(count) % 2).astype(np.float32)  # 0 and 1 are codes of every card
    steps = list(card.explain(x))
    values, units = steps[:count], steps[count:]
    pattern = {step.what: int(step.result, 16) for step in units}
    seen: set[tuple[str, int]] = set()
    for index, step in enumerate(values):
        assert step.what == f"x[{index}]", f"{step}"
        assert step.result.endswith("(error 0)"), f"a packing rounds nothing: {step}"
        bits = re.findall(r"(byte|half|word) (\d+), bits (\d+)\.\.(\d+)", step.how)
        places = [
            (f"{unit} {at}", bit)
            for unit, at, low, high in bits
            for bit in range(int(low), int(high) + 1)
        ]
        assert places, f"{step}"
        assert not seen & set(places), f"two codes share a bit: {step}"
        seen |= set(places)
        code = re.search(r"0b([01]+)", step.how)
        assert code, f"{step}"
        assert len(code[1]) == len(places), f"as many places as bits: {step}"
        held = sum(((pattern[unit] >> bit) & 1) for unit, bit in places)
        assert held == code[1].count("1"), f"{step} and {pattern}"


def test_a_field_over_two_words_is_told_in_both() -> None:
    steps = list(ALL["gptq_int3_packing"].explain(np.full(11, 7, np.float32)))
    assert steps[10].how == "7 -> 0b111 in word 0, bits 30..31; word 1, bits 0..0", f"{steps[10]}"


def test_what_is_no_code_is_refused() -> None:
    card = ALL["gptq_int4_packing"]
    for bad, match in (
        ([0.5], "are codes, integers"),
        ([np.nan], "are codes, integers"),
        ([np.inf], "are codes, integers"),
        ([16.0], r"x must be in \[0, 15\]"),
        ([1.0] * 9, "at most 8"),
        ([], "one or more codes"),
    ):
        with pytest.raises(ValueError, match=match):
            card.explain(np.array(bad, np.float32))
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        card.explain(np.float32(1))  # type: ignore[arg-type]  # what a user may pass


def test_a_short_block_is_filled_with_zeros() -> None:
    steps = list(ALL["gptq_int4_packing"].explain(np.array([15], np.float32)))
    assert [step.result for step in steps] == ["15 (error 0)", "0x0000000f"], f"{steps}"
    odd = list(ALL["hqq_4bit_packing"].explain(np.array([1, 2, 3], np.float32)))
    assert [step.result for step in odd[3:]] == ["0x13", "0x20"], f"{odd}"


def test_stored_bits_may_be_more_than_the_code_has() -> None:
    card = packing_card(
        name="t", title="t", num_bits=3, stored_bits=3.2, block_size=1, layout="", equation="",
        source="", pack=lambda codes: codes.astype(np.uint8),
    )  # fmt: skip
    assert card.bits_per_value == 3.2, f"got {card.bits_per_value}"
