"""The table of the tangent: each piece meets the next one, and is the function in its middle."""

import math

import numpy as np

from refquant_conformance.oracle_numpy import tanh_of_pieces_exact
from refquant_conformance.tanh_pieces import TANH_PIECES


def test_every_piece_is_whole() -> None:
    assert [len(piece) for piece in TANH_PIECES] == [8] * 32, "32 pieces of b and seven terms"


def test_a_piece_is_the_function_where_it_is_centred() -> None:
    for piece in TANH_PIECES[1:31]:
        centre, value = np.array(piece[:2], np.uint32).view(np.float32).tolist()
        assert abs(value - math.tanh(centre)) <= 2.0**-24, f"around {centre}"
        assert tanh_of_pieces_exact(centre) == value, f"{centre} is found in its own piece"
