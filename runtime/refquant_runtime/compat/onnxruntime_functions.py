"""The functions of the module ``onnxruntime``: about logging, seeds, versions, providers.

Nothing is logged and nothing is random here: what sets that is taken, as far as its numbers are
right. ``__version__`` is that of the API: scripts compare it; the runtime's own is
:data:`refquant_runtime.__version__`.

References: onnxruntime 1.32, Python API.
"""

from refquant_runtime.errors import InputError

__all__ = [
    "__version__",
    "disable_telemetry_events",
    "enable_telemetry_events",
    "get_all_providers",
    "get_available_providers",
    "get_build_info",
    "get_device",
    "get_version_string",
    "has_collective_ops",
    "preload_dlls",
    "print_debug_info",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
    "set_seed",
]

__version__ = "1.32.0"
"""The onnxruntime whose API this is."""


class _LoggingError(InputError, RuntimeError):
    """A level that does not exist; onnxruntime raises a bare ``RuntimeError``."""


def get_available_providers() -> list[str]:
    """Return the one provider."""
    return ["CPUExecutionProvider"]


def get_all_providers() -> list[str]:
    """Return the one provider: there will be no other."""
    return get_available_providers()


def get_device() -> str:
    """Return where it runs."""
    return "CPU"


def get_version_string() -> str:
    """Return the version of the API."""
    return __version__


def get_build_info() -> str:
    """Return who answers in onnxruntime's place."""
    from refquant_runtime.version import __version__ as own

    return f"refquant_runtime {own}, with the API of onnxruntime {__version__}"


def has_collective_ops() -> bool:
    """Return False: one machine."""
    return False


def set_default_logger_severity(severity: int) -> None:
    """Take a level, 0 (verbose) to 4 (fatal); nothing is logged.

    >>> set_default_logger_severity(5)
    Traceback (most recent call last):
    ...
    refquant_runtime.compat.onnxruntime_functions._LoggingError: Invalid logging severity 5. \
0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal
    """
    if type(severity) is not int or not 0 <= severity <= 4:
        raise _LoggingError(
            f"Invalid logging severity {severity}. 0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal"
        )


def set_default_logger_verbosity(verbosity: int) -> None:
    """Take a level; nothing is logged."""


def set_seed(seed: int) -> None:
    """Take a number; nothing is random."""


def enable_telemetry_events() -> None:
    """Do nothing: there is no telemetry."""


def disable_telemetry_events() -> None:
    """Do nothing: there is no telemetry."""


def preload_dlls(
    cuda: bool = True, cudnn: bool = True, msvc: bool = True, directory: str | None = None
) -> None:
    """Do nothing: there is nothing to load."""


def print_debug_info() -> None:
    """Print who answers."""
    print(get_build_info())
