"""IQ4_NL against an exact decoder, a scalar program, gguf and libgguf."""

from collections.abc import Sequence
from typing import Any

import libgguf
import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml import iq4_nl
from tests.refquant.formats.ggml import iq
from tests.refquant.formats.ggml.simple import (
    corpus,
    differing,
    f16,
    f32,
    nibbles,
    reciprocal,
    stacked,
    times,
)


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    return {"codes": (np.stack([data[:, 2:] & 15, data[:, 2:] >> 4]), 16)}


def test_every_code_decodes_exactly() -> None:
    iq.expect_exact_decode(iq4_nl, "IQ4_NL", iq.exact_iq4_nl, fields, blocks=200)


MIDDLES = [(a + b) / 2 for a, b in zip(iq.CODEBOOK, iq.CODEBOOK[1:], strict=False)]


def nearest(v: float) -> int:
    """The nearest value, of two the upper: how many exact middles are not above; NaN is 15."""
    return sum(not v < middle for middle in MIDDLES)


def program(x: Sequence[float]) -> bytes:
    """The whole search in scalar float32, without importance."""
    weights = [times(v, v) for v in x]
    largest = 0.0
    for v in x:
        largest = v if abs(v) > abs(largest) else largest
    if abs(largest) < f32(1e-15):
        return f16(0.0) + nibbles([nearest(0.0)] * 32)

    def sums(inverse: float) -> tuple[float, float]:
        xv = vv = 0.0
        for v, w in zip(x, weights, strict=True):
            q = float(iq.CODEBOOK[nearest(times(inverse, v))])
            wq = times(w, q)
            xv, vv = f32(xv + times(wq, v)), f32(vv + times(wq, q))
        return xv, vv

    xv, vv = sums(f32(1 / f32(-largest / -127)) if f32(largest / 127) else float("inf"))
    d = f32(xv / vv) if vv > 0 else 0.0
    best = times(d, xv)
    for t in range(-7, 8):
        xv, vv = sums(f32((t - 127) / largest))
        if vv > 0 and times(xv, xv) > times(best, vv):
            d = f32(xv / vv)
            best = times(d, xv)
    return f16(d) + nibbles([nearest(times(reciprocal(d), v)) for v in x])


def test_bytes_are_those_of_a_scalar_program() -> None:
    for name, row in iq.rows(32).items():
        expected = program([float(v) for v in row])
        assert iq4_nl.encode(row).tobytes() == expected, f"{name}: {expected.hex()}"


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ4_NL", iq.encoded(iq4_nl, "IQ4_NL"), iq.outside("IQ4_NL"))
    rows = corpus(32)
    theirs = libgguf.quantize_rows(stacked(rows), libgguf.GGMLQuantizationType.IQ4_NL)
    assert differing(rows, iq4_nl.encode(stacked(rows)), theirs) == set(), "all finite magnitudes"


def test_the_nearest_value_is_nearest_and_ties_go_up() -> None:
    x = np.array([*iq.CODEBOOK, *MIDDLES, -1e9, 1e9, 0.0, -0.0], np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(1e10)), np.nextafter(x, np.float32(-1e10))])
    assert iq4_nl.nearest_values(x).tolist() == [nearest(float(v)) for v in x], "by the middles"


def test_there_is_no_zero() -> None:
    x = np.array([1.0] + 31 * [0.0], np.float32)
    back = iq4_nl.decode(iq4_nl.encode(x))
    assert (back[1:] != 0).all(), "a zero beside a number becomes 1 d"
    assert iq4_nl.decode(iq4_nl.encode(0 * x)).any() == np.False_, "a block of zeros stays zero"


def test_a_scale_beyond_a_half_is_infinity_as_in_ggml() -> None:
    with np.errstate(invalid="ignore"):
        back = iq4_nl.decode(iq4_nl.encode(np.full(32, 1e9, np.float32)))
    assert np.isinf(back).all(), "65504 * 127 is the largest magnitude"


def test_values_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        iq4_nl.VALUES[0] = 1


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq4_nl, "IQ4_NL")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq4_nl, "IQ4_NL", required=False, aborts=False)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq4_nl, "IQ4_NL")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq4_nl, "IQ4_NL")
