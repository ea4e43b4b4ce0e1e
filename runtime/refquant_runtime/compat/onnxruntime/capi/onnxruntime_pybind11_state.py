"""``onnxruntime.capi.onnxruntime_pybind11_state``: the exceptions that scripts catch there.

::

    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument: ...

Of the names that nothing here raises there is a class too, so that ``except`` is no error.

References: onnxruntime 1.32, ``onnxruntime/python/onnxruntime_pybind_exceptions.cc``.
"""

from refquant_runtime.compat.onnxruntime_errors import (
    Absent,
    Fail,
    InvalidArgument,
    InvalidProtobuf,
    NoSuchFile,
)
from refquant_runtime.errors import RefquantRuntimeError

__all__ = [
    "DeviceReset",
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoadCanceled",
    "ModelLoaded",
    "ModelRequiresCompilation",
    "NoModel",
    "NoSuchFile",
    "NotFound",
    "NotImplemented",
    "RuntimeException",
]


class EPFail(RefquantRuntimeError):  # noqa: N818  # its name there, as of all below
    """Never raised: there is one provider."""


class DeviceReset(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class EngineError(RefquantRuntimeError):
    """Never raised."""


class InvalidGraph(RefquantRuntimeError):  # noqa: N818
    """Never raised: a graph that is none is an ``InvalidProtobuf``."""


class ModelLoadCanceled(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class ModelLoaded(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class ModelRequiresCompilation(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class NoModel(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class NotFound(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


class RuntimeException(RefquantRuntimeError):  # noqa: N818
    """Never raised."""


NotImplemented = Absent  # its name there
