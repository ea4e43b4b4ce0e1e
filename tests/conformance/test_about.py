"""What a backend says of itself: nonsense is refused by name, what is said twice counts once."""

from typing import Any

import pytest

from refquant_conformance.about import described
from refquant_conformance.protocol import Capability, Info

CELL = Capability("quantize_linear", "f32_u8")


def test_what_is_right_goes_through_once() -> None:
    info = Info("mine", "1", {"threads": (1, 2)}, {"cpu": "x"})
    assert described(info, [CELL, CELL]) == (info, (CELL,)), "changed, or counted twice"
    assert described(info, [])[1] == (), "a backend may compute nothing"


@pytest.mark.parametrize(
    ("info", "cells", "word"),
    [
        ({"name": "mine"}, [CELL], "info must return an Info, got a dict"),
        (Info("", "1"), [CELL], "name must be a string"),
        (Info("mine", 1.2), [CELL], "version must be a string, not empty; got 1.2"),  # type: ignore[arg-type]  # the fault
        (Info("mine", "1", {"threads": 2}), [CELL], "knob 'threads' must have"),  # type: ignore[dict-item]  # the fault
        (Info("mine", "1", {"threads": ()}), [CELL], "knob 'threads' must have"),
        (Info("mine", "1", {"threads": (1.5,)}), [CELL], "strings or int, got 1.5"),  # type: ignore[dict-item]  # the fault
        (Info("mine", "1", {"fast": (True,)}), [CELL], "strings or int, got True"),
        (Info("mine", "1", [1]), [CELL], "knobs must be values by name"),  # type: ignore[arg-type]  # the fault
        (Info("mine", "1", {}, {"cpu": 1}), [CELL], "details must be strings"),  # type: ignore[dict-item]  # the fault
        (Info("mine", "1"), [("quantize_linear", "f32_u8")], "of type Capability"),
        (Info("mine", "1"), [Capability("quantise", "f32_u8")], "unknown operator 'quantise'"),
        (Info("mine", "1"), [Capability("quantize_linear", "u9")], "no scheme 'u9'"),
        (Info("mine", "1"), [Capability([], "u8")], "capabilities: "),  # type: ignore[arg-type]  # the fault
    ],
)
def test_nonsense_is_refused_by_name(info: Any, cells: list[Any], word: str) -> None:
    with pytest.raises(ValueError, match=r"info|capabilities") as caught:
        described(info, cells)
    assert word in str(caught.value), f"{caught.value}"
