"""The packers of PyTorch tools write the bytes that ours do, and read ours back.

Where a file of a package needs PyTorch only, it is loaded by its path: importing the package would
need everything else that it can be used with.
"""

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from refquant.formats.containers import (
    awq,
    bitnet,
    bitsandbytes,
    compressed_tensors,
    convert,
    gptq,
    hqq,
    mlx,
    quanto,
)

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # their warnings, not ours
torch: Any = pytest.importorskip("torch", reason="these packages compute with PyTorch")

RNG = np.random.default_rng(7)

ONE_WORD_OF_ZEROS = "4-bit zero points of up to 8 out_features, two groups or more"
"""compressed-tensors 0.20.0 cannot read them from a file (RuntimeError about a stride): the words,
transposed, are (groups, 1), ``contiguous()`` leaves a last axis of size 1 its stride, and the view
as bytes refuses that. The words are those that its own packer writes. Minimal input: the zero
points [[1, 2]], packed along axis 0."""


def file_of(package: str, path: str) -> ModuleType:
    """The module in a file of an installed package, without the package."""
    top = package.split(".")[0]
    found = importlib.util.find_spec(top)
    places = [Path(p) for p in found.submodule_search_locations or ()] if found else []
    files = [p / path for p in places if (p / path).exists()]
    if not files:
        pytest.skip(f"{package} is not installed: no {path}")
    spec = importlib.util.spec_from_file_location("outsider_" + Path(path).stem, files[0])
    assert spec is not None, f"{files[0]} is no Python file"
    assert spec.loader is not None, f"{files[0]} is no Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecation, at import
        return pytest.importorskip(name, reason=f"{name} is asked", exc_type=ImportError)


def codes(shape: tuple[int, ...], num_bits: int, *, low: int = 0) -> np.ndarray[Any, Any]:
    return RNG.integers(low, low + (1 << num_bits), shape)


def same(theirs: Any, ours: np.ndarray[Any, Any], what: str) -> None:
    array = np.asarray(theirs)
    assert array.dtype == ours.dtype, f"{what}: theirs is {array.dtype}, ours {ours.dtype}"
    assert array.shape == ours.shape, f"{what}: theirs is {array.shape}, ours {ours.shape}"
    assert array.tobytes() == ours.tobytes(), f"{what}: theirs is {array}, ours {ours}"


@pytest.mark.parametrize("num_bits", range(1, 9))
@pytest.mark.parametrize("axis", [-1, -2])
def test_compressed_tensors_is_dense(num_bits: int, axis: int) -> None:
    theirs = file_of("compressed_tensors", "compressors/pack_quantized/helpers.py")
    for shape in ((3, 1), (5, 20), (2, 33), (4, 128), (2, 3, 45)):
        q = codes(shape, num_bits, low=-(1 << num_bits - 1)).astype(np.int8)
        ours = compressed_tensors.pack(q, num_bits=num_bits, layout="dense", axis=axis)
        packed = theirs.pack_to_int32(torch.from_numpy(q), num_bits, packed_dim=axis + 2)
        same(packed.contiguous(), ours, f"{num_bits} bits, {shape}")
        if len(shape) == 2:
            if num_bits == 4 and axis == -2 and packed.shape[0] == 1 < packed.shape[1]:
                continue  # ONE_WORD_OF_ZEROS
            back = theirs.unpack_from_int32(packed, num_bits, torch.Size(shape), axis + 2)
            same(back.contiguous(), q, f"{num_bits} bits, {shape}, unpacked")


def test_one_word_of_zeros_still_fails() -> None:
    theirs = file_of("compressed_tensors", "compressors/pack_quantized/helpers.py")
    zeros = np.array([[1, 2]], np.int8)
    packed = compressed_tensors.pack(zeros, num_bits=4, layout="dense", axis=-2)
    with pytest.raises(RuntimeError, match="stride"):
        theirs.unpack_from_int32(torch.tensor(packed.tolist()).int(), 4, torch.Size((1, 2)), 0)
    back = compressed_tensors.unpack(packed, num_bits=4, layout="dense", shape=(1, 2), axis=-2)
    assert back.tolist() == [[1, 2]], f"{ONE_WORD_OF_ZEROS}: {back}"


