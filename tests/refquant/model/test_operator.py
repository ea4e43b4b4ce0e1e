"""The entry of a table of operators says how a node looks, and does not change."""

from dataclasses import FrozenInstanceError

import pytest

from refquant.model.operator import Operator


def test_an_entry_has_plain_defaults() -> None:
    entry = Operator(1, 2)
    assert (entry.outputs, dict(entry.attributes), entry.required, entry.fused) == (
        1, {}, frozenset(), False,
    ), "one output, no attributes"  # fmt: skip
    with pytest.raises(FrozenInstanceError):
        entry.least = 0  # type: ignore[misc]  # that is the point
