"""The runtime's errors: each names what, where and the remedy, in one sentence.

All are ``ValueError`` s, so a caller who does not care catches one type.
"""

__all__ = ["FormatError", "InputError", "RefquantRuntimeError", "UnsupportedError"]


class RefquantRuntimeError(ValueError):
    """Base of everything this package raises on purpose."""


class FormatError(RefquantRuntimeError):
    """The file is not a valid ``.rq`` file: damaged, truncated, or against its own words."""

    def __init__(self, path: object, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {where}: {problem}; {remedy}")
        self.path, self.where, self.problem, self.remedy = str(path), where, problem, remedy


class UnsupportedError(RefquantRuntimeError):
    """The file is valid, but this runtime does not implement what it asks for."""


class InputError(RefquantRuntimeError):
    """An input of a run has the wrong name, dtype or shape, or an option the wrong value."""
