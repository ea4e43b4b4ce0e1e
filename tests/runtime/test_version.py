"""One version, wherever one asks for it; the pyproject.toml are compared in test_repository.py."""

import re

import refquant_runtime
from refquant_runtime.version import __version__


def test_the_package_says_its_version() -> None:
    assert refquant_runtime.__version__ == __version__, "the package and the module"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__), f"three numbers, got {__version__}"
