"""What makes an ``InferenceSession``: the model, and the providers that are asked for.

References: onnxruntime 1.32, Python API of ``InferenceSession``.
"""

import os
import warnings
from typing import Any

from refquant_runtime.compat.files import open_session
from refquant_runtime.compat.onnxruntime_errors import InvalidArgument, InvalidProtobuf, NoSuchFile
from refquant_runtime.errors import FormatError
from refquant_runtime.session import Session

__all__ = ["CPU", "check_providers", "opened"]

CPU = "CPUExecutionProvider"


def opened(model: Any, threads: Any) -> Session:
    """Return a session of a path or bytes; errors have the names that they have there."""
    if type(threads) is not int or threads < 0:
        raise InvalidArgument(f"intra_op_num_threads must be an integer from 0, got {threads}")
    if not isinstance(model, str | os.PathLike | bytes):
        raise TypeError(f"Unable to load from type '{type(model)}'")
    if not isinstance(model, bytes) and not os.path.exists(model):
        raise NoSuchFile(f"Load model from {os.fspath(model)} failed. File doesn't exist")
    try:
        if isinstance(model, bytes):
            return open_session(None, model, threads or None)
        return open_session(model, None, threads or None)
    except FormatError as error:
        raise InvalidProtobuf(str(error)) from error


def check_providers(providers: Any, provider_options: Any) -> None:
    """Warn of every provider that is not there; refuse what are no providers."""
    if isinstance(providers, str):
        raise ValueError(f"'providers' must be a sequence of names, got {providers!r}")
    for entry in providers or ():
        name = entry[0] if isinstance(entry, tuple) and len(entry) == 2 else entry
        if not isinstance(name, str):
            raise ValueError("'providers' values must be either strings or (string, dict) tuples.")
        if name != CPU:
            warnings.warn(
                f"Specified provider '{name}' is not in available provider names. "
                f"Available providers: '{CPU}'",
                stacklevel=4,
            )
    if provider_options and len(provider_options) != len(providers or ()):
        raise ValueError("'providers' and 'provider_options' should be the same length if both are "
                         "given.")  # fmt: skip
