"""What goes into an ``InferenceSession`` and comes out of it: options and descriptions.

References: onnxruntime 1.32, Python API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from refquant_runtime.compat.onnxruntime_errors import Absent, Fail, absent

__all__ = [
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "ModelMetadata",
    "NodeArg",
    "RunOptions",
    "SessionOptions",
]


_PLUGIN = "it runs on the CPU only; leave it away"
_CONTEXT = "nothing is compiled at run time; leave it away"
_ABSENT: Mapping[str, str] = {
    "add_external_initializers_from_files_in_memory": "weights are in the .rq file",
    "add_provider_for_devices": _PLUGIN,
    "set_provider_selection_policy": _PLUGIN,
    "set_provider_selection_policy_delegate": _PLUGIN,
    "set_ep_context_data_read_func": _CONTEXT,
    "clear_ep_context_data_read_func": _CONTEXT,
    "set_load_cancellation_flag": "a .rq file is loaded at once; leave it away",
}


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


class ExecutionOrder(IntEnum):
    """Taken, without effect."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


@dataclass(slots=True)
class SessionOptions:
    """Options of a session.

    ``intra_op_num_threads`` is the number of threads, 0 for the default; ``enable_profiling`` and
    ``profile_file_prefix`` do as they say. ``optimized_model_filepath`` is refused by the session:
    a .rq file is what it is. The rest is taken, without effect.
    """

    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    graph_optimization_level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
    execution_mode: ExecutionMode = ExecutionMode.ORT_SEQUENTIAL
    execution_order: ExecutionOrder = ExecutionOrder.DEFAULT
    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_mem_reuse: bool = True
    enable_profiling: bool = False
    profile_file_prefix: str = "onnxruntime_profile_"
    optimized_model_filepath: str = ""
    use_deterministic_compute: bool = False
    use_per_session_threads: bool = True
    _entries: dict[str, str] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Refuse what onnxruntime has and this has not, with the reason."""
        raise absent("SessionOptions", name, _ABSENT)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Remember an entry; none has an effect."""
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Return an entry that was added."""
        if key not in self._entries:
            raise RuntimeError(f"SessionOptions does not have configuration with key: {key}")
        return self._entries[key]

    def add_free_dimension_override_by_name(self, dim_name: str, dim_value: int) -> None:
        """Fix a size that has a letter, ``"N"`` or ``"T"``; other names have no effect."""
        self._sizes[dim_name] = dim_value

    def add_free_dimension_override_by_denotation(self, denotation: str, dim_value: int) -> None:
        """Do nothing: the sizes of a .rq file have letters, and no denotations."""

    def register_custom_ops_library(self, path: str) -> None:
        """Refuse: there are no operators but those of the format."""
        raise Fail(
            f"Failed to load library {path}: a .rq file has the operators of its format only; "
            "express the node by these before `refquant import`"
        )

    def add_initializer(self, name: str, value: object) -> None:
        """Refuse: weights are in the file."""
        raise Absent(f"add_initializer({name!r}): weights are in the .rq file; import it with them")

    def add_external_initializers(self, names: object, values: object) -> None:
        """Refuse: weights are in the file."""
        raise Absent("add_external_initializers: weights are in the .rq file; import it with them")

    def add_provider(self, name: str, options: object) -> None:
        """Refuse all but the CPU's."""
        if name != "CPUExecutionProvider":
            raise Absent(f"add_provider({name!r}): there is CPUExecutionProvider only")

    def has_providers(self) -> bool:
        """Return False: there is nothing to choose."""
        return False


@dataclass(slots=True)
class RunOptions:
    """Options of one run: with ``terminate`` it does not begin; the rest is taken."""

    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    only_execute_path_to_fetches: bool = False
    terminate: bool = False
    _entries: dict[str, str] = field(default_factory=dict)

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Remember an entry; none has an effect."""
        self._entries[key] = value

    def get_run_config_entry(self, key: str) -> str:
        """Return an entry that was added."""
        if key not in self._entries:
            raise RuntimeError(f"RunOptions does not have configuration with key: {key}")
        return self._entries[key]

    def add_active_adapter(self, adapter: object) -> None:
        """Refuse: there are no adapters."""
        raise Absent("add_active_adapter: weights are in the .rq file; import the merged model")


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
