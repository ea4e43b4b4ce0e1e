"""The packed 6-bit scales: every number in every place."""

import numpy as np

from refquant.formats.ggml.k_scales import (
    pack_scales,
    pack_scales_min,
    unpack_scales,
    unpack_scales_min,
)

EACH = np.arange(64, dtype=np.uint8)


def test_every_pair_of_numbers_survives() -> None:
    pairs = np.arange(64 * 64)[:, None]
    s = ((pairs % 64 + 5 * np.arange(8)) % 64).astype(np.uint8)
    m = ((pairs // 64 + 11 * np.arange(8)) % 64).astype(np.uint8)
    back_s, back_m = unpack_scales_min(pack_scales_min(s, m))
    assert np.array_equal(back_s, s), "scales"
    assert np.array_equal(back_m, m), "minimums"


def test_each_bit_of_twelve_bytes_belongs_to_one_number() -> None:
    for byte in range(12):
        for bit in range(8):
            data = np.zeros((1, 12), np.uint8)
            data[0, byte] = 1 << bit
            s, m = unpack_scales_min(data)
            if byte < 8:
                kind, j = (s, m)[byte // 4], byte % 4
                expected = {j: 1 << bit} if bit < 6 else {j + 4: 1 << bit - 2}
            else:
                kind, expected = (s, m)[bit // 4], {byte - 4: 1 << bit % 4}
            rest = m if kind is s else s
            found = {int(j): int(kind[0, j]) for j in np.flatnonzero(kind)}
            assert found == expected, f"byte {byte} bit {bit}: {found}"
            assert not rest.any(), f"byte {byte} bit {bit} is in both"


def test_sixteen_scales_survive_in_each_place() -> None:
    s = ((EACH[:, None] + 7 * np.arange(16)) % 64).astype(np.uint8)
    assert np.array_equal(unpack_scales(pack_scales(s)), s), "Q3_K"


def test_each_bit_of_q3_k_belongs_to_one_scale() -> None:
    for byte in range(12):
        for bit in range(8):
            data = np.zeros((1, 12), np.uint8)
            data[0, byte] = 1 << bit
            s = unpack_scales(data)[0]
            j = byte + 8 * (bit // 4) if byte < 8 else byte - 8 + 4 * (bit // 2)
            value = 1 << bit % 4 if byte < 8 else 16 << bit % 2
            assert {int(i): int(s[i]) for i in np.flatnonzero(s)} == {j: value}, f"{byte}, {bit}"
