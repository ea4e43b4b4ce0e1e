"""IQ2_XS against an exact decoder, gguf, and bytes measured from libgguf."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq2_xs
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    words = np.ascontiguousarray(data[:, 2:66]).view("<u2")
    return {
        "points": (words & 511, 512),
        "signs": (words >> 9, 128),
        "scales": (np.stack([data[:, 66:] & 15, data[:, 66:] >> 4]), 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq2_xs, "IQ2_XS", iq.exact_iq2_xs, fields, blocks=160)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ2_XS", iq.encoded(iq2_xs, "IQ2_XS"), iq.golden("IQ2_XS"))


@pytest.mark.slow
def test_the_recorded_bytes_are_still_those_of_libgguf() -> None:
    iq.expect_same("IQ2_XS", iq.golden("IQ2_XS"), iq.outside("IQ2_XS"))


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq2_xs, "IQ2_XS")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq2_xs, "IQ2_XS", required=True, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq2_xs, "IQ2_XS")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq2_xs, "IQ2_XS")
