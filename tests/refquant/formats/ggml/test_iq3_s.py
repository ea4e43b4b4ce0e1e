"""IQ3_S against an exact decoder, gguf, and libgguf."""

from typing import Any

import libgguf
import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq3_s
from tests.refquant.formats.ggml import iq


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    high = np.unpackbits(data[:, 66:74], axis=1, bitorder="little").astype(int)
    return {
        "points": (data[:, 2:66] + 256 * high, 512),
        "signs": (data[:, 74:106], 256),
        "scales": (np.stack([data[:, 106:] & 15, data[:, 106:] >> 4]), 16),
    }


def test_every_point_sign_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq3_s, "IQ3_S", iq.exact_iq3_s, fields, blocks=160)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ3_S", iq.encoded(iq3_s, "IQ3_S"), iq.outside("IQ3_S"))


# ggml-quants.c, quantize_row_iq3_s_impl: a sub-block of zeros is skipped by a ``continue`` before
# the pointers to low bytes and signs advance. Right by the layout of block_iq3_s: flavour in_place.
MISPLACED = np.repeat(np.array([0, -5, 0, 0, 0, 0, 0, 0], np.float32), 32)


def test_libgguf_misplaces_what_follows_a_sub_block_of_zeros() -> None:
    theirs = libgguf.quantize_rows(MISPLACED[None], libgguf.GGMLQuantizationType.IQ3_S)[0]
    ours = iq3_s.encode(MISPLACED)
    assert np.array_equal(ours, theirs), "reference: their bytes"
    placed = iq3_s.encode(MISPLACED, flavour="in_place")
    assert not np.array_equal(placed, theirs), "the disagreement is gone: drop the flavour"
    wrong, right = iq3_s.decode(theirs)[32:64], iq3_s.decode(placed)[32:64]
    assert wrong.min() > 0, "their bytes turn -5 into positive numbers"
    assert (abs(right + 5) < 1.5).all(), "in place: within the block's step"
    assert np.array_equal(iq3_s.decode(theirs)[64:], iq3_s.decode(placed)[64:]), "the rest agrees"


def test_flavours_agree_where_no_sub_block_is_zero_or_only_the_last() -> None:
    x = iq.bell(21, 2048).astype(np.float32)
    x[1024 + 224 : 1280] = 0  # the last sub-block of a block
    a, b = (iq3_s.encode(x, flavour=flavour) for flavour in iq3_s.FLAVOURS)
    assert np.array_equal(a, b), "no sub-block follows one of zeros"
    with pytest.raises(ValueError, match="flavour must be one of reference, in_place; got 'c'"):
        iq3_s.encode(x, flavour="c")


def test_where_scales_underflow_points_and_signs_are_stored_all_the_same() -> None:
    x = np.full(256, -(2.0**-149), np.float32)
    data = iq3_s.encode(x)
    assert data[:2].tolist() == [0, 0], "d is 0"
    assert (data[74:106] == 255).all(), "and the signs are minus"
    theirs = libgguf.quantize_rows(x[None], libgguf.GGMLQuantizationType.IQ3_S)[0]
    assert np.array_equal(data, theirs), "as outside"


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq3_s, "IQ3_S")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq3_s, "IQ3_S", required=False, aborts=True)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq3_s, "IQ3_S")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq3_s, "IQ3_S")
