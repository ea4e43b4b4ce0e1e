"""IQ2_XXS against an exact decoder, gguf, and bytes measured from libgguf."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq2_xxs
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    words = np.ascontiguousarray(data[:, 2:].reshape(-1, 8, 8)[:, :, 4:]).view("<u4")
    return {
        "points": (data[:, 2:].reshape(-1, 8, 8)[:, :, :4], 256),
        "signs": (np.concatenate([words >> s & 127 for s in (0, 7, 14, 21)]), 128),
        "scales": (words >> 28, 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq2_xxs, "IQ2_XXS", iq.exact_iq2_xxs, fields, blocks=60)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ2_XXS", iq.encoded(iq2_xxs, "IQ2_XXS"), iq.golden("IQ2_XXS"))


@pytest.mark.slow
def test_the_recorded_bytes_are_still_those_of_libgguf() -> None:
    iq.expect_same("IQ2_XXS", iq.golden("IQ2_XXS"), iq.outside("IQ2_XXS"))


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq2_xxs, "IQ2_XXS")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq2_xxs, "IQ2_XXS", required=True, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq2_xxs, "IQ2_XXS")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq2_xxs, "IQ2_XXS")
