"""Tables to values and back."""

import pytest

from refquant.model.recipe_rules import Override, Weights
from refquant.model.recipe_tables import as_table, overrides_of, table_of


def test_there_and_back() -> None:
    weights = Weights(4, granularity="group", algorithm="gptq")
    table = as_table(weights)
    assert table_of(Weights, "weights", table) == weights, f"{table}"
    assert "awq" not in table, "what is not set is not said"
    assert table_of(Weights, "weights", None) is None, "no table, no rules"


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weights: a table, \[weights\], got 4"):
        table_of(Weights, "weights", 4)
    with pytest.raises(ValueError, match=r"override: a list of tables, \[\[override\]\], got"):
        overrides_of({"nodes": "a"})
    with pytest.raises(ValueError, match="override: 'nodes' is missing"):
        overrides_of([{"exclude": True}])
    assert overrides_of([]) == (), "no overrides are none"
    assert as_table(Override("a", exclude=True))["exclude"] is True, "a flag stays one"
