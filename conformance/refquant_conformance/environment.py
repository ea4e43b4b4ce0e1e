"""The floating-point mode that a caller may have set before it calls a library.

Rounding upwards, or taking subnormals for zero, is a property of the thread, and a library that
does not set its own mode computes other numbers then. The judge asks some cases in such modes.

x86-64 keeps the mode in the register MXCSR: bits 13 and 14 round, bit 15 flushes results to zero,
bit 6 takes subnormal operands for zero. C's ``fegetenv`` and ``fesetenv`` read and write it as part
of a structure of 32 bytes. Left out: other machines, where only ``default`` is entered and the
others raise ``Unsupported``.

References
----------
Intel, Software Developer's Manual, volume 1, section 10.2.3; glibc, ``sysdeps/x86_64/fpu``.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from refquant_conformance.protocol import Unsupported

__all__ = ["MODE", "Watch", "entered"]

MODE = "floating-point mode"
"""What an answer says was changed where a backend has not restored the mode."""

_BITS = {
    "default": 0,
    "flush_to_zero": 0x8040,
    "round_down": 0x2000,
    "round_up": 0x4000,
    "round_toward_zero": 0x6000,
}
_ALL = 0xE040  # every bit that a mode may set
_CONTROL = 28  # the offset of MXCSR in fenv_t
_SIZE = 32


@dataclass(slots=True)
class Watch:
    """Whether the mode was the same at the end as at the beginning; True until known."""

    kept: bool = True


@contextmanager
def entered(environment: str) -> Iterator[Watch]:
    """Run the body in a floating-point mode, and restore the mode after it.

    >>> import numpy as np
    >>> with entered("default") as watch:
    ...     third = float(np.float32(1) / np.float32(3))
    >>> third > 1 / 3, watch.kept
    (True, True)
    """
    watch = Watch()
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        if environment != "default":
            raise Unsupported(f"{environment}: floating-point modes are set on x86-64 Linux only")
        yield watch
        return
    library = ctypes.CDLL("libm.so.6")
    saved, changed, after = (ctypes.create_string_buffer(_SIZE) for _ in range(3))
    library.fegetenv(saved)
    control = int.from_bytes(saved.raw[_CONTROL:], "little") & ~_ALL | _BITS[environment]
    changed.raw = saved.raw[:_CONTROL] + control.to_bytes(4, "little")
    library.fesetenv(changed)
    try:
        yield watch
    finally:
        library.fegetenv(after)
        library.fesetenv(saved)
        left = int.from_bytes(after.raw[_CONTROL:], "little")
        watch.kept = left & _ALL == _BITS[environment]
