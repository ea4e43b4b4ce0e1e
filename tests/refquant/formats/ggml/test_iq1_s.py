"""IQ1_S against an exact decoder, gguf, and bytes measured from libgguf."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq1_s
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    words = np.ascontiguousarray(data[:, 34:]).view("<u2").astype(int)
    high = (words[:, :, None] >> np.array([0, 3, 6, 9]) & 7).reshape(-1, 32)
    return {
        "points": (data[:, 2:34] + 256 * high, 2048),
        "scales and shifts": (words >> 12, 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq1_s, "IQ1_S", iq.exact_iq1_s, fields, blocks=700)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ1_S", iq.encoded(iq1_s, "IQ1_S"), iq.golden("IQ1_S"))


@pytest.mark.slow
def test_the_recorded_bytes_are_still_those_of_libgguf() -> None:
    iq.expect_same("IQ1_S", iq.golden("IQ1_S"), iq.outside("IQ1_S"))


def test_zeros_beside_numbers_decode_to_minus_seven_eighths_of_d() -> None:
    x = np.zeros(256, np.float32)
    x[128:] = 1
    data = iq1_s.encode(x, importance=np.ones(256, np.float32))
    back, d = iq1_s.decode(data), data[:2].view(np.float16)[0].astype(np.float32)
    assert d > 0, "the block has a scale"
    assert (back[:128] == np.float32(-0.875) * d).all(), "point 0, all -1, shifted up"


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq1_s, "IQ1_S")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq1_s, "IQ1_S", required=True, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq1_s, "IQ1_S")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq1_s, "IQ1_S")
