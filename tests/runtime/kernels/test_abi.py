"""Shares cover everything once; kernels compile once and keep their address."""

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, compiled, f32_at, i8_at, i16_at, i32_at, share
from refquant_runtime.kernels.abi import u8_at as bytes_at
from refquant_runtime.kernels.move import fill
from refquant_runtime.kernels.pointers import pointer


@given(total=st.integers(0, 10**6), threads=st.integers(1, 64))
def test_shares_are_contiguous_even_and_complete(total: int, threads: int) -> None:
    shares = [share(total, tid, threads) for tid in range(threads)]
    assert shares[0][0] == 0, f"begins at {shares[0][0]}"
    assert shares[-1][1] == total, f"ends at {shares[-1][1]} of {total}"
    for (_, end), (begin, _) in itertools.pairwise(shares):
        assert end == begin, f"a gap or an overlap at {end}, {begin}"
    sizes = [end - begin for begin, end in shares]
    assert max(sizes) - min(sizes) <= 1, f"uneven: {sizes}"


def test_a_kernel_is_compiled_once() -> None:
    assert compiled(fill) == compiled(fill) != 0, "one address for one kernel"


@njit
def read(block: Any, at: int) -> Any:
    base = pointer(block)
    return bytes_at(base, at)[0], i8_at(base, at)[0], i16_at(base, at)[0], i32_at(base, at)[0], f32_at(base, at)[0]  # fmt: skip # noqa: E501


def test_offsets_are_bytes_and_types_are_views() -> None:
    block = np.zeros(64, np.uint8)
    block[8:12] = np.array([-1.5], np.float32).view(np.uint8)
    u8, i8, i16, i32, f32 = read(block, 8)
    assert (u8, i8, i16) == (0, 0, 0), "the low bytes of -1.5 are zero"
    assert i32 == np.array([-1.5], np.float32).view(np.int32)[0], f"bits {i32:#x}"
    assert f32 == -1.5, f"read {f32}"
    assert read(block, 11)[:2] == (0xBF, 0xBF - 256), "the top byte of -1.5, unsigned and signed"


@njit
def real(bits: int) -> Any:
    return bits_f32(bits)


@given(st.floats(width=32, allow_nan=False))
def test_reals_travel_as_their_bits(x: float) -> None:
    assert real(int(np.float32(x).view(np.int32))) == x, f"{x} did not survive"
