"""An interpreter for quantized models on small CPUs: ``.rq`` files, the same bits everywhere.

>>> from refquant_runtime import Session  # session = Session("model.rq", threads=2)
>>> Session.__name__
'Session'
"""

from refquant_runtime.errors import (
    FormatError,
    InputError,
    RefquantRuntimeError,
    UnsupportedError,
)
from refquant_runtime.session import Session
from refquant_runtime.version import __version__

__all__ = [
    "FormatError",
    "InputError",
    "RefquantRuntimeError",
    "Session",
    "UnsupportedError",
    "__version__",
]
