"""IQ4_XS against an exact decoder, gguf and libgguf."""

from typing import Any

import libgguf
import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml import iq4_xs
from tests.refquant.formats.ggml import iq
from tests.refquant.formats.ggml.simple import corpus, differing, stacked


def scales(data: NDArray[np.uint8]) -> NDArray[Any]:
    high = np.ascontiguousarray(data[:, 2:4]).view("<u2").astype(int) >> np.arange(0, 16, 2) & 3
    low = np.stack([data[:, 4:8] & 15, data[:, 4:8] >> 4], axis=-1).reshape(-1, 8)
    return np.asarray(low + 16 * high)


def fields(data: NDArray[np.uint8]) -> dict[str, tuple[NDArray[Any], int]]:
    codes = np.stack([data[:, 8:] & 15, data[:, 8:] >> 4])
    return {"codes": (codes, 16), "scales": (scales(data), 64)}


def test_every_code_and_scale_decodes_exactly() -> None:
    iq.expect_exact_decode(iq4_xs, "IQ4_XS", iq.exact_iq4_xs, fields, blocks=100)


def test_bytes_are_those_of_libgguf() -> None:
    iq.expect_same("IQ4_XS", iq.encoded(iq4_xs, "IQ4_XS"), iq.outside("IQ4_XS"))
    rows = corpus(256, dense=False)
    theirs = libgguf.quantize_rows(stacked(rows), libgguf.GGMLQuantizationType.IQ4_XS)
    assert differing(rows, iq4_xs.encode(stacked(rows)), theirs) == set(), "all finite magnitudes"


def test_multiples_at_a_tie_are_those_of_libgguf() -> None:
    # scales (2 k + 1) / 64 of the largest: s / d is a tie, s times 1 / d often is none
    largest = (1 + abs(iq.noise(31, 200))).astype(np.float32)[:, None]
    odd = np.rint(31 * iq.noise(32, 1600)).reshape(200, 8) * 2 + 1
    s = np.where(np.arange(8) == 3, largest, (largest * odd / 64).astype(np.float32))
    x = (s[:, :, None] * np.tile(np.array(iq.CODEBOOK, np.float32), 2)).astype(np.float32)
    x = x.reshape(200, 256)
    theirs = libgguf.quantize_rows(x, libgguf.GGMLQuantizationType.IQ4_XS)
    assert np.array_equal(iq4_xs.encode(x), theirs), "the float32 reciprocal decides"


def test_the_largest_sub_block_has_multiple_minus_32() -> None:
    data = iq4_xs.encode(np.stack([iq.rows()[name] for name in ("bell", "outliers", "one value")]))
    assert (scales(data).min(axis=1) == 0).all(), "l = 0 stands for -32"


def test_zeros_are_zero_and_minus_zero() -> None:
    data = iq4_xs.encode(np.zeros(256, np.float32))
    assert data[:2].tolist() == [0, 128], "d = -0 / 32, negated"
    assert scales(data[None]).tolist() == [8 * [32]], "d times 0"
    assert not iq4_xs.decode(data).any(), "and zeros come back"


def test_any_bytes_decode_as_in_gguf() -> None:
    iq.expect_same_decode(iq4_xs, "IQ4_XS")


def test_bad_arguments_are_refused_by_name() -> None:
    iq.expect_refusals(iq4_xs, "IQ4_XS", required=False, aborts=False)


def test_shapes_and_independent_blocks() -> None:
    iq.expect_shapes(iq4_xs, "IQ4_XS")


def test_the_card_ends_in_the_decoded_values() -> None:
    iq.expect_card(iq4_xs, "IQ4_XS")
