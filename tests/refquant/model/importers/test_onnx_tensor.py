"""Tensors of a file: every dtype in both forms, and promises that are not kept."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from refquant.model.importers.onnx_model import Opaque, Tensor
from refquant.model.importers.onnx_tensor import TensorReader, dtype_of
from refquant.model.importers.onnx_wire import OnnxFormatError

PLAIN = [
    *("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64"),
    *("uint32", "uint64", "bool"),
]


def read(proto: Any) -> Tensor:
    tensor = TensorReader(None, 1000).read(proto)
    assert isinstance(tensor, Tensor), f"{tensor}"
    return tensor


@pytest.mark.parametrize("dtype", PLAIN)
def test_raw_and_typed_fields_hold_the_same(dtype: str) -> None:
    if dtype == "bool":
        array = np.array([[True, False, True]])
    elif dtype.startswith("float"):
        array = np.array([[0.5, -2.25, -0.0]], dtype)
    else:
        limits = np.iinfo(dtype)
        array = np.array([[limits.min, limits.max, 3]], dtype)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    typed = helper.make_tensor("t", kind, array.shape, array.ravel())
    for proto in (numpy_helper.from_array(array, "t"), typed):
        tensor = read(proto)
        assert tensor.dtype == dtype == dtype_of(kind), f"{tensor.dtype}"
        assert tensor.array.tobytes() == array.tobytes(), f"{tensor.array}"
        assert tensor.array.shape == (1, 3), "the shape"


@pytest.mark.parametrize(
    ("kind", "dtype", "codes"),
    [
        (TensorProto.INT4, "int4", [-8, 7, 1]),
        (TensorProto.UINT4, "uint4", [15, 0, 9]),
        (TensorProto.INT2, "int2", [-2, 1, 0, -1, 1]),
        (TensorProto.UINT2, "uint2", [3, 0, 1, 2, 3]),
    ],
)
def test_codes_of_4_and_2_bits(kind: int, dtype: str, codes: list[int]) -> None:
    proto = helper.make_tensor("t", kind, [len(codes)], codes)
    tensor = read(proto)
    assert (tensor.dtype, tensor.array.tolist()) == (dtype, codes), "the first in the lowest bits"
    dirty = TensorProto()
    dirty.CopyFrom(proto)
    data = bytes(numpy_helper.from_array(numpy_helper.to_array(proto)).raw_data)
    dirty.ClearField("int32_data")
    dirty.raw_data = data[:-1] + bytes([data[-1] | 0xF0 if "4" in dtype else data[-1] | 0xFC])
    assert read(dirty).array.tolist() == codes, "unused bits have no say"


def broken(**fields: Any) -> Any:
    proto = numpy_helper.from_array(np.zeros((2, 3), np.float32), "w")
    for name, value in fields.items():
        if isinstance(value, list):
            proto.ClearField(name)
            getattr(proto, name).extend(value)
        else:
            setattr(proto, name, value)
    return proto


@pytest.mark.parametrize(
    ("proto", "what"),
    [
        (broken(dims=[2, 4]), r"its shape \[2, 4\] needs 32 bytes, got 24"),
        (broken(dims=[-2, -3]), "at most 32 sizes >= 0"),
        (broken(dims=[1] * 40), "at most 32 sizes >= 0"),
        (broken(dims=[2**62, 4]), "more memory than the file"),
        (broken(dims=[2**40]), "more memory than the file"),
        (broken(data_type=99), "data type 99 is unknown"),
        (broken(data_location=1), "needs the model's folder"),
    ],
)
def test_promises_that_are_not_kept(proto: Any, what: str) -> None:
    with pytest.raises(OnnxFormatError, match=f"tensor 'w'.*{what}"):
        TensorReader(None, 1000).read(proto)


def test_numbers_of_another_count_or_dtype() -> None:
    proto = helper.make_tensor("w", TensorProto.INT8, [2], [1, 2])
    proto.int32_data[0] = 1000
    with pytest.raises(OnnxFormatError, match="a number is no int8"):
        read(proto)
    proto.dims[0] = 3
    with pytest.raises(OnnxFormatError, match=r"needs 3 numbers, got 2"):
        read(proto)


def test_dtypes_that_are_not_here_are_words() -> None:
    tensor = TensorReader(None, 0).read(
        TensorProto(name="s", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"])
    )
    assert tensor == Opaque("a tensor of string"), "an error only where it is read"


def test_every_dtype_of_the_library_has_a_name() -> None:
    for name, kind in onnx.TensorProto.DataType.items():
        assert not dtype_of(kind).startswith("data type"), f"{name} = {kind} is new"


def test_the_memory_is_bounded_together() -> None:
    reader = TensorReader(None, 100)
    zeros = np.zeros(1 << 20, np.float32)
    proto = numpy_helper.from_array(zeros, "w")
    for _ in range(16):
        reader.read(proto)
    with pytest.raises(OnnxFormatError, match="more memory than the file"):
        reader.read(proto)
