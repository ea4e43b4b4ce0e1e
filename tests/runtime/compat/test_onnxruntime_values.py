"""A value is what onnxruntime's is: its memory is the array's, its words are the same."""

from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as real
import pytest

from refquant_runtime import RefquantRuntimeError, UnsupportedError
from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat.onnxruntime_values import check_device, dtype_of, type_name

BOTH = (real, ours)
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool",
          "float16", "float32", "float64"]  # fmt: skip


def facts(value: Any) -> list[Any]:
    names = ("data_type", "element_type", "shape", "device_name", "tensor_size_in_bytes",
             "has_value", "is_tensor", "is_sparse_tensor", "is_tensor_sequence")  # fmt: skip
    return [getattr(value, name)() for name in names]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_says_the_same(dtype: str) -> None:
    array = np.zeros((2, 0, 3), dtype)
    for x in (array, np.ones(4, dtype), np.array(1, dtype)):
        theirs, mine = (m.OrtValue.ortvalue_from_numpy(x) for m in BOTH)
        assert facts(mine) == facts(theirs), f"{facts(mine)} {facts(theirs)}"
        assert mine.numpy().tobytes() == theirs.numpy().tobytes(), "its bytes"
    assert dtype_of(mine.element_type()) == np.dtype(dtype), "and back"
    assert type_name(dtype) == theirs.data_type(), "the name"


@pytest.mark.parametrize("module", BOTH, ids=["theirs", "ours"])
def test_memory_is_shared(module: ModuleType) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    value = module.OrtValue.ortvalue_from_numpy(x)
    assert value.data_ptr() == x.ctypes.data, "no copy"
    x[0, 0] = 7
    assert value.numpy()[0, 0] == 7, "what is written is seen"
    value.update_inplace(x * 2)
    assert x[0, 0] == 14, "both ways"
    zeros = module.OrtValue.ortvalue_from_shape_and_type([2, 3], np.float32)
    assert zeros.numpy().shape == (2, 3), "its own memory"  # of any numbers, in onnxruntime
    assert np.asarray(value.numpy()).tolist() == x.tolist(), "an array"


@pytest.mark.parametrize("module", BOTH, ids=["theirs", "ours"])
def test_wrong_things_are_runtime_errors(module: ModuleType) -> None:
    value = module.OrtValue.ortvalue_from_numpy(np.zeros(3, np.float32))
    with pytest.raises(RuntimeError, match="does not match the size of the OrtValue"):
        value.update_inplace(np.zeros(2, np.float32))
    with pytest.raises(RuntimeError, match="numpy arrays"):
        module.OrtValue.ortvalue_from_numpy([1, 2])
    with pytest.raises(RuntimeError):
        module.OrtValue.ortvalue_from_numpy(np.zeros(2), "cuda", 0)


def test_another_type_is_refused_where_onnxruntime_casts_bytes() -> None:
    """Known difference: onnxruntime copies 8 bytes a number into 4, and says nothing."""
    value = ours.OrtValue.ortvalue_from_numpy(np.zeros(2, np.float32))
    with pytest.raises(RefquantRuntimeError, match=r"got \(2,\) of float64"):
        value.update_inplace(np.zeros(2))
    theirs = real.OrtValue.ortvalue_from_numpy(np.zeros(2, np.float32))
    theirs.update_inplace(np.zeros(2))  # when this raises, the difference is gone


def test_views_are_laid_out_in_a_row() -> None:
    x = np.arange(6, dtype=np.int8).reshape(2, 3)
    for module in BOTH:
        got = module.OrtValue.ortvalue_from_numpy(x[:, ::-1]).numpy()
        assert got.tolist() == x[:, ::-1].tolist(), module.__name__
    assert np.asarray(ours.OrtValue.ortvalue_from_numpy(x)).tolist() == x.tolist(), "as an array"
    assert np.array(ours.OrtValue(x), np.float32, copy=True).dtype == np.float32, "cast"


def test_types_and_devices_that_are_none() -> None:
    with pytest.raises(RuntimeError, match="element_type 99"):
        dtype_of(99)
    with pytest.raises(RuntimeError, match="'cpu' only"):
        check_device("npu")
    check_device("CPU")


def test_values_of_a_type_by_number_and_of_others_memory() -> None:
    x = np.arange(3, dtype=np.float32)
    for module in BOTH:
        value = module.OrtValue.ortvalue_from_numpy_with_onnx_type(x, 1)
        assert value.data_type() == "tensor(float)", module.__name__
    assert ours.OrtValue.from_dlpack(x).data_ptr() == x.ctypes.data, "the same memory"
    truths = ours.OrtValue.from_dlpack(np.array([0, 1], np.uint8), is_bool_tensor=True)
    assert truths.numpy().tolist() == [False, True], "bytes are truths"
    with pytest.raises(RuntimeError, match="onnx_element_type 3 is not that of the array"):
        ours.OrtValue.ortvalue_from_numpy_with_onnx_type(x, 3)


def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="dense tensors only"):
        ours.OrtValue.ort_value_from_sparse_tensor(None)
    with pytest.raises(UnsupportedError, match="dense tensors only"):
        ours.OrtValue(np.zeros(1)).as_sparse_tensor()
