"""``onnxruntime.IOBinding`` on the CPU: inputs and outputs are bound once, and read where they lie.

Inputs are read when the run is, so what is written into a bound array is what the next run sees.
An output that is bound to memory is written there; it must have the shape of the result. Nothing
is saved by it here: the runtime copies once, in and out, as ``run`` does.

References: onnxruntime 1.32, Python API of ``IOBinding``.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from refquant_runtime.compat.onnxruntime_errors import Absent, BindingError
from refquant_runtime.compat.onnxruntime_values import OrtValue, check_device, dtype_of, type_name

__all__ = ["IOBinding"]

Array = NDArray[Any]
_Run = Callable[[list[str], Mapping[str, Array]], list[Array]]


class IOBinding:
    """Bindings of a session, which is asked for its names only."""

    def __init__(self, session: Any) -> None:
        self._names = {entry.name for entry in session.get_inputs()}
        self._inputs: dict[str, Array] = {}
        self._targets: dict[str, Array | None] = {}
        self._results: list[OrtValue] = []

    def bind_cpu_input(self, name: str, arr_on_cpu: Array) -> None:
        """Bind an input to an array; it is read when the session runs."""
        if not isinstance(arr_on_cpu, np.ndarray):
            kind = type(arr_on_cpu).__name__
            raise BindingError(f"{name}: Unable to create OrtValue from {kind}; pass a numpy array")
        self._bind(name, arr_on_cpu)

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Bind an input to a value."""
        self._bind(name, _value(name, ortvalue).numpy())

    def bind_input(
        self,
        name: str,
        device_type: str,
        device_id: int,
        element_type: DTypeLike | int,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None:
        """Bind an input to memory, which must stay until the session has run."""
        check_device(device_type)
        self._bind(name, _memory(buffer_ptr, element_type, shape))

    def bind_output(
        self,
        name: str,
        device_type: str = "cpu",
        device_id: int = 0,
        element_type: DTypeLike | int | None = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None:
        """Ask for an output: in new memory, or in that at ``buffer_ptr``."""
        check_device(device_type)
        if buffer_ptr is None:
            self._targets[name] = None
            return
        if element_type is None or shape is None:
            raise ValueError(
                "`element_type` and `shape` are to be provided if pre-allocated memory is provided"
            )
        self._targets[name] = _memory(buffer_ptr, element_type, shape)

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Ask for an output in the memory of a value."""
        self._targets[name] = _value(name, ortvalue).numpy()

    def synchronize_inputs(self) -> None:
        """Do nothing: there is one memory."""

    def synchronize_outputs(self) -> None:
        """Do nothing: there is one memory."""

    def get_outputs(self) -> list[OrtValue]:
        """Return the outputs of the last run, in the order in which they were bound first."""
        return list(self._results)

    def get_outputs_as_ortvaluevector(self) -> object:
        """Refuse: there is one kind of list."""
        raise Absent("get_outputs_as_ortvaluevector: use get_outputs()")

    def copy_outputs_to_cpu(self) -> list[Array]:
        """Return the outputs of the last run as arrays."""
        return [value.numpy().copy() for value in self._results]

    def clear_binding_inputs(self) -> None:
        """Forget the inputs."""
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        """Forget the outputs."""
        self._targets.clear()
        self._results = []

    # -- private --------------------------------------------------------------------------------

    def _bind(self, name: str, array: Array) -> None:
        if name not in self._names:
            raise BindingError(
                f"Failed to find NodeArg with name: {name} in the def list {sorted(self._names)}"
            )
        self._inputs[name] = array

    def fill(self, run: _Run) -> None:
        """Fill the outputs by ``run(names, feed)``: all of them, or none."""
        if not self._targets:
            raise BindingError("Error in execution: At least one output should be requested.")
        results = run(list(self._targets), self._inputs)
        for (name, target), result in zip(self._targets.items(), results, strict=True):
            if target is not None:
                _check(name, target, result)
        self._results = []
        for target, result in zip(self._targets.values(), results, strict=True):
            if target is not None:
                target[...] = result
            self._results.append(OrtValue(result if target is None else target))


def _check(name: str, target: Array, result: Array) -> None:
    if target.dtype != result.dtype:
        raise BindingError(
            "Error in execution: Unexpected output data type. Actual: "
            f"({type_name(target.dtype.name)}) , expected: ({type_name(result.dtype.name)})"
        )
    if target.shape != result.shape:
        raise BindingError(
            f"Error in execution: the memory bound to output '{name}' has shape "
            f"{list(target.shape)} but the result has {list(result.shape)}"
        )


def _value(name: str, value: Any) -> OrtValue:
    if not isinstance(value, OrtValue):
        raise BindingError(f"{name}: must be an OrtValue, got {type(value).__name__}; use "
                           "bind_cpu_input for an array")  # fmt: skip
    return value


def _memory(address: int, element_type: DTypeLike | int, shape: Sequence[int]) -> Array:
    dtype, sizes = dtype_of(element_type), tuple(int(size) for size in shape)
    count = int(np.prod(sizes, dtype=np.int64))
    if type(address) is not int or address <= 0 or min(sizes, default=1) < 0:
        raise BindingError(f"buffer_ptr and shape must be an address and sizes, got {address!r} "
                           f"and {list(sizes)}")  # fmt: skip
    raw = (ctypes.c_ubyte * (count * dtype.itemsize)).from_address(address)
    array: Array = np.frombuffer(memoryview(raw), dtype)
    return array.reshape(sizes)
