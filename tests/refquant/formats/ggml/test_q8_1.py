"""Q8_1 against scalar programs of its four flavours; neither gguf nor libgguf writes it."""

from collections.abc import Sequence

import numpy as np
import pytest

from refquant.formats.ggml import q8_0, q8_1
from tests.refquant.formats.ggml.simple import (
    all_halves,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f16,
    f32,
    largest,
    same_values,
    stacked,
)
from tests.refquant.formats.ggml.test_q8_0 import program as program_q8_0

ROWS = corpus(32)
# Blocks whose reciprocal is finite in every flavour: elsewhere codes are not sums' codes.
USUAL = {n: row for n, row in ROWS.items() if not row.any() or np.abs(row).max() > 1e-35}


def program(x: Sequence[float], flavour: str) -> bytes:
    data = program_q8_0(x, flavour)
    total = sum((byte + 128) % 256 - 128 for byte in data[2:])
    return data[:2] + f16(f32(f32(largest(x) / 127) * total)) + data[2:]


@pytest.mark.parametrize("flavour", q8_1.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    rows = ROWS if flavour == "reference" else USUAL
    ours = q8_1.encode(stacked(rows), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), rows)


@pytest.mark.parametrize("flavour", q8_1.FLAVOURS)
def test_tiny_blocks_have_the_codes_of_q8_0_and_a_zero_sum(flavour: str) -> None:
    tiny = stacked({name: row for name, row in ROWS.items() if name not in USUAL})
    ours = q8_1.encode(tiny, flavour=flavour)
    assert np.array_equal(ours[:, 4:], q8_0.encode(tiny, flavour=flavour)[:, 2:]), "codes"
    assert not q8_1.block_sums(ours).any(), "2^-128 * 2^31 is no half"


def test_the_sum_saves_the_second_dot_product() -> None:
    """sum (d_w q_w + m) d q = d_w d sum q_w q + m s: exact in small integers."""
    x = np.arange(-16, 16, dtype=np.float32) * 4
    x[0] = -127  # d = 1
    data = q8_1.encode(x)
    assert q8_1.block_sums(data).tolist() == [x.sum()], "the sum of the decoded block"
    assert np.array_equal(q8_1.decode(data), x), "integers come back"
    shaped = q8_1.block_sums(np.tile(data, (5, 3)))
    assert shaped.shape == (5, 3), "one sum a block"
    with pytest.raises(ValueError, match=r"data must be uint8 \(..., k \* 36\), got uint8 \(35,\)"):
        q8_1.block_sums(data[:35])


def test_every_half_decodes_exactly() -> None:
    data = all_halves("Q8_1", lambda rng: rng.integers(0, 256, (65536, 36)).astype(np.uint8))
    d = data[:, :2].copy().view("<f2").astype(np.float64)
    with np.errstate(invalid="ignore"):
        exact = d * data[:, 4:].view(np.int8)
    assert same_values(q8_1.decode(data), exact), "a product of 11 and 8 bits is exact"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(q8_1, "Q8_1")
    expect_refusals(q8_1, "Q8_1")
    expect_card(q8_1, "Q8_1", [3.3, -0.7, 1.0])
