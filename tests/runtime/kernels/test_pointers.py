"""Pointers: arithmetic in elements, reinterpretation, calls by address, aligned memory."""

import ctypes
from typing import Any

import numpy as np
import pytest
from numba import cfunc, njit

from refquant_runtime.kernels import pointers as p


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4096])
def test_aligned_empty(nbytes: int) -> None:
    buffers = [p.aligned_empty(nbytes) for _ in range(8)]
    for buffer in buffers:
        assert buffer.nbytes == nbytes, "as many bytes as asked"
        assert not nbytes or buffer.ctypes.data % p.ALIGNMENT == 0, "on a cache line"
        assert buffer.flags.writeable, "to be written"


def test_aligned_empty_refuses_negative_sizes() -> None:
    with pytest.raises(ValueError, match="nbytes must be at least 0, got -1"):
        p.aligned_empty(-1)


@njit
def _walk(array: Any, n: int) -> Any:
    base = p.pointer(array)
    moved = p.offset(base, n)
    p.store(moved, 1, 9.75)
    back = p.offset(moved, -n)
    return p.load(moved, 0), back[0], moved[1]


def test_offset_load_and_store_count_elements() -> None:
    for dtype in (np.uint8, np.int32, np.int64, np.float32):
        array = np.arange(10).astype(dtype)
        loaded, first, stored = _walk(array, 3)
        assert loaded == 3, f"{np.dtype(dtype)}: offset 3"
        assert first == 0, f"{np.dtype(dtype)}: and back"
        assert stored == array[4] == dtype(9.75), f"{np.dtype(dtype)}: cast to the element"


@njit
def _reinterpret(array: Any) -> Any:
    base = p.pointer(array)
    return (
        p.as_u8(base)[4], p.as_i8(base)[4], p.as_i32(base)[1], p.as_i64(base)[1], p.as_f32(base)[1],
    )  # fmt: skip


def test_reinterpretation_is_that_of_numpy_views() -> None:
    array = p.aligned_empty(16)
    array[:] = np.random.default_rng(0).integers(128, 256, 16)
    array[4:8] = np.array([-1.5], np.float32).view(np.uint8) | 128
    got = _reinterpret(array)
    views = (np.uint8, 4), (np.int8, 4), (np.int32, 1), (np.int64, 1), (np.float32, 1)
    for value, (dtype, index) in zip(got, views, strict=True):
        assert value == array.view(dtype)[index], f"as {np.dtype(dtype)}"


@njit
def _opaque(n: int) -> int:
    return p.opaque(n) + p.opaque(3)  # type: ignore[no-any-return]


def test_opaque_is_the_identity() -> None:
    assert [_opaque(n) for n in (-5, 0, 2**40)] == [-2, 3, 2**40 + 3], "n + 3"


def _record(pa: Any, offs: Any, taps: int, kc: int, pw: Any, pc: Any, ldc: int, flip: int) -> None:
    pc[0], pc[1], pc[2] = np.int32(pa[0]), np.int32(offs[0]), np.int32(taps)
    pc[3], pc[4], pc[5] = np.int32(kc), np.int32(pw[0]), np.int32(ldc)
    pc[6] = np.int32(flip)


def _record_f32(pa: Any, offs: Any, taps: int, kc: int, pw: Any, pc: Any, ldc: int) -> None:
    pc[0], pc[1], pc[2] = pa[0], np.float32(offs[0]), np.float32(taps)
    pc[3], pc[4], pc[5] = np.float32(kc), pw[0], np.float32(ldc)


@njit
def _call(address: int, a: Any, offs: Any, w: Any, c: Any, into: bool) -> None:
    pa, po, pw, pc = p.pointer(a), p.pointer(offs), p.pointer(w), p.pointer(c)
    if into:
        p.call_int8_tile_into(address, pa, po, 3, 4, pw, pc, 6, 0x80808080)
    else:
        p.call_int8_tile(address, pa, po, 3, 4, pw, pc, 0x80808080)


@njit
def _call_f32(address: int, a: Any, offs: Any, w: Any, c: Any, into: bool) -> None:
    pa, po, pw, pc = p.pointer(a), p.pointer(offs), p.pointer(w), p.pointer(c)
    if into:
        p.call_f32_tile_into(address, pa, po, 3, 4, pw, pc, 6)
    else:
        p.call_f32_tile(address, pa, po, 3, 4, pw, pc)


@pytest.mark.parametrize("into", [False, True])
def test_a_tile_called_by_address_gets_its_arguments_in_order(into: bool) -> None:
    code = cfunc(p.INT8_TILE)(_record)
    out = np.zeros(7, np.int32)
    offs = np.array([-2], np.int32)
    _call(code.address, np.array([1], np.uint8), offs, np.array([5], np.uint8), out, into)
    flip = ctypes.c_int32(0x80808080).value
    assert out.tolist() == [1, -2, 3, 4, 5, 6 * into, flip], "int8"
    code = cfunc(p.F32_TILE)(_record_f32)
    real = np.zeros(6, np.float32)
    a, w = np.array([1.5], np.float32), np.array([5.5], np.float32)
    _call_f32(code.address, a, offs, w, real, into)
    assert real.tolist() == [1.5, -2, 3, 4, 5.5, 6 * into], "float32"
