"""What an ``Interpreter`` may be asked for: kernels, delegates, threads; each taken or refused.

A ``.rq`` file holds one arithmetic of every operator, so no resolver chooses another, and there are
no delegates. Options that change no answer are taken, without effect.

References: LiteRT 2.3, Python API of ``Interpreter``.
"""

import enum
import os
from typing import Any

from refquant_runtime.errors import UnsupportedError

__all__ = ["Delegate", "OpResolverType", "check_options", "load_delegate", "threads_of"]


class OpResolverType(enum.Enum):
    """Which kernels LiteRT takes; ``AUTO`` and the others are the file's own arithmetic here."""

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


class Delegate:
    """A delegate: none can be made."""

    def __init__(self, library: str, options: dict[str, Any] | None = None) -> None:
        raise UnsupportedError(
            f"delegate {library!r}: it runs on the CPU, by the arithmetic of the .rq file; remove "
            "the delegate, or choose the arithmetic with `refquant import --contract`"
        )


def load_delegate(library: str, options: dict[str, Any] | None = None) -> Delegate:
    """Refuse: there are no delegates.

    >>> load_delegate("libedgetpu.so.1")
    Traceback (most recent call last):
    ...
    refquant_runtime.errors.UnsupportedError: delegate 'libedgetpu.so.1': it runs on the CPU, by \
the arithmetic of the .rq file; remove the delegate, or choose the arithmetic with `refquant \
import --contract`
    """
    return Delegate(library, options)


def check_options(
    path: str | os.PathLike[str] | None,
    content: bytes | None,
    delegates: object,
    resolver: object,
    preserve: object,
) -> None:
    """Refuse what there is not, in the words of LiteRT where it refuses it too.

    ``ValueError`` where LiteRT has one: no model, two, a file that is not there, a resolver that is
    none. ``UnsupportedError`` for delegates and for tensors inside of the model.
    """
    if delegates:
        raise UnsupportedError("experimental_delegates: there are none here; remove them")
    if not isinstance(resolver, OpResolverType):
        raise ValueError(f"Unrecognized passed in op resolver type: {resolver}")
    if path is not None and content is not None:
        raise ValueError("Can't both provide `model_path` and `model_content`")
    if path is None and content is None:
        raise ValueError("`model_path` or `model_content` must be specified.")
    if path is not None and not os.path.exists(path):
        raise ValueError(f"Could not open '{os.fspath(path)}'.")
    if preserve:
        raise UnsupportedError(
            "experimental_preserve_all_tensors: tensors inside of the model are not kept; use "
            "`refquant compare`, which shows them"
        )


def threads_of(num_threads: object) -> int | None:
    """Return the threads of a session; None, or -1 as LiteRT has it, is the default.

    ``ValueError`` for what is no number of threads.

    >>> threads_of(-1), threads_of(2)
    (None, 2)
    """
    if num_threads is None:
        return None
    if type(num_threads) is not int:
        raise ValueError("type of num_threads should be int")
    if num_threads < 1 and num_threads != -1:
        raise ValueError("num_threads should >= 1")
    return num_threads if num_threads > 0 else None
