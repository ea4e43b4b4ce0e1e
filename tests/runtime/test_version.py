"""One version, wherever one asks for it."""

from importlib.metadata import version

import refquant_runtime
from refquant_runtime.version import __version__


def test_the_package_says_its_version() -> None:
    assert refquant_runtime.__version__ == __version__, "the package and the module"
    assert version("refquant-runtime") == __version__, "what is installed"
