"""The codebook formats beside bitsandbytes on a CPU (measured: 0.50.2, torch 2.13.0).

Every byte is compared. What differs by kind of CPU or by a bug of theirs is a named entry.
"""

import math
from typing import Any

import numpy as np
import pytest

from refquant.formats import bnb_fp4, double_quant, dynamic_map, llm_int8, nf4
from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.af4 import AF4
from refquant.formats.codebook import midpoints
from tests.refquant.formats.codebook_inputs import (
    blocks_around,
    many,
    special_blocks,
    unusual_blocks,
)

torch = pytest.importorskip("torch", reason="bitsandbytes needs PyTorch; see `make outsiders`")
bnb = pytest.importorskip("bitsandbytes", reason="the outsider itself; see `make outsiders`")
F = bnb.functional

pytestmark = pytest.mark.torch

Array = np.ndarray[Any, Any]

MEAN_OF_ANOTHER_ORDER = 2.0**-18
"""torch.mean adds float32 pairwise, in an order that depends on the CPU's vectors. By Higham,
"Accuracy and Stability", eq. (4.6), the error of a pairwise sum of n numbers of one sign is at most
log2(n) u / (1 - log2(n) u), u = 2^-24; a sum of 2^12 absmax stays below 13 * 2^-24 < 2^-18."""

WRONG_CONSTANT = (6.200124e-05, 1 / 127**2)
"""Their CPU path multiplies by the first number where the second is meant (6.200012e-05 on GPUs):
each product of LLM.int8() is 18 millionths too large. By the paper (arXiv 2208.07339, section 3),
the second is right. Minimal input: accumulator 16129, both absmax 1: 1.00001812, not 1.0."""

ZERO_BECOMES_131 = 131
"""quantize_blockwise rounds x / absmax to one of 65,536 grid points first, and 0 is not a point of
that grid: a zero in a block becomes the code of 2.1e-5. By its own map (code 127 is 0.0), and by
the CUDA kernel, zero is 127. Minimal input: [1.0, 0.0]."""


def theirs_4bit(x: Array, kind: str, block_size: int) -> tuple[Array, Array]:
    packed, state = F.quantize_4bit(torch.from_numpy(x), blocksize=block_size, quant_type=kind)
    return packed.numpy().reshape(-1), state.absmax.numpy()


FORMATS: dict[str, tuple[Any, Array]] = {
    "nf4": (nf4, nf4.NF4),
    "fp4": (bnb_fp4, np.sort(bnb_fp4.BNB_FP4)),
}


def same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def bits_but_nan(a: Array) -> Array:
    return np.where(np.isnan(a), np.float32(np.nan), a).astype(np.float32)


# ---- tables -----------------------------------------------------------------------------------


def test_tables_are_theirs() -> None:
    for name, table in {"nf4": nf4.NF4, "fp4": bnb_fp4.BNB_FP4, "af4": AF4}.items():
        their = F.get_4bit_type(name, device="cpu").numpy()
        assert (their == table).all(), f"{name} differs: {their} {table}"


@pytest.mark.parametrize(
    ("signed", "exponent_bits", "bits"),
    [(True, e, 8) for e in range(1, 8)]
    + [(False, 7, 8), (True, 3, 4), (True, 4, 7), (False, 3, 4)],
)
def test_dynamic_maps_are_theirs(signed: bool, exponent_bits: int, bits: int) -> None:
    their = F.create_dynamic_map(signed, exponent_bits, bits).numpy()
    ours = dynamic_map.dynamic_map(signed=signed, max_exponent_bits=exponent_bits, num_bits=bits)
    filled = np.sort(np.concatenate([ours, np.zeros(256 - ours.size, np.float32)]))
    assert same(filled, their), f"{signed} {exponent_bits} {bits}"


def test_the_generator_of_nf4_is_theirs() -> None:
    pytest.importorskip("scipy", reason="create_normal_map needs it")
    for offset in (nf4.OFFSET, 0.9, 0.99, 0.75, 0.6, 0.999, 0.95):
        their = F.create_normal_map(offset).numpy()
        ours = nf4.normal_map(offset)
        assert same(their[their != 0], ours[ours != 0]), f"offset {offset}"


# ---- 4 bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("block_size", [32, 64])
def test_4bit_bytes_are_theirs(kind: str, block_size: int) -> None:
    module, table = FORMATS[kind]
    cases = {"midpoints": blocks_around(midpoints(table), block_size=block_size)}
    cases |= special_blocks(block_size=block_size) | unusual_blocks(block_size=block_size)
    cases["normal"] = many(1, count=64 * block_size)
    for name, x in cases.items():
        for tail in (0, 1, 2, block_size - 1):
            values = np.concatenate([x, x[:tail]])
            packed, absmax = theirs_4bit(values, kind, block_size)
            ours = module.quantize(values, block_size=block_size, flavour="bnb_torch")
            assert same(module.pack(ours.codes), packed), f"{kind}, {name}, tail {tail}: codes"
            assert same(bits_but_nan(ours.absmax), bits_but_nan(absmax)), f"{name}, {tail}: absmax"


