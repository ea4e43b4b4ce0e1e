"""Dtypes that do not fit, each refused with its rule; and what is valid but not implemented."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from refquant_runtime import FormatError, Session, UnsupportedError
from refquant_runtime.check_sequence import is_typed
from tests.runtime.zoo import edited

Tree = dict[str, Any]


def value(name: str, **entries: Any) -> Callable[[Tree], Any]:
    return lambda tree: tree["values"][name].update(entries)


def test_which_operators_have_dtypes_of_their_own() -> None:
    typed = {op for op in ("Gather", "Cast", "Where", "TopK", "Attention", "Add") if is_typed(op)}
    assert typed == {"Gather", "Cast", "Where", "TopK"}, "the others are float32 throughout"


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (value("chosen", dtype="int32"), r"'chosen' is plain float32"),
        (value("ids", dtype="uint8"), r"input 'ids' is int32 without quant"),
        (value("places", dtype="float32"), r"positions are int32"),
        (value("x", dtype="int32"), "'x' is plain float32"),
    ],
)
def test_dtypes_that_do_not_fit(edit: Callable[[Tree], Any], rule: str, tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(edited("sentence", edit))
    with pytest.raises(FormatError, match=rule):
        Session(tmp_path / "m.rq", threads=1)


def test_computed_weights_of_a_walk_are_beyond_it(tmp_path: Path) -> None:
    b = Builder("walk")
    x, w, r = b.input("x", (1, 2, 3)), b.input("w", (1, 6, 3)), b.input("r", (1, 6, 2))
    given = {"hidden_size": 2, "layout": 1}
    b.node_with("GRU", [x, w, r], ["y", "h"], name="walk", attributes=given)
    write_rq(tmp_path / "m.rq", b.graph(["y", "h"]))
    with pytest.raises(UnsupportedError, match=r"'walk'.*computed weights is not implemented"):
        Session(tmp_path / "m.rq", threads=1)
