"""MX, NVFP4 and FP8 beside the quantizers that write them, on a CPU, bit for bit.

Measured: torch 2.13.0, torchao 0.18.0, ModelOpt 0.47.0, compressed-tensors 0.20.0, AutoRound
0.16.1, MLX 0.32.4, microxcaling (its repository, 2024-10; no package). Each test needs one of them;
what is not installed is skipped by name. What no option of ours reproduces is a named entry below.
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats import fp8, mx, nvfp4
from refquant.formats.block_float import BlockFloat
from refquant.formats.mx_formats import MX_FORMATS, MX_PRODUCERS
from refquant.formats.nvfp4_producers import NVFP4_PRODUCERS
from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from tests.refquant.formats.block_oracles import blocks, magnitudes

torch = pytest.importorskip("torch", reason="the quantizers need PyTorch; see `make outsiders`")
pytestmark = pytest.mark.torch
Array = np.ndarray[Any, Any]

NAN_ELEMENTS = "torchao"
"""In a block whose scale is NaN, torchao stores what its casts make of NaN or 0; ours NaN or 0. By
OCP MX 1.0, section 5.1, the block is NaN whatever they are. Minimal input: NaN and 31 zeros."""
WRITES_MINUS_ZERO = "modelopt_mxfp4"
"""ModelOpt computes the sign bit as (2 - sign(x)) // 2, which is 1 for 0: every +0 is stored as -0.
OCP E2M1 has both zeros; IEEE 754-2019, 6.3, keeps the sign. Minimal input: 0.0."""
NAN_BLOCK_HAS_SCALE_0 = {"modelopt_mxfp4": [0, 0], "modelopt_mxfp8": [254, 0]}
"""Blocks with infinity and with NaN: ModelOpt casts a float infinity or NaN to uint8 (MXFP4:
undefined in C, 0 here) or compares NaN with 0 (MXFP8). OCP: NaN has the scale 0xFF."""
RCEIL_OF_NOTHING = ("autoround_rceil", "autoround_rceil_v2")
"""AutoRound rounds by ceil(x) - x + x, NaN where x = log2(0): a / M underflowed. Minimal input:
a block with amax 2^-149. By the rule, the smallest scale."""
ROUNDS_AMAX_TO_INFINITY = ("compressed_tensors", "compressed_tensors_mxfp6")
"""compressed-tensors adds half a step to the bits of amax and takes log2 of that: infinite from
1.75 * 2^127 on (1.9375 for FP6), scale NaN. By its rule, exponent 128 - e_M, a number."""
MXINT8_NEAR_2_TO_128 = "microxcaling"
"""log2 in float32 rounds to 128 from 2^128 - 44 * 2^104 on; microxcaling has NaN for an exponent
beyond 127, ours the clamp of OCP 6.3. Minimal input: the largest float32 in an MXINT8 block."""
FLOOR_BY_LOGARITHM = "microxcaling, round='floor'"
"""microxcaling takes the exponent of an element from a float32 logarithm: the last float32 below a
power of two gets that power's step, and rounds toward zero to the wrong one. Minimal input:
2 - 2^-23 alone in an MXFP4 block: 1.0, though 1.5 is a number of the format. IEEE 754: 1.5."""
ZERO_OVER_ZERO = {"torchao", "modelopt"}
"""A tensor of zeros: g = 0, and 0/0. x86 makes that NaN negative (0xFF); ours is the positive 0x7F
of UE4M3, which has no sign. torchao's elements are then 12, what its cast makes of NaN."""
MLX_DENORMAL_QUOTIENTS = 2.0**-126
"""mlx.core.quantize misreads a / M below this as an exponent near 110 (a block of zeros as 0, which
we have as ``zero_v``). By its rule, code 0 or 1. Minimal input: amax 2^-149."""