@pytest.mark.parametrize("kind", FORMATS)
def test_4bit_values_are_theirs(kind: str) -> None:
    module, table = FORMATS[kind]
    x = blocks_around(midpoints(table), block_size=64)
    packed, state = F.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type=kind)
    their = F.dequantize_4bit(packed, state).numpy()
    ours = module.dequantize(module.quantize(x, block_size=64, flavour="bnb_torch"))
    # Equal as numbers: code 8 of FP4 is +0 in one of their paths and -0 in another.
    assert (ours == their).all(), f"{kind}: {np.flatnonzero(ours != their)[:5]}"


def test_nothing_is_quantized_to_nothing() -> None:
    for kind, (module, _) in FORMATS.items():
        packed, absmax = theirs_4bit(np.zeros(0, np.float32), kind, 64)
        ours = module.quantize(np.zeros(0, np.float32), block_size=64, flavour="bnb_torch")
        assert packed.size == absmax.size == ours.codes.size == ours.absmax.size == 0, kind


# ---- 8 bits -----------------------------------------------------------------------------------


def theirs_8bit(x: Array, block_size: int) -> tuple[Array, Array]:
    code = torch.from_numpy(dynamic_map.DYNAMIC_SIGNED.copy())
    out, state = F.quantize_blockwise(torch.from_numpy(x), code=code, blocksize=block_size)
    return out.numpy(), state.absmax.numpy()


@pytest.mark.parametrize("block_size", [64, 256])
def test_8bit_bytes_are_theirs(block_size: int) -> None:
    table = dynamic_map.DYNAMIC_SIGNED
    grid = ((np.arange(65536) - 0.5) / 65535 * 2 - 1)[::7].astype(np.float32)
    cases = {
        "midpoints": blocks_around(midpoints(table), block_size=block_size),
        "grid": blocks_around(grid, block_size=block_size),
        "normal": many(2, count=64 * block_size),
    }
    cases |= special_blocks(block_size=block_size) | unusual_blocks(block_size=block_size)
    for name, x in cases.items():
        for tail in (0, 1, block_size - 1):
            values = np.concatenate([x, x[:tail]])
            codes, absmax = theirs_8bit(values, block_size)
            ours = dynamic_map.quantize(
                values, values=table, block_size=block_size, flavour="bnb_cpu"
            )
            differ = np.flatnonzero(ours.codes != codes)[:5]
            assert same(ours.codes, codes), f"{name}, {tail}: {values[differ]}, {codes[differ]}"
            assert same(ours.absmax, absmax), f"{name}, tail {tail}: absmax"


def test_the_generic_kernel_has_ties_low() -> None:
    """The backend ``default`` (PyTorch operations) is what runs where their library is missing."""
    table = dynamic_map.DYNAMIC_SIGNED
    x = blocks_around(midpoints(table), block_size=256)[:-100]
    ours = dynamic_map.quantize(x, values=table, block_size=256, flavour="bnb_torch")
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
    kernel = torch.ops.bitsandbytes.quantize_blockwise.default.redispatch
    codes, absmax = kernel(keys, torch.from_numpy(x), torch.from_numpy(table.copy()), 256)
    assert same(ours.codes, codes.numpy()), "codes"
    assert same(ours.absmax, absmax.numpy()), "absmax"


def test_8bit_values_are_theirs() -> None:
    table = torch.from_numpy(dynamic_map.DYNAMIC_SIGNED.copy())
    codes = np.tile(np.arange(256, dtype=np.uint8), 4)
    absmax = np.array([1, 0.37, 1e30, 1e-40], np.float32)
    their = F.dequantize_blockwise(
        torch.from_numpy(codes), absmax=torch.from_numpy(absmax), code=table, blocksize=256
    )
    ours = dynamic_map.dequantize(Blockwise(codes, absmax, 256), values=dynamic_map.DYNAMIC_SIGNED)
    assert same(ours, their.numpy()), "every code, four absmax"


def test_double_quantization_is_theirs() -> None:
    x = many(3, count=64 * 4096) * np.repeat(np.exp(many(4, count=4096)), 64)
    _, state = F.quantize_4bit(
        torch.from_numpy(x.astype(np.float32)), quant_type="nf4", compress_statistics=True
    )
    absmax = nf4.quantize(x.astype(np.float32), block_size=64, flavour="bnb_torch").absmax
    ours = double_quant.quantize(absmax, flavour="bnb_cpu", offset=float(state.offset))
    assert same(ours.inner.codes, state.absmax.numpy()), "codes of the absmax"
    assert same(ours.inner.absmax, state.state2.absmax.numpy()), "absmax of the absmax"
    their = F.dequantize_blockwise(state.absmax, state.state2).add(state.offset).numpy()
    assert same(double_quant.dequantize(ours), their), "the absmax that come back"
    mean = float(double_quant.quantize(absmax, flavour="bnb_cpu").offset)
    error = abs(float(state.offset) - mean) / mean
    assert error <= MEAN_OF_ANOTHER_ORDER, f"the mean: {error}"


