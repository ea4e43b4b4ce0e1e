"""The catalog: no format is forgotten, and every explanation agrees with what it explains."""

import importlib
import pkgutil
import re

import numpy as np
import pytest

import refquant.formats
from refquant.formats.card import Card, Step
from refquant.formats.catalog import CATALOG, card

VALUES = [3.3, -0.7, 0.0, 1e-3, -2.5]
MAGNITUDES = {"log2"}  # formats of what is not negative: a softmax, an attention map


def cards_of_all_modules() -> dict[str, list[str]]:
    """The names on the cards of every module below ``refquant.formats``."""
    found = {}
    for info in pkgutil.walk_packages(refquant.formats.__path__, "refquant.formats."):
        module = importlib.import_module(info.name)
        cards = [*getattr(module, "CARDS", ()), *([module.CARD] if hasattr(module, "CARD") else [])]
        if cards:
            found[info.name] = [each.name for each in cards]
    return found


def test_every_card_is_in_the_catalog_once() -> None:
    modules = cards_of_all_modules()
    names = [name for cards in modules.values() for name in cards]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two formats of one name: {twice} in {modules}"
    assert set(names) == set(CATALOG), f"differ: {sorted(set(names) ^ set(CATALOG))}"
    assert len(CATALOG) > 100, f"README says more than a hundred formats, there are {len(CATALOG)}"


@pytest.mark.parametrize("name", CATALOG)
def test_a_card_is_complete_and_fits_a_terminal(name: str) -> None:
    chosen = CATALOG[name]
    assert re.fullmatch(r"[a-z0-9_]+", name), f"{name}: a name is lower case letters, digits, _"
    assert 0 < chosen.bits_per_value <= 64, f"{name}: {chosen.bits_per_value} bits a value"
    for what in ("title", "layout", "equation", "source"):
        text = getattr(chosen, what)
        assert text.strip(), f"{name} has no {what}"
        wide = [line for line in text.splitlines() if len(line) > 98]
        assert not wide, f"{name}: {what} is wider than a terminal: {wide}"
        assert "\\" not in text, f"{name}: {what} is TeX, not plain text"


def in_bits_only(chosen: Card) -> bool:
    """Whether the values of this card are codes: packings lay integers out, they round nothing."""
    return chosen.name.endswith("_packing")


@pytest.mark.parametrize("name", CATALOG)
def test_every_card_explains_values(name: str) -> None:
    chosen = CATALOG[name]
    values = [1.0, 0.0] if in_bits_only(chosen) else VALUES
    count = min(len(values), chosen.block_size) if chosen.block_size > 1 else len(values)
    x = np.array(values[:count], np.float32)
    x = np.abs(x) if name in MAGNITUDES else x
    before = x.copy()
    steps = list(chosen.explain(x))
    assert np.array_equal(x, before), f"{name}: explain changed its input"
    assert steps, f"{name}: no steps"
    assert all(isinstance(step, Step) for step in steps), f"{name}: not steps: {steps}"
    assert all(step.what and step.how and step.result for step in steps), f"{name}: an empty text"
    if in_bits_only(chosen):
        return
    for index, value in enumerate(x):
        shown = [s.result for s in steps if s.what == f"x[{index}]" and "(error " in s.result]
        assert len(shown) == 1, f"{name}: x[{index}] is decoded {len(shown)} times"
        back, error = map(float, re.fullmatch(r"(\S+) \(error (\S+)\)", shown[0]).groups())  # type: ignore[union-attr]  # a mismatch fails the test as well
        # both are printed with nine digits: half a unit of the ninth, of each number
        bound = 1e-8 * (abs(back) + abs(float(value)) + abs(error))
        assert abs(back - float(value) - error) <= bound, f"{name}: x[{index}]: {shown[0]}"


NASTY: tuple[list[float], ...] = (
    [np.nan, 1.0],
    [-np.inf, 1.0],
    [0.0, -0.0],
    [1e-45, -2e-42, 1e-39],
    [3.4e38, -3.4e38, 1.0],
    [3.4e38],
)


@pytest.mark.parametrize("name", CATALOG)
def test_nasty_values_are_explained_or_refused_but_never_warned_about(name: str) -> None:
    """A warning is an error here, so is any other exception: a format decides, or says why not."""
    for values in NASTY:
        x = np.array(values[: CATALOG[name].block_size or len(values)], np.float32)
        try:
            shown = [step.result for step in CATALOG[name].explain(x)]
        except ValueError as error:
            shown = [str(error)]
        assert all(shown), f"{name}: {values}: {shown}"


def test_names_are_found_in_any_spelling_and_others_are_refused() -> None:
    assert card("E4M3FN") is CATALOG["e4m3fn"], "case must not matter"
    assert card("e4m3fn ") is CATALOG["e4m3fn"], "nor spaces"
    with pytest.raises(ValueError, match="did you mean e4m3fn"):
        card("e4m3fm")
    with pytest.raises(ValueError, match=r"unknown format '@@'; refquant explain lists all"):
        card("@@")
