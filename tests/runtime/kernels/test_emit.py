"""The machine code of the tiles, for CPUs we may not have: LLVM compiles for any of them."""

import re
from functools import cache

import pytest
from llvmlite import binding, ir

from refquant_runtime.kernels.arithmetic import ARITHMETIC
from refquant_runtime.kernels.emit import emit_tile
from refquant_runtime.kernels.f32_tiles import GENERATED as F32
from refquant_runtime.kernels.int8_tiles import GENERATED as INT8

CPUS = {"avx512vnni": ("icelake-server", "znver4"), "avxvnni": ("alderlake",), "avx2": ("haswell",)}
TILES = [
    (kind, isa, mr, nr, cpu)
    for kind, tiles in (("int8", INT8), ("f32", F32))
    for isa, mr, nr in tiles
    for cpu in CPUS[isa]
]
every_tile = pytest.mark.parametrize(("kind", "isa", "mr", "nr", "cpu"), TILES)
# How many bytes of weights one instruction consumes, and its name.
MULTIPLY = {
    ("int8", "avx512vnni"): ("vpdpbusd", 64),
    ("int8", "avxvnni"): ("vpdpbusd", 32),
    ("int8", "avx2"): ("vpmaddwd", 16),
    ("f32", "avx512vnni"): ("vmulps", 64),
    ("f32", "avx2"): ("vmulps", 32),
}


def ir_of(kind: str, isa: str, mr: int, nr: int) -> str:
    """The tile as a C function in textual IR."""
    module = ir.Module("tile")
    module.triple = "x86_64-unknown-linux-gnu"
    i8, i32, i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
    byte, word = i8.as_pointer(), i32.as_pointer()
    kind_of = ir.FunctionType(ir.VoidType(), [byte, word, i64, i64, byte, byte, i64, i32])
    function = ir.Function(module, kind_of, "tile")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    a, offsets, taps, steps, w, c, ldc, flip = function.args
    emit_tile(
        builder, ARITHMETIC[kind, isa], mr=mr, nr=nr, a=a, offsets=offsets, scale=1, taps=taps,
        steps=steps, w=w, c=c, ldc=ldc, flip=flip,
    )  # fmt: skip
    builder.ret_void()
    return str(module)


@cache
def assembly(kind: str, isa: str, mr: int, nr: int, cpu: str) -> str:
    """The tile compiled with numba's optimisation level for ``cpu``."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = binding.parse_assembly(ir_of(kind, isa, mr, nr))
    module.verify()
    target = binding.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu=cpu, opt=3, reloc="pic")
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return str(machine.emit_assembly(module))


def innermost_loop(text: str, instruction: str) -> list[str]:
    """The lines from the last label before ``instruction`` to the branch back to it."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if f"\t{instruction}\t" in line)
    start = max(i for i in range(first) if re.match(r"\.LBB\d+_\d+:", lines[i]))
    label = lines[start].split(":")[0]
    end = next(i for i in range(first, len(lines)) if re.search(rf"\tj\w+\t{label}$", lines[i]))
    return lines[start : end + 1]


@every_tile
def test_the_loop_multiplies_each_sum_once_and_spills_nothing(
    kind: str, isa: str, mr: int, nr: int, cpu: str
) -> None:
    instruction, weight_bytes = MULTIPLY[kind, isa]
    text = assembly(kind, isa, mr, nr, cpu)
    loop = innermost_loop(text, instruction)
    count = sum(f"\t{instruction}\t" in line for line in loop)
    assert count == mr * nr * 4 // weight_bytes, f"{count} {instruction} in the loop"
    assert text.count(f"\t{instruction}\t") == count, "and none outside: not unrolled, no tail"
    spills = [line for line in loop if "(%rsp)" in line or "(%rbp)" in line]
    assert not spills, f"the loop uses the stack: {spills}"


@every_tile
def test_no_instruction_that_saturates_or_fuses(
    kind: str, isa: str, mr: int, nr: int, cpu: str
) -> None:
    text = assembly(kind, isa, mr, nr, cpu)
    for forbidden in ("vpmaddubsw", "vpdpbusds", "vfmadd", "vfmsub", "vpacks"):
        assert forbidden not in text, f"{forbidden} in {isa} {mr}x{nr}"


def test_avx512_broadcasts_and_flips_in_one_instruction() -> None:
    loop = innermost_loop(assembly("int8", "avx512vnni", 6, 64, "znver4"), "vpdpbusd")
    fused = [line for line in loop if "vpxord" in line and "{1to16}" in line]
    assert len(fused) == 6, "one vpxord with a broadcast operand a row"


def test_pointers_never_become_integers() -> None:
    for kind, isa, mr, nr, _ in TILES:
        text = ir_of(kind, isa, mr, nr)
        assert "inttoptr" not in text, f"{kind} {isa} {mr}x{nr}"
        assert "ptrtoint" not in text, f"{kind} {isa} {mr}x{nr}"
