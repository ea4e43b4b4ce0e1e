"""Weights become codes of a table, block for block what the format's own quantizer makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.formats import fp8, mx, nf4, nvfp4
from refquant.model.coded import Coded, coded_reals, from_tensors, tensors
from refquant.model.encode_tables import encode_weight
from refquant.model.table_formats import TABLE_FORMATS
from refquant.numerics.blocks import expand, parameter_shape

RNG = np.random.default_rng(4)
W = (RNG.standard_normal((6, 128)) * np.exp2(RNG.integers(-9, 9, (6, 1)))).astype(np.float32)
W[1, :64] = 0.0


def test_whole_blocks_are_what_the_formats_make() -> None:
    q = encode_weight(W, format="nf4", block_shape=(1, 64))
    theirs = nf4.dequantize(nf4.quantize(W, block_size=64, flavour="bnb_torch"))
    assert coded_reals(q).tobytes() == theirs.tobytes(), "nf4"
    for format in ("mxfp4", "mxfp8_e4m3"):
        q = encode_weight(W, format=format, block_shape=(1, 32))
        theirs = mx.dequantize(mx.quantize_like(W, format=format, producer="ocp"))
        assert coded_reals(q).tobytes() == theirs.tobytes(), format
    q = encode_weight(W, format="nvfp4", block_shape=(1, 16))
    theirs = nvfp4.dequantize(nvfp4.quantize(W, producer="modelopt"))
    assert coded_reals(q).tobytes() == theirs.tobytes(), "nvfp4"
    for block in ((1, 128), (6, 128), None, (2, 32)):
        q = encode_weight(W, format="fp8_e4m3", block_shape=block)
        whole = W.shape if block is None else block
        theirs = fp8.dequantize(fp8.quantize(W, format="e4m3fn", block_shape=whole))
        assert coded_reals(q).tobytes() == theirs.tobytes(), f"fp8_e4m3 {block}"


@pytest.mark.parametrize(("format", "size"), [("nf4", 64), ("mxfp4", 32), ("nvfp4", 16)])
def test_a_column_s_blocks_are_a_row_s_turned(format: str, size: int) -> None:
    rows = encode_weight(W, format=format, block_shape=(1, size))
    columns = encode_weight(np.ascontiguousarray(W.T), format=format, block_shape=(size, 1))
    assert np.array_equal(columns.codes, rows.codes.T), "the same codes"
    assert np.array_equal(columns.scale, rows.scale.T), "the same scales"


@given(
    st.sampled_from(sorted(TABLE_FORMATS)), st.integers(1, 7), st.integers(1, 40),
    st.integers(1, 16), st.integers(0, 999),
)  # fmt: skip
def test_a_short_block_is_a_block_of_its_own(
    format: str, rows: int, columns: int, size: int, seed: int
) -> None:
    """Zeros that fill up a block change nothing; whatever the block, an element finds its scale."""
    w = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    q = encode_weight(w, format=format, block_shape=(1, size))
    assert q.scale.shape == parameter_shape(w.shape, (1, size)), "one a block"
    alone = encode_weight(w[-1:, -1 - (columns - 1) % size :], format=format,
                          block_shape=(1, size))  # fmt: skip
    if format != "nvfp4":  # whose tensor scale is the tensor's
        assert np.array_equal(q.codes[-1:, -1 - (columns - 1) % size :], alone.codes), "alone"
    error = np.abs(coded_reals(q) - w)
    widest = {"nf4": 0.16, "mxfp4": 1 / 4, "nvfp4": 0.4, "fp8_e4m3": 1 / 16,
              "mxfp8_e4m3": 1 / 8}[format]  # fmt: skip
    amax = np.maximum.reduceat(np.abs(w), np.arange(0, columns, size), axis=1)
    # Half the widest step, relative to the block's largest weight: 0.304 between NF4's outer
    # marks, E2M1's 4 to 6 with clipping from 8 (OCP floors the scale), E4M3's 1/8 within a
    # binade, and with clipping from 512 to 448.
    assert (error <= widest * expand(amax, w.shape, (1, size)) + 2.0**-30).all(), f"{error.max()}"


def test_kernels_of_a_convolution_are_boxes() -> None:
    w = RNG.standard_normal((4, 7, 3, 3)).astype(np.float32)
    q = encode_weight(w, format="mxfp4", block_shape=(1, 3, 3, 3))
    assert q.scale.shape == (4, 3, 1, 1), "27 weights a block, the last of 9"
    first = mx.quantize_like(
        np.pad(w[2, :3].reshape(1, 27), ((0, 0), (0, 5))), format="mxfp4", producer="ocp"
    )
    assert np.array_equal(q.codes[2, :3].reshape(27), np.asarray(first.codes)[0, :27]), "row-major"
    assert q.scale[2, 0, 0, 0] == first.scales[0, 0], "its scale"


@pytest.mark.parametrize("format", sorted(TABLE_FORMATS))
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-40, 2.0**-126, 1e-30, 1e30, 3e38])
def test_sizes_at_the_ends_of_float32_have_finite_codes(format: str, size: float) -> None:
    w = (np.linspace(-1, 1, 32).reshape(2, 16) * size).astype(np.float32)
    reals = coded_reals(encode_weight(w, format=format, block_shape=(1, 16)))
    assert np.isfinite(reals).all(), f"{reals}"
    most = 8 / 6 * float(np.abs(w).max()) + 2.0**-9
    assert (np.abs(reals.astype(np.float64)) <= most).all(), "of the size of the weights"


@pytest.mark.parametrize("format", sorted(TABLE_FORMATS))
def test_what_is_no_weight_is_refused(format: str) -> None:
    for bad in (np.array([[np.nan]], "f"), np.array([[np.inf]], "f"), np.zeros((0, 3), "f")):
        with pytest.raises(
            ValueError, match=r"weight 'conv\.w' must be float32, finite and not em"
        ):
            encode_weight(bad, format=format, block_shape=(1, 1), name="conv.w")
    with pytest.raises(ValueError, match="must be float32"):
        encode_weight(np.ones((2, 2)), format=format, block_shape=(1, 1))  # type: ignore[arg-type]


def test_blocks_are_no_longer_than_the_format_s() -> None:
    for format, block in (("mxfp4", (1, 33)), ("nvfp4", (2, 9)), ("mxfp4", None)):
        with pytest.raises(ValueError, match=f"blocks of {format} hold at most"):
            encode_weight(W, format=format, block_shape=block)
    with pytest.raises(ValueError, match="format must be one of nf4, fp8_e4m3, mxfp4, mxfp8"):
        encode_weight(W, format="int4", block_shape=(1, 32))


@pytest.mark.parametrize("format", sorted(TABLE_FORMATS))
def test_a_checkpoint_holds_all_of_it(format: str) -> None:
    q = encode_weight(W, format=format, block_shape=(1, 16))
    again: Coded = from_tensors(
        tensors(q), dtype=q.dtype, block_shape=q.block_shape, format=q.format
    )
    assert coded_reals(again).tobytes() == coded_reals(q).tobytes(), "the same reals"
