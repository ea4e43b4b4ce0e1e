"""The deviations file: what a backend is known to do differently, so that nothing new hides there.

One entry a deviation, in TOML::

    [[deviation]]
    property = "QDQ-05"                        # an id, or a pattern such as "QDQ-*"
    backend  = "openvino>=2024,<2027"          # name, and the versions it was seen in
    scheme   = "f32_u8"                        # optional pattern; so is op
    when     = "zero_point % 2 == 1"           # optional: outside it the property must hold
    contract = {zero_point_at = "before_rounding"}    # preferred: verified bit for bit
    reason   = "the zero point is added before rounding"
    url      = "https://github.com/microsoft/onnxruntime/issues/25045"
    expires  = 2027-06-01

An entry with a contract excuses nothing: the property is checked again with those axes, and a
second bug under the first is found. Entries are strict: one that matches no property that was
checked, one whose property holds, and one past its date are ``STALE``, which is red.
"""

import builtins
import fnmatch
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.predicate import Predicate, parse
from refquant_conformance.protocol import Case, Info
from refquant_conformance.verdict import Cell

__all__ = ["Deviation", "read_deviations"]

_REQUIRED = ("property", "backend", "reason")
_OPTIONAL = ("op", "scheme", "when", "contract", "url", "expires")


@dataclass(frozen=True, slots=True)
class Deviation:
    """One entry. ``contract`` is empty where no arithmetic explains what is done."""

    property: str
    backend: str
    versions: SpecifierSet
    reason: str
    op: str = "*"
    scheme: str = "*"
    when: Predicate | None = None
    contract: tuple[tuple[str, AxisValue], ...] = ()
    url: str = ""
    expires: date | None = None

    def speaks_of(self, info: Info) -> bool:
        """Whether the entry is about this backend in this version."""
        if not fnmatch.fnmatchcase(info.name, self.backend):
            return False
        try:
            return self.versions.contains(Version(info.version), prereleases=True)
        except InvalidVersion:
            return not str(self.versions)

    def matches(self, cell: Cell) -> bool:
        """Whether the entry is about what this line checked."""
        return (
            fnmatch.fnmatchcase(cell.property, self.property)
            and fnmatch.fnmatchcase(cell.op, self.op)
            and fnmatch.fnmatchcase(cell.scheme, self.scheme)
        )

    def covers(self, case: Case) -> bool:
        """Whether the entry's condition holds for a case."""
        return self.when is None or self.when(case)

    def expired(self, today: date) -> bool:
        """Whether its date has passed."""
        return self.expires is not None and today > self.expires

    @builtins.property  # "property" is a field here
    def name(self) -> str:
        """What a report calls it."""
        return f"{self.property} {self.backend}{self.versions}: {self.reason}"


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Return the entries of a file; ``ValueError`` names the entry and the key that is wrong.

    ``OSError`` if the file cannot be read.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    unknown = sorted(set(data) - {"deviation"})
    entries = data.get("deviation", [])
    if unknown or not isinstance(entries, list):
        raise ValueError(f"{path} holds [[deviation]] entries only; got {', '.join(unknown)}")
    return tuple(_entry(f"{path}, entry {n}", entry) for n, entry in enumerate(entries, start=1))


def _entry(where: str, entry: Any) -> Deviation:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where} must be a table, got {entry!r}")
    for key in _REQUIRED:
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise ValueError(f"{where}: {key} must be a string, not empty; got {entry.get(key)!r}")
    if unknown := sorted(set(entry) - {*_REQUIRED, *_OPTIONAL}):
        raise ValueError(
            f"{where}: unknown key {unknown[0]!r}; known: {', '.join((*_REQUIRED, *_OPTIONAL))}"
        )
    for key in ("op", "scheme", "when", "url"):
        if not isinstance(entry.get(key, ""), str):
            raise ValueError(f"{where}: {key} must be a string, got {entry[key]!r}")
    contract = _contract(where, entry.get("contract", {}))
    expires = entry.get("expires")
    if expires is not None and type(expires) is not date:
        raise ValueError(f"{where}: expires must be a date such as 2027-06-01, got {expires!r}")
    name, versions = _backend(where, str(entry["backend"]))
    when = entry.get("when")
    try:
        condition = None if when is None else parse(str(when))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return Deviation(
        property=str(entry["property"]),
        backend=name,
        versions=versions,
        reason=str(entry["reason"]),
        op=str(entry.get("op", "*")),
        scheme=str(entry.get("scheme", "*")),
        when=condition,
        contract=contract,
        url=str(entry.get("url", "")),
        expires=expires if isinstance(expires, date) else None,
    )


def _contract(where: str, contract: Any) -> tuple[tuple[str, AxisValue], ...]:
    """Return the axes of an entry; each is an axis of some operator, with one of its values."""
    if not isinstance(contract, dict):
        raise ValueError(f"{where}: contract must be a table of axes, got {contract!r}")
    for axis, value in contract.items():
        known = [v for a in ARITHMETICS for v in a.axes.get(axis, ())]
        if value not in known:
            values = ", ".join(dict.fromkeys(map(str, known))) or "no operator has this axis"
            raise ValueError(f"{where}: contract: {axis} cannot be {value!r}: {values}")
    return tuple(sorted(contract.items()))


def _backend(where: str, text: str) -> tuple[str, SpecifierSet]:
    """Split ``openvino>=2024,<2027`` into a name and versions."""
    at = min((text.find(sign) for sign in "<>=!~" if sign in text), default=len(text))
    try:
        return text[:at].strip(), SpecifierSet(text[at:])
    except InvalidSpecifier:
        raise ValueError(
            f"{where}: backend must be a name and versions, as in 'openvino>=2024,<2027'; "
            f"got {text!r}"
        ) from None
