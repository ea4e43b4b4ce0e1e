"""``onnxruntime.InferenceSession`` over a :class:`refquant_runtime.Session`.

::

    import onnxruntime as ort            ->  from refquant_runtime.compat import onnxruntime as ort
    ort.InferenceSession("model.onnx")   ->  ort.InferenceSession("model.rq")

Names, shapes and types of the ends, ``run``, threads, metadata; errors are of the same names. What
is taken and has no effect: levels of optimization, logging, arenas: there is one plan, and it has
the bits of the file.

Left out: ``io_binding``, ``run_async``, ``OrtValue``, profiling, other providers than the CPU.

References: onnxruntime 1.32, Python API.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.compat.files import open_session
from refquant_runtime.compat.onnxruntime_options import (
    ExecutionMode,
    GraphOptimizationLevel,
    InvalidArgument,
    ModelMetadata,
    NodeArg,
    NoSuchFile,
    RunOptions,
    SessionOptions,
)
from refquant_runtime.errors import InputError
from refquant_runtime.graph import Value

__all__ = [
    "ExecutionMode",
    "GraphOptimizationLevel",
    "InferenceSession",
    "InvalidArgument",
    "ModelMetadata",
    "NoSuchFile",
    "NodeArg",
    "RunOptions",
    "SessionOptions",
    "get_available_providers",
    "get_device",
]

_CPU = "CPUExecutionProvider"
_TYPES = {"float32": "tensor(float)", "float64": "tensor(double)"}


def get_available_providers() -> list[str]:
    """Return the one provider."""
    return [_CPU]


def get_device() -> str:
    """Return where it runs."""
    return "CPU"


class InferenceSession:
    """A model that is ready to run, from the path or the bytes of a ``.rq`` file.

    Providers that are not there are a ``UserWarning``, and the CPU is used, as in onnxruntime.
    """

    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike[str],
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, Mapping[str, Any]]] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        _check_providers(providers, provider_options)
        self._options = sess_options if sess_options is not None else SessionOptions()
        threads = self._options.intra_op_num_threads
        if type(threads) is not int or threads < 0:
            raise InvalidArgument(f"intra_op_num_threads must be an integer from 0, got {threads}")
        if isinstance(path_or_bytes, str | os.PathLike):
            if not os.path.exists(path_or_bytes):
                raise NoSuchFile(f"Load model from {path_or_bytes} failed. File doesn't exist")
            self._session = open_session(path_or_bytes, None, threads or None)
        elif isinstance(path_or_bytes, bytes):
            self._session = open_session(None, path_or_bytes, threads or None)
        else:
            raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'")
        self._graph = self._session.graph

    def get_inputs(self) -> list[NodeArg]:
        """Return the inputs, in their order."""
        return [_described(self._graph.values[name]) for name in self._session.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Return the outputs, in their order."""
        return [_described(self._graph.values[name]) for name in self._graph.outputs]

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Return nothing: constants are constant."""
        return []

    def get_modelmeta(self) -> ModelMetadata:
        """Return what the file says of itself."""
        meta = {str(key): str(value) for key, value in self._graph.meta.items()}
        return ModelMetadata(self._graph.name, meta)

    def get_providers(self) -> list[str]:
        """Return the one provider."""
        return [_CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """Return the options of the one provider: none."""
        return {_CPU: {}}

    def get_session_options(self) -> SessionOptions:
        """Return the options that were given, or the defaults."""
        return self._options

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[NDArray[Any]]:
        """Return the outputs of these names (None or none: all), in that order.

        Inputs may be lists; numbers in them become what the input has.
        """
        if not isinstance(input_feed, Mapping):
            raise InvalidArgument(f"the feed maps names to arrays, got {type(input_feed).__name__}")
        names = list(output_names) if output_names else list(self._graph.outputs)
        for name in names:
            if name not in self._graph.outputs:
                raise InvalidArgument(
                    f"Invalid output name:{name}; the outputs are {list(self._graph.outputs)}"
                )
        missing = [name for name in self._session.inputs if name not in input_feed]
        if missing:
            raise ValueError(
                f"Required inputs ({missing}) are missing from input feed ({list(input_feed)})."
            )
        feeds = {name: self._checked(name, array) for name, array in input_feed.items()}
        try:
            results = self._session.run(feeds)
        except InputError as error:
            raise InvalidArgument(str(error)) from error
        return [results[name] for name in names]

    # -- private --------------------------------------------------------------------------------

    def _checked(self, name: str, array: Any) -> NDArray[Any]:
        if name not in self._graph.inputs:
            raise InvalidArgument(
                f"Invalid input name: {name}; the inputs are {list(self._graph.inputs)}"
            )
        value = self._graph.values[name]
        if not isinstance(array, np.ndarray):
            array = np.asarray(array, value.dtype)
        if array.dtype != value.dtype:
            raise InvalidArgument(
                f"Unexpected input data type of {name}. Actual: ({_type(array.dtype.name)}) , "
                f"expected: ({_type(value.dtype)})"
            )
        if array.ndim != len(value.shape):
            raise InvalidArgument(
                f"Invalid rank for input: {name} Got: {array.ndim} Expected: {len(value.shape)} "
                "Please fix either the inputs/outputs or the model."
            )
        return np.ascontiguousarray(array).reshape(array.shape)


def _check_providers(providers: Any, provider_options: Any) -> None:
    if isinstance(providers, str):
        raise ValueError(f"'providers' must be a sequence of names, got {providers!r}")
    for entry in providers or ():
        name = entry[0] if isinstance(entry, tuple) and len(entry) == 2 else entry
        if not isinstance(name, str):
            raise ValueError("'providers' values must be either strings or (string, dict) tuples.")
        if name != _CPU:
            warnings.warn(
                f"Specified provider '{name}' is not in available provider names. "
                f"Available providers: '{_CPU}'",
                stacklevel=3,
            )
    if provider_options and len(provider_options) != len(providers or ()):
        raise ValueError("'providers' and 'provider_options' should be the same length if both are "
                         "given.")  # fmt: skip


def _type(dtype: str) -> str:
    return _TYPES.get(dtype, f"tensor({dtype})")


def _described(value: Value) -> NodeArg:
    shape: list[int | str] = list(value.shape)
    if value.batched:
        shape[0] = "N"
    for axis in value.lengths:
        shape[axis] = "T"
    return NodeArg(value.name, shape, _type(value.dtype))