def quietly(load: Callable[[], Any]) -> Any:
    """Import a package, or whatever it is, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._dynamo.config.disable = True  # eager: no compiler is needed
        return load()


def package(name: str) -> Any:
    return quietly(lambda: pytest.importorskip(name, reason=f"{name}: see `make outsiders`"))


def nibbles(packed: Any) -> Array:
    """Two codes a byte, the low one first."""
    data = packed.view(torch.uint8).numpy()
    return np.stack([data & 15, data >> 4], -1).reshape(*data.shape[:-1], -1)


def tensor(x: Array) -> Any:
    return torch.from_numpy(x.copy())


def same(got: Array, want: Array, what: str) -> None:
    """Bit for bit, but all NaN are one."""
    both = np.isnan(got.astype(np.float64)) & np.isnan(want.astype(np.float64))
    differ = np.argwhere((got != want) & ~both)
    first = [(tuple(i), got[tuple(i)], want[tuple(i)]) for i in differ[:4]]
    assert not len(differ), f"{what}: {len(differ)} differ, (where, ours, theirs): {first}"


MX_INPUT = blocks(32, seed=21, count=400)
FP4_INPUTS = {
    "wide": blocks(16, seed=22, count=400),
    # multiples of 1/8 up to 3, 7 and 26: scales and elements fall on ties or just beside them
    **{
        str(top): np.random.default_rng(top).integers(-8 * top, 8 * top, (800, 16), endpoint=True)
        .astype(np.float32) / np.float32(8)
        for top in (3, 7, 26)
    },
}  # fmt: skip
every_input = pytest.mark.parametrize("x", FP4_INPUTS.values(), ids=FP4_INPUTS.keys())
AMAX = np.abs(MX_INPUT).max(axis=1)


@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "EVEN", "RCEIL"])
@pytest.mark.parametrize("name", [n for n in MX_FORMATS if n != "mxint8"])
def test_mx_of_torchao(name: str, mode: str) -> None:
    torchao = package("torchao.prototype.mx_formats.mx_tensor")
    dtype = {
        "mxfp8_e4m3": torch.float8_e4m3fn, "mxfp8_e5m2": torch.float8_e5m2,
        "mxfp6_e3m2": "fp6_e3m2", "mxfp6_e2m3": "fp6_e2m3", "mxfp4": torch.float4_e2m1fn_x2,
    }[name]  # fmt: skip
    special = np.zeros((3, 32), np.float32)
    special[0, :2], special[1, 0], special[2, 0] = (np.inf, 3.0), -np.inf, np.nan
    x = np.concatenate([MX_INPUT, special])
    scale, codes = torchao.to_mx(tensor(x), dtype, 32, getattr(torchao.ScaleCalculationMode, mode))
    theirs = nibbles(codes) if name == "mxfp4" else codes.view(torch.uint8).numpy()
    q = mx.quantize_like(x, format=name, producer=f"torchao_{mode.lower()}")
    same(q.scales, scale.view(torch.uint8).numpy(), f"{name} {mode}: scales")
    same(q.codes[:-1], theirs[:-1], f"{name} {mode}: codes")
    if (name, mode) != ("mxfp8_e4m3", "RCEIL"):  # the same NaN by chance
        assert (q.codes[-1] != theirs[-1]).any(), f"{NAN_ELEMENTS} is gone; take it off the table"


@pytest.mark.parametrize("name", MX_FORMATS)
@pytest.mark.parametrize(
    ("theirs", "ours"), [("nearest", "half_away"), ("even", "half_even"), ("floor", "toward_zero")]
)
def test_mx_of_microxcaling(name: str, theirs: str, ours: str) -> None:
    ops = package("mx.mx_ops")
    x = MX_INPUT
    element = {"mxfp8_e4m3": "fp8_e4m3", "mxfp8_e5m2": "fp8_e5m2", "mxfp6_e3m2": "fp6_e3m2",
               "mxfp6_e2m3": "fp6_e2m3", "mxfp4": "fp4", "mxint8": "int8"}[name]  # fmt: skip
    want = ops._quantize_mx(tensor(x), 8, element, axes=[-1], block_size=32, round=theirs).numpy()
    options = asdict(replace(MX_PRODUCERS["microxcaling"], rounding=ours))
    got = mx.dequantize(mx.quantize(x, format=name, **options))
    named = np.zeros(x.shape, bool)
    if name == "mxint8":
        beyond = np.float32(2.0**128 - 44 * 2.0**104) <= AMAX
        assert np.isnan(want[beyond]).all(), f"{MXINT8_NEAR_2_TO_128} is gone; take it off"
        assert not np.isnan(got[beyond]).any(), "ours are numbers"
        named[beyond] = True
    elif theirs == "floor":
        # the elements whose significand is one of the last that a logarithm may round up
        named = (x.view(np.uint32) & 0x7FFFFF) >= 0x7FFFFF - 44
    same(np.where(named, 0, got), np.where(named, 0, want), f"{name}, {theirs}")


def test_the_smallest_witness_of_a_floor_by_logarithm() -> None:
    ops = package("mx.mx_ops")
    x = np.zeros((1, 32), np.float32)
    x[0, 0] = 2 - 2.0**-23
    want = ops._quantize_mx(tensor(x), 8, "fp4", axes=[-1], block_size=32, round="floor").numpy()
    options = asdict(replace(MX_PRODUCERS["microxcaling"], rounding="toward_zero"))
    got = mx.dequantize(mx.quantize(x, format="mxfp4", **options))
    pair = (float(got[0, 0]), float(want[0, 0]))
    assert pair == (1.5, 1.0), f"{FLOOR_BY_LOGARITHM}: {pair}"


def test_mxfp4_of_modelopt() -> None:
    theirs = package("modelopt.torch.quantization.qtensor.mxfp4_tensor").MXFP4QTensor
    stored, scale = theirs.quantize(tensor(MX_INPUT), 32)
    codes = nibbles(stored._quantized_data)
    q = mx.quantize_like(MX_INPUT, format="mxfp4", producer="modelopt_mxfp4")
    same(q.scales, scale.numpy(), "scales")
    zero = MX_INPUT == 0
    assert (codes[zero] == 8).all(), f"{WRITES_MINUS_ZERO} is gone; take it off the table"
    same(np.where(zero, 8, q.codes), codes, "codes")


def test_mxfp8_of_modelopt() -> None:
    theirs = package("modelopt.torch.quantization.qtensor.mxfp8_tensor").MXFP8QTensor
    stored, scale = theirs.quantize(tensor(MX_INPUT))
    q = mx.quantize_like(MX_INPUT, format="mxfp8_e4m3", producer="modelopt_mxfp8")
    same(q.scales, scale.numpy(), "scales")
    same(q.codes, stored._quantized_data.view(torch.uint8).numpy(), "codes")


def test_blocks_with_nan_of_modelopt() -> None:
    x = np.zeros((2, 32), np.float32)
    x[0, 0], x[1, 0] = np.inf, np.nan
    four = package("modelopt.torch.quantization.qtensor.mxfp4_tensor").MXFP4QTensor
    eight = package("modelopt.torch.quantization.qtensor.mxfp8_tensor").MXFP8QTensor
    got = {
        "modelopt_mxfp4": four.quantize(tensor(x), 32)[1].ravel().tolist(),
        "modelopt_mxfp8": eight.quantize(tensor(x))[1].ravel().tolist(),
    }
    assert got == NAN_BLOCK_HAS_SCALE_0, f"another scale than the named one: {got}"
    for producer, name in (("modelopt_mxfp4", "mxfp4"), ("modelopt_mxfp8", "mxfp8_e4m3")):
        ours = mx.quantize_like(x, format=name, producer=producer).scales.ravel().tolist()
        assert ours[1] == 255, f"{producer}: NaN has the scale of NaN"


@pytest.mark.parametrize("name", MX_FORMATS)
@pytest.mark.parametrize("producer", [p for p in MX_PRODUCERS if p.startswith("autoround")])
def test_mx_of_autoround(name: str, producer: str) -> None:
    if producer == "autoround_rceil_v2" and name != "mxfp4":
        name = "mxfp4"  # it exists for FP4 only
    module = package("auto_round.data_type.mxfp")
    function = getattr(module, producer.replace("autoround", "quant_mx"))
    kind = {"mxint8": "mx_int8", "mxfp4": "mx_fp4"}.get(name, name.replace("mxfp", "mx_fp"))
    kind = kind.replace("_e", "e")
    want, shared, _ = function(tensor(MX_INPUT), group_size=32, data_type=kind)
    q = mx.quantize_like(MX_INPUT, format=name, producer=producer)
    top = np.float32(7.25 if producer.endswith("v2") else MX_FORMATS[name].max_value)
    with np.errstate(under="ignore"):
        lost = (AMAX > 0) & (AMAX / top == 0) & (producer in RCEIL_OF_NOTHING)
    scales = shared.numpy().ravel() + 127
    assert np.isnan(scales[lost]).all(), f"{RCEIL_OF_NOTHING} is gone; take it off the table"
    same(q.scales.ravel()[~lost].astype(np.float32), scales[~lost], f"{producer}, {name}: scales")
    same(mx.dequantize(q)[~lost], want.numpy()[~lost], f"{producer}, {name}: reals")


def compressed_tensors_of(x: Array, bits: int, size: int, scale_dtype: Any, *, two: bool) -> Any:
    """Tensor scale, block scales, scaled and rounded elements, and reals of compressed-tensors."""
    quantization = package("compressed_tensors.quantization")
    helpers = package("compressed_tensors.quantization.utils.helpers")
    forward = package("compressed_tensors.quantization.lifecycle.forward_helpers")
    args = quantization.QuantizationArgs(
        num_bits=bits, type="float", symmetric=True, group_size=size, scale_dtype=scale_dtype,
        zp_dtype=scale_dtype, strategy="tensor_group" if two else "group",
    )  # fmt: skip
    t = tensor(x)
    g = helpers.generate_gparam(t.min(), t.max()) if two else None
    s, _ = helpers.calculate_qparams(t.amin(-1), t.amax(-1), args, global_scale=g)
    low, high = helpers.calculate_range(args, "cpu")
    column = s[:, None]
    elements = forward._quantize(t, column, None, low, high, args, global_scale=g)
    return g, s, elements, forward._dequantize(elements, column, global_scale=g).numpy()


@pytest.mark.parametrize(("name", "bits"), [("mxfp4", 4), ("mxfp6_e2m3", 6), ("mxfp8_e4m3", 8)])
def test_mx_of_compressed_tensors(name: str, bits: int) -> None:
    _, s, _, want = compressed_tensors_of(MX_INPUT, bits, 32, torch.uint8, two=False)
    producer = ROUNDS_AMAX_TO_INFINITY[bits == 6]
    q = mx.quantize_like(MX_INPUT, format=name, producer=producer)
    beyond = np.float32((1.9375 if bits == 6 else 1.75) * 2.0**127) <= AMAX
    assert np.isinf(s.numpy()[beyond]).all(), f"{producer}: no longer infinite; take it off"
    scales = np.log2(s.numpy()[~beyond].astype(np.float64)) + 127
    same(q.scales.ravel()[~beyond].astype(np.float64), scales, f"{name}: scales")
    same(mx.dequantize(q)[~beyond], want[~beyond], f"{name}: reals")


@every_input
def test_nvfp4_of_compressed_tensors(x: Array) -> None:
    g, s, elements, want = compressed_tensors_of(x, 4, 16, torch.float8_e4m3fn, two=True)
    pack = package("compressed_tensors.compressors.nvfp4.helpers").pack_fp4_to_uint8
    q = nvfp4.quantize(x, producer="compressed_tensors")
    assert float(g) == float(q.tensor_scale or 0), f"g: {q.tensor_scale}, theirs {g}"
    same(q.scales.ravel(), s.to(torch.float8_e4m3fn).view(torch.uint8).numpy(), "scales")
    same(q.codes, nibbles(pack(elements)), "codes")
    same(nvfp4.dequantize(q), want, "reals")


@every_input
@pytest.mark.parametrize("producer", ["torchao", "torchao_single"])
def test_nvfp4_of_torchao(producer: str, x: Array) -> None:
    module = package("torchao.prototype.mx_formats.nvfp4_tensor")
    t = tensor(x)
    g = module.per_tensor_amax_to_scale(t.abs().max()) if producer == "torchao" else None
    s, codes = module.nvfp4_quantize(t, 16, g)
    q = nvfp4.quantize(x, producer=producer)
    assert g is None or float(g) == float(q.tensor_scale or 0), f"g: {q.tensor_scale}, theirs {g}"
    same(q.scales, s.view(torch.uint8).numpy(), "scales")
    same(q.codes, nibbles(codes), "codes")


def modelopt_nvfp4(x: Array) -> Any:
    theirs = package("modelopt.torch.quantization.qtensor.nvfp4_tensor").NVFP4QTensor
    stored, s, g = theirs.quantize(tensor(x), 16)
    back = stored.dequantize(torch.float32, scale=s, double_scale=g, block_sizes={-1: 16})
    return g, s.view(torch.uint8).numpy(), nibbles(stored._quantized_data), back.numpy()


@every_input
def test_nvfp4_of_modelopt(x: Array) -> None:
    g, scales, codes, back = modelopt_nvfp4(x)
    q = nvfp4.quantize(x, producer="modelopt")
    assert float(g) == float(q.tensor_scale or 0), f"g: {q.tensor_scale}, theirs {g}"
    same(q.scales, scales, "scales")
    same(q.codes, codes, "codes")
    same(nvfp4.dequantize(q), back, "reals")


def test_a_tensor_of_zeros_is_nan_in_torchao_and_modelopt() -> None:
    x = np.zeros((1, 16), np.float32)
    module = package("torchao.prototype.mx_formats.nvfp4_tensor")
    s, _ = module.nvfp4_quantize(tensor(x), 16, module.per_tensor_amax_to_scale(torch.zeros(())))
    _, scales, _, _ = modelopt_nvfp4(x)
    theirs = {"torchao": int(s.view(torch.uint8)), "modelopt": int(scales[0, 0])}
    for producer in ZERO_OVER_ZERO:
        assert theirs[producer] & 0x7F == 0x7F, f"{producer}: no longer NaN, take it off the table"
        q = nvfp4.quantize(x, producer=producer)
        assert q.scales.tolist() == [[0x7F]], f"{producer}: ours is NaN as theirs"


@every_input
@pytest.mark.parametrize("producer", [p for p in NVFP4_PRODUCERS if p.startswith("autoround")])
def test_nvfp4_of_autoround(producer: str, x: Array) -> None:
    module = package("auto_round.data_type.nvfp")
    name = {"autoround": "nv_fp4", "autoround_ue5m3": "nvfp4_v2"}
    function = getattr(module, name.get(producer, "nvfp4_v2_with_global_scale"))
    want, s, _ = function(tensor(x), group_size=16)
    q = nvfp4.quantize(x, producer=producer)
    reals = [float(v) for v in magnitudes(NVFP4_PRODUCERS[producer].scale_format)]
    same(np.array(reals)[q.scales.ravel()], s.numpy().ravel().astype(np.float64), "scales")
    same(nvfp4.dequantize(q), want.numpy(), "reals")


def test_every_code_of_ue5m3_is_that_of_autoround() -> None:
    """NaN is the last code, 0xFF; the bias is 15; and every midpoint rounds to even."""
    module = package("auto_round.data_type.nvfp")
    theirs = module.e5m3_to_float_tensor(torch.arange(256, dtype=torch.uint8)).numpy()
    reals = magnitudes("ue5m3")
    same(np.array([float(v) for v in reals]), theirs[:-1].astype(np.float64), "numbers")
    assert np.isnan(theirs[-1]), "the last code is NaN"
    middles = [float((a + b) / Fraction(2)) for a, b in itertools.pairwise(reals)]
    points = np.array([*middles, 114688.0, 1e9, np.inf, np.nan], np.float32)
    points = np.concatenate([points, np.nextafter(points, np.float32(0))])
    codes = module.float_to_e5m3_frexp(torch.from_numpy(points)).numpy()
    same(encode(points, FLOAT_FORMATS["ue5m3"]), codes, "codes")


@pytest.mark.parametrize(
    ("name", "mode", "bits"), [("mxfp4", "mxfp4", 4), ("mxfp8_e4m3", "mxfp8", 8)]
)
def test_mx_of_mlx(name: str, mode: str, bits: int) -> None:
    mlx = package("mlx.core")
    packed, s = mlx.quantize(mlx.array(MX_INPUT), group_size=32, bits=bits, mode=mode)
    data = np.array(packed).view(np.uint8)
    codes = nibbles(torch.from_numpy(data)) if bits == 4 else data
    q = mx.quantize_like(MX_INPUT, format=name, producer=f"mlx_{mode}")
    theirs = np.array(s)
    with np.errstate(under="ignore"):
        quotient = AMAX / np.float32(MX_FORMATS[name].max_value)
    odd = (quotient < MLX_DENORMAL_QUOTIENTS) & (AMAX > 0)
    assert (q.scales[odd] != theirs[odd]).any(), "MLX_DENORMAL_QUOTIENTS is gone; take it off"
    same(q.scales[~odd], theirs[~odd], f"{name}: scales")
    minus_zero = (q.codes == 8) & (bits == 4)  # an argmin over a table finds +0 first
    same(np.where(minus_zero, 0, q.codes)[~odd], codes[~odd], f"{name}: codes")


def test_fp8_of_modelopt_in_blocks() -> None:
    theirs = package("modelopt.torch.quantization.qtensor.fp8_tensor").FP8QTensor
    x = MX_INPUT[AMAX > 0][:, :24].copy()
    x[:, 0] += np.float32(2.0**-100)  # ModelOpt has 0/0 for a block of zeros
    stored, s = theirs.quantize(tensor(x), block_sizes={-1: 8, -2: 1})
    q = fp8.quantize(x, format="e4m3fn", block_shape=(1, 8), zero_scale=1.0)
    known = s.numpy() > 0
    same(q.scale[known], s.numpy()[known], "scales")
    each = np.repeat(known, 8, axis=1)
    codes = stored._quantized_data.view(torch.uint8).numpy()
    same(q.codes[each], codes[each], "codes")
    assert (codes[~each] & 0x7F == 0x7F).all(), "a block of zeros is NaN in ModelOpt"


def test_what_is_read_back_is_what_torchao_reads() -> None:
    module = package("torchao.prototype.mx_formats.mx_tensor")
    q = mx.quantize_like(MX_INPUT, format="mxfp8_e4m3", producer="torchao_floor")
    data = torch.from_numpy(np.asarray(q.codes, np.uint8)).view(torch.float8_e4m3fn)
    scale = torch.from_numpy(q.scales)
    want = module.to_dtype(data, scale, torch.float8_e4m3fn, 32, torch.float32).numpy()
    same(mx.dequantize(BlockFloat("mxfp8_e4m3", q.codes, q.scales, -1)), want, "reals")
