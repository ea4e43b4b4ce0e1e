"""``--version``."""

import argparse
from importlib.metadata import version
from typing import NoReturn

__all__ = ["VersionAction"]


class VersionAction(argparse.Action):
    """Print the version of the package that is named like the command, and leave.

    It is looked up where it is asked for, so that a folder with the sources alone works too.
    """

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print the version."""
        print(f"{parser.prog} {version(parser.prog)}")
        raise SystemExit(0)
