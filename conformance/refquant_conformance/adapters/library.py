"""Libraries that compute by functions: an adapter is a file of calls, and this is all the rest.

A file of calls knows nothing of this package: NumPy arrays in, NumPy arrays out, its engine
imported by name. So the program that repeats a case without this package is that file, the arrays
of the case, and one call::

    compute(op, inputs, params, types, setting) -> outputs        raises NotImplementedError,
                                                                  ValueError, RuntimeError
    configure(**knobs)                                            if there are knobs

What raises ``NotImplementedError`` is not computed; any other error of the engine refuses the
inputs. What a library's functions are called with (float or double scales, int32 or int64 zero
points) stands in its file of calls, because it is part of what they compute.
"""

import importlib
import inspect
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.engine import computed, cpu_flags, imported
from refquant_conformance.protocol import (
    Array,
    Capability,
    Case,
    Info,
    Rejected,
    Result,
    Unsupported,
)

__all__ = ["Library", "Sheet"]

_NONE: Mapping[str, tuple[str | int, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sheet:
    """What there is to know of a library: its names, its calls, what may be set.

    ``calls`` is the file of calls, ``packages`` the modules that it imports, the library's first;
    ``settings`` maps each setting to the operators that are worth a try with it; ``parts`` are the
    files that a long file of calls is written in, each before those that import from it.
    """

    name: str
    distribution: str
    calls: str
    packages: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]
    knobs: Mapping[str, tuple[str | int, ...]] = field(default_factory=lambda: _NONE)
    beside: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Library:
    """A backend of a sheet. ``MissingBackendError`` if one of its packages is not installed."""

    protocol = 1

    def __init__(self, sheet: Sheet, setting: str) -> None:
        """Take the sheet, and one of its settings."""
        if setting not in sheet.settings:
            known = ", ".join(repr(name) for name in sheet.settings)
            raise BackendError(f"{sheet.name} has no setting {setting!r}; it has {known}")
        for package in sheet.packages:
            imported(package, sheet.name)
        self._sheet, self._setting = sheet, setting
        self._calls: Any = importlib.import_module(sheet.calls)
        self._knobs: dict[str, str | int] = {name: v[0] for name, v in sheet.knobs.items()}
        self._set()

    def configure(self, **knobs: str | int) -> None:
        """Set knobs to values that the sheet has."""
        for name, value in knobs.items():
            if value not in self._sheet.knobs.get(name, ()):
                known = "; ".join(f"{n} of {v}" for n, v in self._sheet.knobs.items())
                raise BackendError(f"no knob {name}={value}; there is {known or 'none'}")
        self._knobs |= knobs
        self._set()

    def _set(self) -> None:
        if self._knobs:
            self._calls.configure(**self._knobs)

    def info(self) -> Info:
        """Say which version this is."""
        sheet = self._sheet
        name = f"{sheet.name}:{self._setting}" if self._setting else sheet.name
        beside = {other: version(other) for other in (*sheet.beside, "numpy")}
        details = {**beside, "cpu": cpu_flags()}
        return Info(name, version(sheet.distribution), dict(sheet.knobs), details)

    def capabilities(self) -> Iterable[Capability]:
        """List every cell whose sample is computed."""
        return computed(self.run, self._sheet.settings[self._setting])

    def declared(self, op: str) -> None:
        """Declare nothing: no library says which arithmetic it computes."""

    def run(self, case: Case) -> Result:
        """Call the library."""
        if case.op not in self._sheet.settings[self._setting]:
            raise Unsupported(f"this adapter asks {self._sheet.name} for no {case.op}")
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # "will be removed", "overflow": no answers
            try:
                found = self._calls.compute(
                    case.op, case.inputs, case.params, case.types, self._setting
                )
            except NotImplementedError as refusal:
                raise Unsupported(_first_line(refusal)) from None
            except (
                ValueError,
                RuntimeError,
                ArithmeticError,
                IndexError,
                AssertionError,
            ) as refusal:
                raise Rejected(_first_line(refusal)) from None
        return Result(found, {name: str(value) for name, value in self._knobs.items()})

    def repro(self, case: Case) -> str:
        """Return a program that asks the same of the library alone."""
        title = f"{case.op} {case.scheme}, {self.info().name} {version(self._sheet.distribution)}"
        arrays = "".join(f"    {name!r}: {_source(a)},\n" for name, a in case.inputs.items())
        return _PROGRAM.format(
            calls="\n\n".join(_standing(name) for name in (*self._sheet.parts, self._sheet.calls)),
            title=title,
            knobs=f"configure(**{self._knobs!r})\n" if self._knobs else "",
            arrays=arrays,
            arguments=f"{case.op!r}, inputs, {dict(case.params)!r}, {dict(case.types)!r}",
            setting=self._setting,
        )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _standing(module: str) -> str:
    """Return the source of a file of calls without its imports of the others."""
    return _OURS.sub("", inspect.getsource(importlib.import_module(module)))


_OURS = re.compile(r"^from refquant_conformance\.\S+ import (\([^)]*\)|[^(\n]*)\n", re.M)


def _source(array: Array) -> str:
    """Return an expression that makes an array, bit for bit."""
    few = array.reshape(-1)[:4].tolist()
    data = np.ascontiguousarray(array).tobytes().hex()
    made = f"np.frombuffer(bytes.fromhex({data!r}), {array.dtype.str!r})"
    return f"{made}.reshape({array.shape}).copy()  # {few}{' ...' if array.size > 4 else ''}\n   "


_PROGRAM = """{calls}

# ---- {title}
{knobs}inputs = {{
{arrays}}}
found = compute({arguments}, {setting!r})
for name, array in found.items():
    print(name, array.dtype, array.tolist())
"""
