"""An interpreter for quantized models on small CPUs: ``.rq`` files, the same bits everywhere.

>>> from refquant_runtime import Session  # session = Session("model.rq", threads=2)
>>> Session.__name__
'Session'
"""

from typing import TYPE_CHECKING, Any

from refquant_runtime.errors import (
    FormatError,
    InputError,
    RefquantRuntimeError,
    UnsupportedError,
)
from refquant_runtime.version import __version__

if TYPE_CHECKING:
    from refquant_runtime.session import Session

__all__ = [
    "FormatError",
    "InputError",
    "RefquantRuntimeError",
    "Session",
    "UnsupportedError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import ``Session`` when it is asked for: numba takes long, and ``--help`` runs no model."""
    if name == "Session":
        from refquant_runtime.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
