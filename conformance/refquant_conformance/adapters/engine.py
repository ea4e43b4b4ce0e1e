"""What adapters of foreign engines share: importing, keeping what was made, what is computed.

A list of cells that somebody typed is a claim; so a cell is listed only if one small case of it was
computed, in the types of the scheme::

    operators of the adapter  ->  sample(op, scheme)  ->  run  ->  a well-formed answer?  ->  listed

What an engine computes there may still be wrong: that is the judge's business.
"""

import ctypes
import importlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from refquant_conformance.adapters import MissingBackendError
from refquant_conformance.adapters.samples import sample
from refquant_conformance.answers import well_formed
from refquant_conformance.conversation import answer
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Capability, Case, Result

__all__ = ["Kept", "Prepared", "computed", "cpu_flags", "imported", "openblas_kernels"]

Made = TypeVar("Made")


def imported(module: str, extra: str) -> Any:
    """Import an engine; ``MissingBackendError`` names the extra that installs it.

    >>> imported("no_such_engine", "nothing")
    Traceback (most recent call last):
    ...
    refquant_conformance.adapters.MissingBackendError: no_such_engine is not installed; \
pip install 'refquant-conformance[nothing]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        remedy = f"pip install 'refquant-conformance[{extra}]'"
        raise MissingBackendError(f"{error.name} is not installed; {remedy}") from None


@dataclass(slots=True)
class Kept(Generic[Made]):
    """The things made last, by what they were made for; the oldest goes where there are too many.

    >>> kept = Kept(2)
    >>> [kept.get(n, lambda: []) is kept.get(n, lambda: []) for n in (1, 2, 3)], len(kept.things)
    ([True, True, True], 2)
    """

    most: int
    things: "OrderedDict[Any, Made]" = field(default_factory=OrderedDict)

    def get(self, key: Any, make: Callable[[], Made]) -> Made:
        """Return what was made for ``key``, or make it."""
        if key not in self.things:
            self.things[key] = make()
            if len(self.things) > self.most:
                self.things.popitem(last=False)
        self.things.move_to_end(key)
        return self.things[key]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A handle whose ``run`` goes on with what one case has made: a session, packed weights."""

    run: Callable[[Case], Result]


def computed(run: Callable[[Case], Result], ops: Iterable[str]) -> tuple[Capability, ...]:
    """Return the cells of ``ops`` whose sample ``run`` computes, in the catalogue's order.

    >>> from refquant_conformance.adapters.reference import Reference
    >>> [cell.scheme for cell in computed(Reference("onnx").run, ["quantize_linear"])][:2]
    ['f32_u8', 'f32_u8_channel']
    """
    wanted = frozenset(ops)
    return tuple(
        Capability(op, scheme)
        for op in OPERATORS
        if op in wanted
        for scheme in OPERATORS[op].schemes
        if _answers(run, sample(op, scheme))
    )


def _answers(run: Callable[[Case], Result], case: Case) -> bool:
    return well_formed(case, answer(run, case)).kind == "result"


_TELLING = ("sse4_1", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


_CORE_NAMES = ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename")


def openblas_kernels() -> str:
    """Return for which processor the kernels are that NumPy's OpenBLAS has chosen in this process.

    The order of its sums is theirs. The variable ``OPENBLAS_CORETYPE`` chooses others, if it is set
    before NumPy is loaded; kernels that the processor has no instructions for end the process.
    """
    folder = Path(np.__file__).parents[1] / "numpy.libs"
    for path in sorted(folder.glob("*openblas*")):
        for name in _CORE_NAMES:
            function = getattr(ctypes.CDLL(str(path)), name, None)
            if function is not None:
                function.restype = ctypes.c_char_p
                return str(function().decode())
    return "not known here"


def cpu_flags() -> str:
    """Return which instruction sets that matter to integer products this processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "not known here"
    words = {word for line in lines[:40] for word in line.split()}
    return " ".join(flag for flag in _TELLING if flag in words) or "none of " + " ".join(_TELLING)
