"""``onnxruntime.OrtValue`` of a numpy array: dense, on the CPU, with the array's own memory.

Left out: sparse tensors, sequences, optional values, other devices than the CPU.

References: onnxruntime 1.32, Python API of ``OrtValue``; ``TensorProto.DataType`` of onnx.proto.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from refquant_runtime.compat.onnxruntime_errors import Absent, BindingError

__all__ = ["OrtValue", "check_device", "dtype_of", "type_name"]

_NAMES = {"float32": "tensor(float)", "float64": "tensor(double)"}
_NUMBERS = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip


def type_name(dtype: str) -> str:
    """Return a type as onnxruntime writes it.

    >>> type_name("float32"), type_name("int8")
    ('tensor(float)', 'tensor(int8)')
    """
    return _NAMES.get(dtype, f"tensor({dtype})")


def check_device(device: str) -> None:
    """Refuse every device but the CPU.

    >>> check_device("cuda")
    Traceback (most recent call last):
    ...
    refquant_runtime.compat.onnxruntime_errors.BindingError: device_type: 'cuda' is not here; it \
runs on the 'cpu' only
    """
    if not isinstance(device, str) or device.lower() != "cpu":
        raise BindingError(f"device_type: {device!r} is not here; it runs on the 'cpu' only")


def dtype_of(element_type: DTypeLike | int) -> np.dtype[Any]:
    """Return the dtype of a numpy type, or of a number of ``TensorProto.DataType``.

    >>> dtype_of(3).name, dtype_of(np.float32).name
    ('int8', 'float32')
    """
    if isinstance(element_type, int):
        for name, number in _NUMBERS.items():
            if number == element_type:
                return np.dtype(name)
        raise BindingError(f"element_type {element_type} is no type of {sorted(_NUMBERS)}")
    return np.dtype(element_type)


class OrtValue:
    """A tensor: it shares the memory of the array it was made of, as onnxruntime's does."""

    __slots__ = ("_array",)

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(
        numpy_obj: NDArray[Any], device_type: str = "cpu", device_id: int = 0
    ) -> "OrtValue":
        """Return the array as a value; one whose elements are not in a row is copied."""
        check_device(device_type)
        if not isinstance(numpy_obj, np.ndarray) or numpy_obj.dtype.name not in _NUMBERS:
            kind = numpy_obj.dtype if isinstance(numpy_obj, np.ndarray) else type(numpy_obj)
            raise BindingError(f"OrtValues are made of numpy arrays of numbers, got {kind}")
        return OrtValue(np.ascontiguousarray(numpy_obj).reshape(numpy_obj.shape))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(
        data: NDArray[Any], onnx_element_type: int
    ) -> "OrtValue":
        """Return the array as a value of that type, which must be the array's own."""
        if np.asarray(data).dtype != dtype_of(onnx_element_type):
            raise BindingError(f"onnx_element_type {onnx_element_type} is not that of the array, "
                               f"{data.dtype}")  # fmt: skip
        return OrtValue.ortvalue_from_numpy(data)

    @staticmethod
    def ort_value_from_sparse_tensor(sparse_tensor: object) -> "OrtValue":
        """Refuse: there are dense tensors only."""
        raise Absent("ort_value_from_sparse_tensor: there are dense tensors only; feed an array")

    def as_sparse_tensor(self) -> object:
        """Refuse: there are dense tensors only."""
        raise Absent("as_sparse_tensor: there are dense tensors only; use numpy()")

    @staticmethod
    def from_dlpack(data: Any, is_bool_tensor: bool = False) -> "OrtValue":
        """Return what has ``__dlpack__``, on the CPU, as a value of the same memory."""
        array = np.from_dlpack(data)
        return OrtValue.ortvalue_from_numpy(array.view(np.bool_) if is_bool_tensor else array)

    @staticmethod
    def ortvalue_from_shape_and_type(
        shape: Sequence[int],
        element_type: DTypeLike | int,
        device_type: str = "cpu",
        device_id: int = 0,
    ) -> "OrtValue":
        """Return a value of zeros."""
        check_device(device_type)
        return OrtValue(np.zeros(tuple(shape), dtype_of(element_type)))

    def numpy(self) -> NDArray[Any]:
        """Return the array: a view, not a copy."""
        return self._array.view()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Let numpy take it as it takes an array."""
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        return array.copy() if copy else array

    def update_inplace(self, np_arr: NDArray[Any]) -> None:
        """Copy numbers into the value; shape and type stay."""
        if not isinstance(np_arr, np.ndarray) or (np_arr.shape, np_arr.dtype) != (
            self._array.shape,
            self._array.dtype,
        ):
            raise BindingError(
                "The input size of numpy arrays does not match the size of the OrtValue: it has "
                f"{self._array.shape} of {self._array.dtype}, got {np.shape(np_arr)} of "
                f"{getattr(np_arr, 'dtype', type(np_arr).__name__)}"
            )
        self._array[...] = np_arr

    def shape(self) -> list[int]:
        """Return the sizes."""
        return list(self._array.shape)

    def data_type(self) -> str:
        """Return the type, as ``tensor(float)``."""
        return type_name(self._array.dtype.name)

    def element_type(self) -> int:
        """Return the type, as the number of ``TensorProto.DataType``."""
        return _NUMBERS[self._array.dtype.name]

    def data_ptr(self) -> int:
        """Return where the first element is in memory."""
        return int(self._array.ctypes.data)

    def tensor_size_in_bytes(self) -> int:
        """Return the bytes of all elements."""
        return int(self._array.nbytes)

    def device_name(self) -> str:
        """Return where it is."""
        return "cpu"

    def has_value(self) -> bool:
        """Return True: there are no optional values here."""
        return True

    def is_tensor(self) -> bool:
        """Return True: there is nothing else here."""
        return True

    def is_sparse_tensor(self) -> bool:
        """Return False."""
        return False

    def is_tensor_sequence(self) -> bool:
        """Return False."""
        return False
