"""IQ3_XXS against an exact decoder, gguf, and libgguf."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml import iq3_xxs
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    words = np.ascontiguousarray(data[:, 66:]).view("<u4")
    return {
        "points": (data[:, 2:66], 256),
        "signs": (np.concatenate([words >> s & 127 for s in (0, 7, 14, 21)]), 128),
        "scales": (words >> 28, 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq3_xxs, "IQ3_XXS", iq.exact_iq3_xxs, fields, blocks=60)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ3_XXS", iq.encoded(iq3_xxs, "IQ3_XXS"), iq.outside("IQ3_XXS"))


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq3_xxs, "IQ3_XXS")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq3_xxs, "IQ3_XXS", required=False, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq3_xxs, "IQ3_XXS")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq3_xxs, "IQ3_XXS")
