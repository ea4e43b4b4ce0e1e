"""What goes into an ``InferenceSession`` and comes out of it: options, descriptions, errors.

References: onnxruntime 1.32, Python API.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from refquant_runtime.errors import InputError, RefquantRuntimeError

__all__ = [
    "ExecutionMode",
    "GraphOptimizationLevel",
    "InvalidArgument",
    "ModelMetadata",
    "NoSuchFile",
    "NodeArg",
    "RunOptions",
    "SessionOptions",
]


class InvalidArgument(InputError):  # noqa: N818  # its name there
    """A name, type or shape that the model has not."""


class NoSuchFile(RefquantRuntimeError):  # noqa: N818  # its name there
    """There is no file of that name."""


class GraphOptimizationLevel(IntEnum):
    """Taken, without effect."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(IntEnum):
    """Taken, without effect."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


@dataclass(slots=True)
class SessionOptions:
    """``intra_op_num_threads`` is the number of threads, 0 for the default; the rest is taken."""

    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    graph_optimization_level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
    execution_mode: ExecutionMode = ExecutionMode.ORT_SEQUENTIAL
    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_mem_reuse: bool = True
    enable_profiling: bool = False
    use_deterministic_compute: bool = False
    _entries: dict[str, str] = field(default_factory=dict)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Remember an entry; none has an effect."""
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Return an entry that was added."""
        if key not in self._entries:
            raise RuntimeError(f"SessionOptions does not have configuration with key: {key}")
        return self._entries[key]


@dataclass(slots=True)
class RunOptions:
    """Taken, without effect."""

    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""


@dataclass(frozen=True, slots=True)
class NodeArg:
    """An input or output: ``shape`` has numbers, and the letters ``"N"`` and ``"T"``."""

    name: str
    shape: list[int | str]
    type: str


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What the file says of itself; ``version`` is 1, ``custom_metadata_map`` its ``meta``."""

    graph_name: str
    custom_metadata_map: dict[str, str]
    producer_name: str = "refquant"
    description: str = ""
    domain: str = ""
    graph_description: str = ""
    version: int = 1
