"""ONNX's 2- and 4-bit tensors against one big integer and onnx's own helpers."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from refquant.formats.containers.onnx_packed import DTYPES, pack, unpack
from tests.refquant.formats.containers import big_int

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@given(dtype=st.sampled_from(sorted(DTYPES)), count=st.integers(0, 30), seed=st.integers(0, 1000))
def test_bytes_are_one_number(dtype: str, count: int, seed: int) -> None:
    num_bits, signed = DTYPES[dtype]
    codes = big_int.codes_of((count,), num_bits, seed=seed, low=-(1 << num_bits - 1) * signed)
    data = pack(codes, dtype=dtype)
    fields = big_int.dense(data.tolist(), 8, num_bits, count)
    assert fields == [c % (1 << num_bits) for c in codes.tolist()], f"{dtype}: {codes}"
    back = unpack(data, dtype=dtype, shape=codes.shape)
    assert back.tolist() == codes.tolist(), f"{dtype}: {back}"
    assert back.dtype == (np.int8 if signed else np.uint8), f"{dtype}: {back.dtype}"


@every_dtype
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 2, 2), (0, 3)])
def test_onnx_reads_and_writes_the_same(dtype: str, shape: tuple[int, ...]) -> None:
    num_bits, signed = DTYPES[dtype]
    codes = big_int.codes_of(shape, num_bits, seed=3, low=-(1 << num_bits - 1) * signed)
    element = getattr(onnx.TensorProto, dtype.upper())
    data = pack(np.asarray(codes), dtype=dtype)
    proto = onnx.TensorProto(data_type=element, dims=shape, raw_data=data.tobytes())
    array: Any = numpy_helper.to_array(proto)
    patterns = array.view(np.uint8) if dtype == "float4e2m1" else array.astype(np.int64)
    assert patterns.tolist() == codes.tolist(), f"{dtype} {shape}: onnx reads {patterns}"
    written = numpy_helper.from_array(array)
    assert written.data_type == element, f"{written.data_type}"
    assert written.raw_data == data.tobytes(), f"{dtype} {shape}: onnx writes {written.raw_data!r}"


@every_dtype
def test_every_byte_is_read_as_onnx_does(dtype: str) -> None:
    data = np.arange(256, dtype=np.uint8)
    count = 256 * 8 // DTYPES[dtype][0]
    ours = unpack(data, dtype=dtype, shape=(count,))
    element = getattr(onnx.TensorProto, dtype.upper())
    proto = onnx.TensorProto(data_type=element, dims=(count,), raw_data=data.tobytes())
    array: Any = numpy_helper.to_array(proto)
    theirs = array.view(np.uint8) if dtype == "float4e2m1" else array.astype(np.int64)
    assert ours.tolist() == theirs.tolist(), dtype


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dtype must be one of int4, .*; got 'int3'"):
        pack(np.zeros(1, int), dtype="int3")
    with pytest.raises(ValueError, match=r"codes must be in \[-8, 7\] for 4 bits, got 8\.\.8"):
        pack(np.array([8]), dtype="int4")
    with pytest.raises(ValueError, match=r"codes must be in \[0, 3\] for 2 bits, got -1\.\.-1"):
        pack(np.array([-1]), dtype="uint2")
    with pytest.raises(ValueError, match="must be integers"):
        pack(np.zeros(1), dtype="int4")  # type: ignore[arg-type]  # what a user may pass
    with pytest.raises(ValueError, match=r"data must be uint8 of shape \(2,\)"):
        unpack(np.zeros(1, np.uint8), dtype="int4", shape=(3,))
    with pytest.raises(ValueError, match="unused high bits"):
        unpack(np.array([0, 0x10], np.uint8), dtype="uint4", shape=(3,))
