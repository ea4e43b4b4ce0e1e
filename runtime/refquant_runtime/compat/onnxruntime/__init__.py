"""The Python API of ``onnxruntime``, over the runtime of ``.rq`` files: change one import.

::

    import onnxruntime as ort            ->  from refquant_runtime.compat import onnxruntime as ort
    ort.InferenceSession("model.onnx")   ->  ort.InferenceSession("model.rq")

What onnxruntime has and this has not, is an error that says so, and what to do.

>>> get_available_providers(), OrtValue.__name__
(['CPUExecutionProvider'], 'OrtValue')

References: onnxruntime 1.32, Python API.
"""

from typing import Any

from refquant_runtime.compat.onnxruntime import capi
from refquant_runtime.compat.onnxruntime_binding import IOBinding
from refquant_runtime.compat.onnxruntime_errors import (
    ABSENT_FROM_MODULE,
    InvalidArgument,
    NoSuchFile,
    absent,
)
from refquant_runtime.compat.onnxruntime_functions import (
    __version__,
    disable_telemetry_events,
    enable_telemetry_events,
    get_all_providers,
    get_available_providers,
    get_build_info,
    get_device,
    get_version_string,
    has_collective_ops,
    preload_dlls,
    print_debug_info,
    set_default_logger_severity,
    set_default_logger_verbosity,
    set_seed,
)
from refquant_runtime.compat.onnxruntime_options import (
    ExecutionMode,
    ExecutionOrder,
    GraphOptimizationLevel,
    ModelMetadata,
    NodeArg,
    RunOptions,
    SessionOptions,
)
from refquant_runtime.compat.onnxruntime_session import InferenceSession
from refquant_runtime.compat.onnxruntime_values import OrtValue

__all__ = [
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "InvalidArgument",
    "ModelMetadata",
    "NoSuchFile",
    "NodeArg",
    "OrtValue",
    "RunOptions",
    "SessionOptions",
    "__version__",
    "capi",
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


def __getattr__(name: str) -> Any:
    raise absent("onnxruntime", name, ABSENT_FROM_MODULE)
