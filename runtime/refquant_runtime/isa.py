"""What this CPU can do, and which instruction set the kernels use.

LLVM aborts the process when it meets an instruction the CPU lacks, so the question is asked once
and only here.  The best available set wins; ``REFQUANT_ISA`` names another one, for tests and
for comparing: every set gives the same bits.

=============  ==================================================================
portable       plain loops: every CPU
avx2           x86, 256 bits: ``vpmaddwd`` on widened bytes
avxvnni        x86, 256 bits: ``vpdpbusd`` (VEX)
avx512vnni     x86, 512 bits: ``vpdpbusd`` (EVEX)
neon           ARM; not implemented yet, portable serves it
dotprod        ARM; not implemented yet, portable serves it
i8mm           ARM; not implemented yet, portable serves it
=============  ==================================================================
"""

from __future__ import annotations

import os
from functools import cache

from llvmlite import binding

from refquant_runtime.errors import InputError

__all__ = ["VARIABLE", "IsaError", "available", "chosen"]

VARIABLE = "REFQUANT_ISA"

# From the worst to the best, with the features (LLVM's names) that each needs.
_NEEDS: dict[str, frozenset[str]] = {
    "portable": frozenset(),
    "avx2": frozenset({"avx2"}),
    "avxvnni": frozenset({"avx2", "avxvnni"}),
    "avx512vnni": frozenset({"avx512f", "avx512bw", "avx512vl", "avx512vnni"}),
}
_PLANNED = ("neon", "dotprod", "i8mm")


class IsaError(InputError):
    """``REFQUANT_ISA`` names an instruction set that cannot run here."""


@cache
def _features() -> frozenset[str]:
    """Names of the features of this CPU, as LLVM calls them."""
    return frozenset(name for name, has in binding.get_host_cpu_features().items() if has)


def available() -> tuple[str, ...]:
    """Return the instruction sets that run on this CPU, the best one last.

    >>> available()[0]
    'portable'
    """
    return tuple(name for name, needs in _NEEDS.items() if needs <= _features())


def chosen() -> str:
    """Return the instruction set to use: ``REFQUANT_ISA``, or the best available one.

    Raises ``IsaError`` when the variable names something unknown or something this CPU lacks.
    The variable is read at each call; a session asks once, when it is made.
    """
    allowed = available()
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return allowed[-1]
    if wanted in allowed:
        return wanted
    if wanted in _PLANNED:
        reason = "which is not implemented yet (portable serves it)"
    elif wanted in _NEEDS:
        reason = "which this CPU does not have"
    else:
        reason = "which is not an instruction set we know"
    raise IsaError(f"{VARIABLE} is {wanted!r}, {reason}: use one of {', '.join(allowed)}")
