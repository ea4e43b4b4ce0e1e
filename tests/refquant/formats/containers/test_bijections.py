"""Every packer moves bits: each bit of a code goes to one place, and no two to the same.

Where pack(a | b) = pack(a) | pack(b), what holds of single bits holds of all codes: 100 single bits
are the exhaustive test of 2^100 inputs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from refquant.formats.containers import (
    awq,
    bitnet,
    bitsandbytes,
    compressed_tensors,
    ggml_halves,
    gptq,
    hqq,
    matmul_nbits,
    mlx,
    onnx_packed,
    quanto,
    tflite_packed,
)

Array = np.ndarray[Any, Any]
Pack = Callable[[Array], Array]

PACKERS: dict[str, tuple[int, tuple[int, ...], Pack]] = {  # bits, shape of the codes, packer
    "onnx uint4": (4, (3, 6), lambda q: onnx_packed.pack(q, dtype="uint4")),
    "onnx uint2": (2, (3, 4), lambda q: onnx_packed.pack(q, dtype="uint2")),
    "tflite 4": (4, (2, 4), lambda q: tflite_packed.pack(q, num_bits=4, signed=False)),
    "awq gemm": (4, (8, 3), lambda q: awq.pack(q, layout="gemm")),
    "awq gemv": (4, (3, 8), lambda q: awq.pack(q, layout="gemv")),
    "awq gemv_fast": (4, (4, 64), lambda q: awq.pack(q, layout="gemv_fast")),
    "bitsandbytes": (4, (3, 4), lambda q: bitsandbytes.pack(q, quant_type="fp4")),
    "fp4": (4, (3, 4), lambda q: compressed_tensors.pack_float(q, num_bits=4)),
    "fp6": (6, (3, 4), lambda q: compressed_tensors.pack_float(q, num_bits=6)),
    "split halves": (4, (2, 32), lambda q: ggml_halves.pack(q, block_size=32)),
    "bitnet x86": (1, (2, 64), lambda q: bitnet.pack(q - 1, layout="i2_s_x86")),
    "bitnet arm": (1, (2, 64), lambda q: bitnet.pack(q - 1, layout="i2_s_arm")),
    "bitnet rows": (1, (4, 3), lambda q: bitnet.pack(q - 1, layout="i2_s_rows")),
    "bitnet hf": (1, (5, 3), lambda q: bitnet.pack(q - 1, layout="hf")),
}
for _bits in range(1, 9):

    def _dense(q: Array, bits: int = _bits) -> Array:
        return compressed_tensors.pack(q - (1 << bits - 1), num_bits=bits, layout="dense")

    def _padded(q: Array, bits: int = _bits) -> Array:
        return compressed_tensors.pack(q - (1 << bits - 1), num_bits=bits, layout="padded")

    def _matmul(q: Array, bits: int = _bits) -> Array:
        return matmul_nbits.pack(q, num_bits=bits, block_size=16)

    def _gptq(q: Array, bits: int = _bits) -> Array:
        return gptq.pack(q, num_bits=bits)

    def _planar(q: Array, bits: int = _bits) -> Array:
        return gptq.pack(q, num_bits=bits, layout="planar")

    def _hqq(q: Array, bits: int = _bits) -> Array:
        return hqq.pack(q, num_bits=bits)

    def _quanto(q: Array, bits: int = _bits) -> Array:
        return quanto.pack(q, num_bits=bits)

    def _mlx(q: Array, bits: int = _bits) -> Array:
        return mlx.pack(q, num_bits=bits)

    PACKERS[f"dense {_bits}"] = (_bits, (1, 33), _dense)
    PACKERS[f"padded {_bits}"] = (_bits, (1, 33), _padded)
    for _name, _known, _shape, _pack in (
        ("matmul_nbits", range(2, 9), (2, 20), _matmul),
        ("gptq", gptq.LAYOUTS["continuous"], (2, 32), _gptq),
        ("planar", gptq.LAYOUTS["planar"], (2, 32), _planar),
        ("hqq", hqq.PIECES, (40, 2), _hqq),
        ("quanto", (2, 4), (7, 2), _quanto),
        ("mlx", mlx.BITS, (2, 32), _mlx),
    ):
        if _bits in _known:
            PACKERS[f"{_name} {_bits}"] = (_bits, _shape, _pack)


def as_number(packed: Array) -> int:
    return int.from_bytes(packed.tobytes(), "little")


@pytest.mark.parametrize("name", PACKERS)
def test_each_bit_has_a_place_of_its_own(name: str) -> None:
    num_bits, shape, pack = PACKERS[name]
    assert as_number(pack(np.zeros(shape, np.int64))) == 0, "no bit, no bit"
    places: list[int] = []
    for index in np.ndindex(*shape):
        for bit in range(num_bits):
            codes = np.zeros(shape, np.int64)
            codes[index] = 1 << bit
            places.append(as_number(pack(codes)))
    assert all(place.bit_count() == 1 for place in places), "one bit becomes one bit"
    assert len(set(places)) == len(places), "no two become the same"
    full = as_number(pack(np.full(shape, (1 << num_bits) - 1)))
    assert full == sum(places), "and all together become all"


@pytest.mark.parametrize("name", PACKERS)
def test_the_union_of_codes_is_the_union_of_bits(name: str) -> None:
    num_bits, shape, pack = PACKERS[name]
    a, b = np.random.default_rng(3).integers(0, 1 << num_bits, (2, *shape))
    assert as_number(pack(a | b)) == as_number(pack(a)) | as_number(pack(b)), name


@pytest.mark.parametrize("name", PACKERS)
def test_memory_order_and_dtype_do_not_matter(name: str) -> None:
    num_bits, shape, pack = PACKERS[name]
    codes = np.random.default_rng(5).integers(0, 1 << num_bits, shape)
    codes.flags.writeable = False  # an argument is never changed
    packed = pack(codes)
    for same in (
        np.asfortranarray(codes),
        np.repeat(codes, 2, axis=1)[:, ::2],
        codes.astype(np.int16),
    ):
        assert pack(same).tobytes() == packed.tobytes(), f"{name}: {same.dtype} {same.strides}"


def test_packed_arrays_may_be_views() -> None:
    """As a slice of a file's buffer, or a transposed tensor, is."""
    codes = np.random.default_rng(6).integers(0, 16, (64, 64))
    ternary = codes % 3 - 1
    cases: dict[str, tuple[Array, Array, Pack]] = {
        "gptq": (codes, gptq.pack(codes, num_bits=4), lambda p: gptq.unpack(p, num_bits=4)),
        "mlx": (codes, mlx.pack(codes, num_bits=4), lambda p: mlx.unpack(p, num_bits=4)),
        "hqq": (codes, hqq.pack(codes, num_bits=4), lambda p: hqq.unpack(p, num_bits=4, rows=64)),
        "quanto": (
            codes,
            quanto.pack(codes, num_bits=4),
            lambda p: quanto.unpack(p, num_bits=4, shape=(64, 64)),
        ),
        "fp4": (
            codes,
            compressed_tensors.pack_float(codes, num_bits=4),
            lambda p: compressed_tensors.unpack_float(p, num_bits=4),
        ),
        "bitnet": (
            ternary,
            bitnet.pack(ternary, layout="hf"),
            lambda p: bitnet.unpack(p, layout="hf", shape=(64, 64)),
        ),
        "halves": (
            codes,
            ggml_halves.pack(codes, block_size=32),
            lambda p: ggml_halves.unpack(p, block_size=32),
        ),
    }
    for layout in awq.LAYOUTS:
        cases[layout] = (
            codes,
            awq.pack(codes, layout=layout),
            partial(awq.unpack, layout=layout),
        )
    for layout in compressed_tensors.LAYOUTS:
        signed = codes - 8
        cases[layout] = (
            signed,
            compressed_tensors.pack(signed, num_bits=4, layout=layout),
            partial(compressed_tensors.unpack, num_bits=4, layout=layout, shape=(64, 64)),
        )
    for name, (wanted, packed, unpack) in cases.items():
        for view in (np.asfortranarray(packed), np.repeat(packed, 2, axis=1)[:, ::2]):
            assert unpack(view).tolist() == wanted.tolist(), f"{name}: {view.strides}"
