"""One test for each property and cell of the backend that was named on the command line.

The name in brackets is stable: ``QDQ-03[quantize_linear,f32_u8]``, wherever the package is
installed. Without ``--rq-backend`` there are no tests here, and nothing of the judge is imported.
"""

from typing import Any

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each property that speaks of a cell of the backend."""
    inquiry = metafunc.config.stash.get(_inquiry_key(), None)
    if "checked" in metafunc.fixturenames:
        metafunc.parametrize("checked", [] if inquiry is None else inquiry.tests())


def _inquiry_key() -> Any:
    from refquant_conformance.plugin import INQUIRY

    return INQUIRY


def test_property(checked: Any) -> None:
    """The property holds, deviates as documented, or is not computed; anything else fails."""
    cell = checked()
    if cell is None:
        pytest.skip("the property says nothing about this scheme")
    if cell.verdict == "UNSUPPORTED":
        pytest.skip(f"UNSUPPORTED: {cell.detail}")
    if cell.red:
        pytest.fail(f"{cell.verdict} {cell.detail}", pytrace=False)
