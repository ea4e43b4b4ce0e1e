"""``tflite.Interpreter`` over a :class:`refquant_runtime.Session`.

::

    from ai_edge_litert.interpreter import Interpreter
    ->  from refquant_runtime.compat.tflite import Interpreter
    Interpreter(model_path="model.tflite")  ->  Interpreter(model_path="model.rq")

A tensor of an index is an input or an output: inputs are 0, 1, ..., outputs follow. Steps as
there: ``allocate_tensors``, ``set_tensor``, ``invoke``, ``get_tensor``. Sizes may change where the
file has a letter, the batch or the length of a sequence; both are 1 at first. Variables are the
session's state: they stay from one ``invoke`` to the next, until ``reset_all_variables``.

Left out: tensors inside of the model, delegates, custom operators, other signatures than the one.

References: LiteRT 2.3, Python API of ``Interpreter``.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.compat.files import open_session
from refquant_runtime.compat.tflite_details import described, letters, shape_of
from refquant_runtime.compat.tflite_options import (
    Delegate,
    OpResolverType,
    check_options,
    load_delegate,
    threads_of,
)

__all__ = ["Delegate", "Interpreter", "OpResolverType", "SignatureRunner", "load_delegate"]

Array = NDArray[Any]
_SIGNATURE = "serving_default"


class Interpreter:
    """A model, from ``model_path`` or ``model_content``, the bytes of a ``.rq`` file."""

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: OpResolverType = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
    ) -> None:
        resolver, preserve = experimental_op_resolver_type, experimental_preserve_all_tensors
        threads = threads_of(num_threads)
        check_options(model_path, model_content, experimental_delegates, resolver, preserve)
        self._session = open_session(model_path, model_content, threads)
        graph = self._session.graph
        self._names = list(self._session.inputs)  # what has a state is no input of a script
        self._values = [graph.values[name] for name in (*self._names, *graph.outputs)]
        self._inputs = len(self._names)
        self._shapes = [shape_of(value, {}) for value in self._values]
        self._buffers: list[Array] | None = None

    def allocate_tensors(self) -> None:
        """Make room for inputs and outputs of the sizes that are asked for now."""
        sizes = self._sizes()
        shapes = [shape_of(v, sizes) for v in self._values[self._inputs :]]
        self._shapes[self._inputs :] = shapes
        self._buffers = [
            np.zeros(shape, value.dtype)
            for value, shape in zip(self._values, self._shapes, strict=True)
        ]

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return name, index, shape, type and meaning of each input."""
        return [self._details(index) for index in range(self._inputs)]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return name, index, shape, type and meaning of each output."""
        return [self._details(index) for index in range(self._inputs, len(self._values))]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Return those of inputs and outputs; tensors inside of the model are nobody's business."""
        return [*self.get_input_details(), *self.get_output_details()]

    def resize_tensor_input(
        self, input_index: int, tensor_size: Sequence[int], strict: bool = False
    ) -> None:
        """Ask for another size of the batch, or of a sequence; then call ``allocate_tensors``."""
        value, size = self._values[self._index(input_index)], tuple(map(int, tensor_size))
        if input_index >= self._inputs:
            raise ValueError(f"Cannot resize tensor {input_index}: it is no input")
        free = {*([0] if value.batched else []), *value.lengths}
        if len(size) != len(value.shape) or any(
            n != value.shape[i] and i not in free for i, n in enumerate(size)
        ):
            signature = self._details(input_index)["shape_signature"].tolist()
            raise ValueError(
                f"Cannot resize tensor {input_index} of the signature {signature} to {list(size)}; "
                "only what is -1 has other sizes"
            )
        if min(size, default=1) < 1:
            raise ValueError(f"Cannot resize tensor {input_index} to {list(size)}: no elements")
        self._shapes[input_index] = size
        self._buffers = None

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy an array, of the type and shape that the input has, into it."""
        index, array = self._index(tensor_index), np.asarray(value)
        if index >= self._inputs:
            raise ValueError(f"Cannot set tensor {tensor_index}: it is no input")
        buffer, name = self._allocated()[index], self._values[index].name
        if array.dtype != buffer.dtype:
            raise ValueError(
                f"Cannot set tensor: Got value of type {array.dtype.name.upper()} but expected "
                f"type {buffer.dtype.name.upper()} for input {index}, name: {name} "
            )
        if array.ndim != buffer.ndim:
            raise ValueError(
                f"Cannot set tensor: Dimension mismatch. Got {array.ndim} but expected "
                f"{buffer.ndim} for input {index}."
            )
        for axis, (got, size) in enumerate(zip(array.shape, buffer.shape, strict=True)):
            if got != size:
                raise ValueError(
                    f"Cannot set tensor: Dimension mismatch. Got {got} but expected {size} for "
                    f"dimension {axis} of input {index}."
                )
        buffer[...] = array

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Return a copy of an input or output."""
        return self._buffer(tensor_index, subgraph_index).copy()

    def tensor(self, tensor_index: int) -> Callable[[], Array]:
        """Return a function that returns the tensor's own memory, without a copy."""
        self._index(tensor_index)
        return lambda: self._buffer(tensor_index, 0)

    def invoke(self) -> None:
        """Compute the outputs of the inputs as they are."""
        buffers = self._allocated()
        results = self._session.run(dict(zip(self._names, buffers[: self._inputs], strict=True)))
        for value, buffer in zip(
            self._values[self._inputs :], buffers[self._inputs :], strict=True
        ):
            buffer[...] = results[value.name]

    def num_subgraphs(self) -> int:
        """Return 1: control flow is folded when a model is imported."""
        return 1

    def reset_all_variables(self) -> None:
        """Begin anew: every variable is what it is at first."""
        self._session.reset()

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Return the one signature: the names of inputs and outputs."""
        outputs = list(self._session.graph.outputs)
        return {_SIGNATURE: {"inputs": list(self._names), "outputs": outputs}}

    def get_signature_runner(self, signature_key: str | None = None) -> "SignatureRunner":
        """Return a function of the inputs by name."""
        if signature_key not in (None, _SIGNATURE):
            raise ValueError(f"Invalid signature_key provided: {signature_key!r}; the one is "
                             f"{_SIGNATURE!r}")  # fmt: skip
        return SignatureRunner(self)

    # -- private --------------------------------------------------------------------------------

    def _index(self, index: int) -> int:
        if not 0 <= index < len(self._values):
            raise ValueError(f"Tensor with index {index} is neither an input nor an output; these "
                             f"are 0 to {len(self._values) - 1}")  # fmt: skip
        return index

    def _allocated(self) -> list[Array]:
        if self._buffers is None:
            raise RuntimeError("tensors have no memory yet; call allocate_tensors() first")
        return self._buffers

    def _buffer(self, index: int, subgraph: int) -> Array:
        if subgraph != 0:
            raise ValueError(f"Invalid subgraph index {subgraph}: there is one graph, 0")
        self._index(index)
        if self._buffers is None:
            raise ValueError("Tensor data is null. Run allocate_tensors() first")
        return self._buffers[index]

    def _sizes(self) -> dict[str, int]:
        """Return N and T as the inputs have them now; they must agree."""
        sizes: dict[str, int] = {}
        for value, shape in zip(self._values[: self._inputs], self._shapes, strict=False):
            for axis, letter in letters(value):
                if sizes.setdefault(letter, shape[axis]) != shape[axis]:
                    raise RuntimeError(f"inputs disagree about {letter}: resize all of them")
        return sizes

    def _details(self, index: int) -> dict[str, Any]:
        return described(index, self._values[index], self._shapes[index])


class SignatureRunner:
    """A model as a function: ``runner(x=array)["y"]``."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Return the outputs by name; the batch is that of the inputs."""
        it = self._interpreter
        details = it.get_input_details()
        names = [entry["name"] for entry in details]
        if sorted(names) != sorted(inputs):
            raise ValueError(f"Invalid Input name provided: the inputs are {names}, got "
                             f"{sorted(inputs)}")  # fmt: skip
        for entry in details:
            it.resize_tensor_input(entry["index"], np.shape(inputs[entry["name"]]))
        it.allocate_tensors()
        for entry in details:
            it.set_tensor(entry["index"], inputs[entry["name"]])
        it.invoke()
        return {entry["name"]: it.get_tensor(entry["index"]) for entry in it.get_output_details()}

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of the inputs, by name."""
        return _by_name(self._interpreter.get_input_details())

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Return the details of the outputs, by name."""
        return _by_name(self._interpreter.get_output_details())


def _by_name(details: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: dict(entry) for entry in details}