def test_torchao_pairs_are_those_of_nvfp4() -> None:
    theirs = imported("torchao.prototype.mx_formats.kernels")
    q = codes((6, 32), 4).astype(np.uint8)
    packed = theirs.pack_uint4(torch.from_numpy(q))
    same(packed, compressed_tensors.pack_float(q, num_bits=4), "torchao")
    same(theirs.unpack_uint4(packed), q, "torchao, unpacked")


def test_compressed_tensors_fp4_pairs() -> None:
    theirs = imported("compressed_tensors.compressors.nvfp4.helpers")
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    q = codes((4, 32), 4)
    packed = theirs.pack_fp4_to_uint8(torch.from_numpy(values[q].astype(np.float32)))
    same(packed, compressed_tensors.pack_float(q, num_bits=4), "nvfp4")


def test_compressed_tensors_fp6_fours() -> None:
    theirs = file_of("compressed_tensors", "compressors/mxfp6/helpers.py")
    q = codes((4, 32), 6)
    values = theirs.kE2M3ToFloat.numpy()[q & 31] * np.where(q >= 32, -1, 1)
    packed = theirs.pack_fp6_to_uint8(torch.from_numpy(values.astype(np.float32)))
    same(packed, compressed_tensors.pack_float(q, num_bits=6), "mxfp6")


@pytest.mark.parametrize("num_bits", [8, 4, 3, 2, 1])
def test_hqq(num_bits: int) -> None:
    theirs = file_of("hqq", "core/bitpack.py").BitPack
    name = f"{num_bits}bit_" + ("32" if num_bits == 3 else "u8")
    for rows in (8, 40) + ((7, 33) if num_bits == 3 else ()):
        q = codes((rows, 5), num_bits).astype(np.uint8)
        packed = getattr(theirs, f"pack_{name}")(torch.from_numpy(q))
        same(packed, hqq.pack(q, num_bits=num_bits), f"{rows} rows")
        back = getattr(theirs, f"unpack_{name}")(packed)[:rows]
        same(back.contiguous(), q, f"{rows} rows, unpacked")


@pytest.mark.parametrize("num_bits", [2, 4])
def test_quanto(num_bits: int) -> None:
    theirs = file_of("optimum", "quanto/tensor/packed.py")
    for shape in ((1,), (5,), (8, 3), (9, 3), (7, 2, 2), (3, 4)):
        q = codes(shape, num_bits).astype(np.uint8)
        same(
            theirs.pack_weights(torch.from_numpy(q), num_bits),
            quanto.pack(q, num_bits=num_bits),
            f"{shape}",
        )


def test_bitnet_of_transformers_is_quanto_plus_one() -> None:
    theirs = imported("transformers.integrations.bitnet")
    for shape in ((4, 3), (9, 2), (16, 5)):
        q = RNG.integers(-1, 2, shape).astype(np.int8)
        packed = theirs.pack_weights(torch.from_numpy(q.copy()))  # it adds 1 to its argument
        same(packed, bitnet.pack(q, layout="hf"), f"{shape}")


@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
@pytest.mark.parametrize("count", [64, 65, 1, 127])
def test_bitsandbytes(quant_type: str, count: int) -> None:
    functional = imported("bitsandbytes.functional")
    table = functional.get_4bit_type(quant_type, device="cpu").numpy()
    q = codes((count,), 4).astype(np.uint8)
    q[q == 8] = 0 if quant_type == "fp4" else 8  # FP4 has two zeros and writes one
    q[0] = int(np.argmax(table))  # the largest value, so that absmax is 1
    if count > 64:
        q[64] = q[0]
    values = torch.from_numpy(table[q].astype(np.float32))
    packed, state = functional.quantize_4bit(values, blocksize=64, quant_type=quant_type)
    same(packed, bitsandbytes.pack(q, quant_type=quant_type), f"{quant_type}, {count}")
    ours = torch.from_numpy(bitsandbytes.pack(q, quant_type=quant_type))
    back = functional.dequantize_4bit(ours, state, blocksize=64, quant_type=quant_type)
    assert back.reshape(-1).tolist() == values.tolist(), f"{quant_type}, {count}: {back}"


