"""IQ1_M against an exact decoder, gguf, and bytes measured from libgguf."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq1_m
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    words = np.ascontiguousarray(data[:, 48:]).view("<u2").astype(int)
    nibbles = (
        np.stack([data[:, 32:48] & 15, data[:, 32:48] >> 4], axis=-1).reshape(-1, 32).astype(int)
    )
    return {
        "points": (data[:, :32] + 256 * (nibbles & 7), 2048),
        "shifts": (nibbles >> 3, 2),
        "scales": (words[:, :, None] >> np.array([0, 3, 6, 9]) & 7, 8),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq1_m, "IQ1_M", iq.exact_iq1_m, fields, blocks=700)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ1_M", iq.encoded(iq1_m, "IQ1_M"), iq.golden("IQ1_M"))


@pytest.mark.slow
def test_the_recorded_bytes_are_still_those_of_libgguf() -> None:
    iq.expect_same("IQ1_M", iq.golden("IQ1_M"), iq.outside("IQ1_M"))


def test_prefix_sums_are_those_of_newer_ggml() -> None:
    ours = iq.encoded(iq1_m, "IQ1_M", flavour="prefix_sums")
    iq.expect_same("IQ1_M", ours, iq.golden("IQ1_M", "IQ1_M prefix_sums"))


def test_the_flavours_differ_in_a_named_block() -> None:
    x = iq.bell(2159, 256).astype(np.float32)  # the first of these with a difference
    a, b = (iq1_m.encode(x, flavour=flavour) for flavour in iq1_m.FLAVOURS)
    assert not np.array_equal(a, b), "an order of sums decides a split"
    with pytest.raises(ValueError, match="flavour must be one of reference, prefix_sums"):
        iq1_m.encode(x, flavour="sums")


def test_the_scale_is_scattered_over_the_top_of_four_words() -> None:
    for bit in range(16):
        data = np.zeros(56, np.uint8)
        data[49 + 2 * (bit // 4)] = 16 << bit % 4
        d = np.array([1 << bit], np.uint16).view(np.float16)[0].astype(np.float32)
        assert iq1_m.decode(data)[0] == d * np.float32(-0.875), f"bit {bit} of d"


def test_zeros_beside_numbers_decode_to_minus_seven_eighths_of_d() -> None:
    x = np.zeros(256, np.float32)
    x[128:] = 1
    back = iq1_m.decode(iq1_m.encode(x))
    d = back[0] / np.float32(-0.875)
    assert d > 0, "the block has a scale"
    assert (back[:128] == np.float32(-0.875) * d).all(), "point 0, all -1, shifted up"


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq1_m, "IQ1_M")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq1_m, "IQ1_M", required=False, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq1_m, "IQ1_M")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq1_m, "IQ1_M")
