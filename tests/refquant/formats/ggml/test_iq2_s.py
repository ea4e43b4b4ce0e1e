"""IQ2_S against an exact decoder, gguf, and bytes measured from libgguf."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq2_s
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    shifts = np.array([0, 2, 4, 6], np.uint8)
    high = (data[:, 66:74, None] >> shifts & 3).reshape(-1, 32).astype(int)
    return {
        "points": (data[:, 2:34] + 256 * high, 1024),
        "signs": (data[:, 34:66], 256),
        "scales": (np.stack([data[:, 74:] & 15, data[:, 74:] >> 4]), 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq2_s, "IQ2_S", iq.exact_iq2_s, fields, blocks=450)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ2_S", iq.encoded(iq2_s, "IQ2_S"), iq.golden("IQ2_S"))


@pytest.mark.slow
def test_the_recorded_bytes_are_still_those_of_libgguf() -> None:
    iq.expect_same("IQ2_S", iq.golden("IQ2_S"), iq.outside("IQ2_S"))


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq2_s, "IQ2_S")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq2_s, "IQ2_S", required=False, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq2_s, "IQ2_S")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq2_s, "IQ2_S")