@pytest.mark.parametrize("num_bits", mlx.BITS)
def test_mlx_reads_our_words(num_bits: int) -> None:
    mx = imported("mlx.core")
    q = codes((4, 128), num_bits)
    ones = mx.ones((4, 2), dtype=mx.float32)
    packed = mx.array(mlx.pack(q, num_bits=num_bits))
    back = mx.dequantize(packed, ones, mx.zeros((4, 2)), group_size=64, bits=num_bits)
    assert np.array(back).astype(int).tolist() == q.tolist(), f"{num_bits} bits"


@pytest.mark.parametrize("num_bits", gptq.LAYOUTS["planar"])
def test_gptqmodel_planar(num_bits: int) -> None:
    theirs = file_of("gptqmodel", "utils/planar_packing.py")
    q = codes((3, 64), num_bits)
    rows = theirs.planar_pack_rows(torch.from_numpy(q.T.copy()), num_bits)
    same(rows, gptq.pack(q, num_bits=num_bits, layout="planar"), f"{num_bits} bits, qweight")
    z = codes((32, 2), num_bits)  # (N, groups)
    columns = theirs.planar_pack_cols(torch.from_numpy(z.T.copy()), num_bits)
    ours = gptq.pack_zeros(z, num_bits=num_bits, rule="v2", layout="planar")
    same(columns, ours, f"{num_bits} bits, qzeros")


def awq_layer(layer: Any, q: np.ndarray[Any, Any], z: np.ndarray[Any, Any], *, across: bool) -> Any:
    """An AWQ layer of their class with scale 1: the weights are then codes minus zeros."""
    n, k = q.shape
    group = k // z.shape[1]
    linear = torch.nn.Linear(k, n, bias=False)
    weight = (q - np.repeat(z, group, axis=1)).astype(np.float32)
    linear.weight.data = torch.from_numpy(weight)
    zeros = torch.from_numpy((z.T if across else z).astype(np.float32).copy())
    return layer.from_linear(linear, 4, group, scales=torch.ones_like(zeros), zeros=zeros)


def test_autoawq_gemm() -> None:
    theirs = imported("awq.modules.linear.gemm")
    q, z = codes((32, 128), 4), codes((32, 2), 4)
    made = awq_layer(theirs.WQLinear_GEMM, q, z, across=True)
    same(made.qweight, awq.pack(q, layout="gemm"), "qweight")
    same(made.qzeros, awq.pack_zeros(z, layout="gemm", group_size=64), "qzeros")


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_autoawq_gemv(group_size: int) -> None:
    theirs = imported("awq.modules.linear.gemv")
    q, z = codes((16, 640), 4), codes((16, 640 // group_size), 4)
    made = awq_layer(theirs.WQLinear_GEMV, q, z, across=False)
    same(made.qweight, awq.pack(q, layout="gemv"), "qweight")
    same(made.qzeros, awq.pack_zeros(z, layout="gemv", group_size=group_size), "qzeros")


def test_autoawq_gemv_fast() -> None:
    theirs = imported("awq.modules.linear.gemv_fast")
    q = codes((8, 192), 4)
    packed = theirs.pack_intweight(torch.from_numpy(q), interleave=4, kstride=64)
    same(packed, awq.pack(q, layout="gemv_fast"), "qweight")


def test_autoawq_converts_to_gptq_by_words() -> None:
    """A zero point of 0 borrows from its neighbour: theirs is eq. (2) of ``convert``."""
    theirs = file_of("awq", "utils/packing_utils.py")
    q, z = codes((32, 64), 4), codes((32, 1), 4)
    z[::8] = 0
    weight, zeros = awq.pack(q, layout="gemm"), awq.pack_zeros(z, layout="gemm", group_size=64)
    got = theirs.unpack_reorder_pack(torch.from_numpy(weight), torch.from_numpy(zeros), 4)
    ours, v2 = convert.awq_to_gptq(weight, zeros, layout="gemm", group_size=64, rule="v2")
    same(got[0], ours, "qweight")
    by_words = convert.gptq_zeros_by_words(v2, num_bits=4, target="v1")
    same(got[1], by_words, "qzeros")
    exact = gptq.pack_zeros(z, num_bits=4, rule="v1_wrap")
    assert got[1].numpy().tobytes() != exact.tobytes(), "it no longer borrows: strike this out"
