"""One multiply-add of each instruction set: the instruction, and what a vector of sums means."""

import pytest
from llvmlite import ir

from refquant_runtime.kernels.arithmetic import ARITHMETIC, STEP, Arithmetic

NAMES = {
    ("int8", "avx512vnni"): "vpdpbusd.512",
    ("int8", "avxvnni"): "vpdpbusd.256",
    ("int8", "avx2"): "avx2.pmadd.wd",
    ("f32", "avx512vnni"): "fmul <16 x float>",
    ("f32", "avx2"): "fmul <8 x float>",
}


def one_step(arithmetic: Arithmetic) -> tuple[str, ir.Type]:
    """IR of one multiply-add of four bytes with one vector of weights, and the type it stores."""
    module = ir.Module("step")
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(arithmetic.accumulator, [byte, byte, word, arithmetic.accumulator])
    function = ir.Function(module, kind, "step")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, w, flip, sums = function.args
    flips = arithmetic.flips(builder, flip)
    activations = arithmetic.broadcast(builder, a, flips)
    result = arithmetic.multiply_add(builder, sums, activations, arithmetic.weights(builder, w))
    stored = arithmetic.finish(builder, result).type
    builder.ret(result)
    return str(module), stored


@pytest.mark.parametrize("key", ARITHMETIC, ids="-".join)
def test_each_set_uses_its_instruction_and_stores_one_sum_a_column(key: tuple[str, str]) -> None:
    arithmetic = ARITHMETIC[key]
    text, stored = one_step(arithmetic)
    assert NAMES[key] in text, "the instruction"
    for flag in ("fast", "contract", "reassoc", "fma"):
        assert f" {flag} " not in text, f"{flag}: the order and the roundings are ours"
    assert stored.count == arithmetic.columns, "one lane a column"
    assert str(stored.element) == ("float" if key[0] == "f32" else "i32"), "int32 or float32"


def test_every_step_is_four_bytes() -> None:
    assert STEP == 4, "four int8 or one float32: packing and addresses rely on it"
    assert set(NAMES) == set(ARITHMETIC), "every arithmetic is tested here"
