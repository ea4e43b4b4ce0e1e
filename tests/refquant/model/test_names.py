"""Names that are made."""

import pytest

from refquant.model.names import free_name


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [("w", (), "w"), ("w", ("x",), "w"), ("w", ("w",), "w_"), ("w", ("w_", "w"), "w__"),
     ("", ("",), "_")],
)  # fmt: skip
def test_the_first_that_is_free(name: str, taken: tuple[str, ...], free: str) -> None:
    assert free_name(name, taken) == free, "by underscores, as few as it takes"