# ---- LLM.int8() -------------------------------------------------------------------------------


def half(*rows: list[float]) -> Array:
    return np.array(rows, np.float16)


LLM_CASES = {
    "ties": half([127, 0.5, 1.5, 2.5, -0.5, -126.5], [1, -1, 0.25, 1e-4, 6e-8, 0]),
    "outliers": half([1, 2, 7, -6, 3, 0], [5.9, 0.1, 0.2, 0.3, 6, 1], [0, 0, 0, 0, 0, 0]),
    "one row": half([6.5, 1, -3, 5.996]),
    "special": half([0, 0, 0], [math.inf, 1, 2], [math.nan, 1, 2], [65504, 1, -65504]),
    "all outliers": half([8, 9], [-7, 10]),
}


@pytest.mark.parametrize("name", LLM_CASES)
@pytest.mark.parametrize("threshold", [0.0, 6.0])
def test_rows_of_int8_are_theirs(name: str, threshold: float) -> None:
    x = LLM_CASES[name]
    codes, absmax, columns = F.int8_vectorwise_quant(torch.from_numpy(x.copy()), threshold)
    ours = llm_int8.quantize(x, threshold=threshold, flavour="bnb_torch")
    assert same(ours.codes, codes.numpy()), f"{ours.codes} {codes}"
    assert same(bits_but_nan(ours.absmax), bits_but_nan(absmax.numpy())), "absmax"
    their = [] if columns is None else columns.tolist()
    assert ours.outlier_columns.tolist() == their, "outlier columns"
    back = F.int8_vectorwise_dequant(codes, absmax).numpy()
    assert same(bits_but_nan(llm_int8.dequantize(ours)), bits_but_nan(back)), "values"


def test_rows_of_int8_are_theirs_on_every_half() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = every[np.isfinite(every)].reshape(-1, 31 * 2)
    finite = np.abs(every[np.isfinite(every)])[:, None]  # every absmax, and near its ties
    x = np.concatenate([x, (finite * np.linspace(0, 1, 62)).astype(np.float16)])
    x[63488 // 62 :, 0] = finite[:, 0]
    codes, absmax, _ = F.int8_vectorwise_quant(torch.from_numpy(x.copy()))
    ours = llm_int8.quantize(x, threshold=0.0, flavour="bnb_torch")
    assert same(ours.codes, codes.numpy()), "codes differ"
    assert same(ours.absmax, absmax.numpy()), "absmax differ"


def test_the_accumulator_is_theirs_and_their_constant_is_not_ours() -> None:
    rng = np.random.default_rng(5)
    a = rng.integers(-127, 128, (5, 1040)).astype(np.int8)
    b = rng.integers(-127, 128, (3, 1040)).astype(np.int8)
    their = F.int8_linear_matmul(torch.from_numpy(a), torch.from_numpy(b))
    exact = a.astype(np.int64) @ b.T.astype(np.int64)
    assert (their.numpy() == exact).all(), "up to K = 1040 even float32 sums are exact"
    one = torch.ones(1)
    wrong, right = WRONG_CONSTANT
    made = torch.ops.bitsandbytes.int8_mm_dequant(
        torch.tensor([[16129]], dtype=torch.int32), one, one, dtype=torch.float32
    )
    assert float(made) == float(np.float32(16129) * np.float32(wrong)), f"{float(made)}: repaired?"
    assert abs(wrong / right - 1 - 18e-6) < 1e-6, "18 millionths"


def test_zero_becomes_131() -> None:
    codes, _ = theirs_8bit(np.array([1.0, 0.0], np.float32), 256)
    assert codes.tolist() == [255, ZERO_BECOMES_131], f"{codes.tolist()}: repaired?"


def test_a_product_is_theirs_but_for_the_constant() -> None:
    x = np.concatenate([LLM_CASES["outliers"]] * 2)
    w = many(6, count=4 * 6).reshape(4, 6).astype(np.float16)
    weight = llm_int8.quantize(w, threshold=0.0, flavour="bnb_torch")
    codes, absmax, columns = F.int8_vectorwise_quant(torch.from_numpy(x.copy()), 6.0)
    their, _ = torch.ops.bitsandbytes.int8_mixed_scaled_mm(
        torch.from_numpy(x),
        codes,
        torch.from_numpy(weight.codes),
        absmax,
        torch.from_numpy(weight.absmax),
        columns,
    )
    ours = llm_int8.matmul(x, weight, threshold=6.0, flavour="bnb_torch")
    # They round to float16 after the int8 part, after each dequantized weight, and at the end.
    difference = np.abs(ours.astype(np.float64) - their.numpy().astype(np.float64))
    inner = np.abs(ours).astype(np.float64) + np.abs(x.astype(np.float64)) @ np.abs(w.T)
    assert (difference <= 3 * 2.0**-11 * inner + 2.0**-24).all(), f"{difference.max()}"
