"""The runtime's errors: each names what, where and the remedy, in one sentence.

All are ``ValueError`` s, so a caller who does not care catches one type.
"""

__all__ = ["FormatError", "InputError", "RefquantRuntimeError", "UnsupportedError"]

_PART, _WHOLE = 400, 1600  # characters: a message does not repeat a megabyte of nonsense


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


class RefquantRuntimeError(ValueError):
    """Base of everything this package raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(_short(message, _WHOLE))


class FormatError(RefquantRuntimeError):
    """The file is not a valid ``.rq`` file: damaged, truncated, or against its own words."""

    def __init__(self, path: object, where: str, problem: str, remedy: str) -> None:
        where, problem = _short(where, _PART), _short(problem, _PART)
        super().__init__(f"{path}: {where}: {problem}; {remedy}")
        self.path, self.where, self.problem, self.remedy = str(path), where, problem, remedy

    def __reduce__(self) -> tuple[type["FormatError"], tuple[str, str, str, str]]:
        """Let the error travel between processes."""
        return FormatError, (self.path, self.where, self.problem, self.remedy)


class UnsupportedError(RefquantRuntimeError):
    """The file is valid, but this runtime does not implement what it asks for."""


class InputError(RefquantRuntimeError):
    """An input of a run has the wrong name, dtype or shape, or an option the wrong value."""
