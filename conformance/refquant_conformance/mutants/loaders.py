"""Planted bugs of loaders, one for each property F that the catalogue can show."""

import struct
from collections.abc import Callable

import numpy as np

from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.properties.files import bombs
from refquant_conformance.protocol import Case, Rejected, Result

__all__ = ["MUTANTS", "taken"]


def taken(wrong: Callable[[bytes], bool]) -> Callable[[Case, Run], Result]:
    """Return the reference that takes some files without looking at them."""

    def run(case: Case, honest: Run) -> Result:
        data = case.inputs["x"].tobytes()
        return Result({}) if wrong(data) else honest(case)

    return run


def _short(data: bytes) -> bool:
    seed = seed_file("gguf")
    return 300 < len(data) < len(seed) and data == seed[: len(data)]


def _numbers(case: Case, honest: Run) -> Result:
    """Convert a large count to a signed number, and let the error out."""
    data = case.inputs["x"].tobytes()
    at = data[:256].find(b"\xff" * 8)
    if at >= 0:
        np.empty(struct.unpack_from("<q", data, at)[0])
    return honest(case)


def _behind(data: bytes) -> bool:
    return data.startswith(seed_file("gguf")) and len(data) > len(seed_file("gguf"))


def _overlap(data: bytes) -> bool:
    seed = seed_file("gguf")
    changed = [i for i, (a, b) in enumerate(zip(seed, data, strict=False)) if a != b]
    at = seed.index(b"other")
    return (
        len(data) == len(seed)
        and bool(changed)
        and min(changed) >= at + 20
        and max(changed) < at + 40
    )


def _twice(case: Case, honest: Run) -> Result:
    """Keep the last of two tensors of one name."""
    data = case.inputs["x"].tobytes()
    if data == seed_file(case.scheme).replace(b"other", b"first"):
        return Result({})
    return honest(case)


def _unchecked(data: bytes) -> bool:
    seed = seed_file("rq")
    (size,) = struct.unpack_from("<Q", seed)
    return len(data) == len(seed) and data[: 8 + size] == seed[: 8 + size]


def _newer(data: bytes) -> bool:
    seed = seed_file("gguf")
    return data[:4] == b"GGUF" and data[8:] == seed[8:] and data[4:8] == struct.pack("<I", 4)


def _refuses_nothing(case: Case, honest: Run) -> Result:
    """Take an empty file for an empty model."""
    if case.inputs["x"].size == 0:
        return Result({})
    return honest(case)


def _believed(data: bytes) -> bool:
    return any(data == bomb for bomb in bombs("gguf").values())


def _ignored(case: Case, honest: Run) -> Result:
    try:
        return honest(case)
    except Rejected:
        if _behind(case.inputs["x"].tobytes()):
            return Result({})
        raise


def _loader(
    name: str, sentence: str, killer: str, run: Callable[[Case, Run], Result], scheme: str = "gguf"
) -> Mutant:
    return Mutant(name, sentence, "3.4", killer, "load", (scheme,), run)


MUTANTS = (
    _loader("empty_file", "an empty file is an empty model", "F-01", _refuses_nothing),
    _loader("half_a_file", "a file that ends within a tensor is taken", "F-02", taken(_short)),
    _loader("signed_count", "a count of 2^64 - 1 is an error that nobody catches", "F-03",
            _numbers),
    _loader("bomb", "a file is believed when it says it is large", "F-04", taken(_believed)),
    _loader("overlap", "tensors may lie on each other", "F-05", taken(_overlap)),
    _loader("trailing", "what follows the last tensor is ignored", "F-06", _ignored),
    _loader("last_name_wins", "of two tensors of one name the last is kept", "F-07", _twice),
    _loader("unchecked_digest", "checksums are not looked at", "F-15", taken(_unchecked), "rq"),
    _loader("newer_version", "the next version is read as if it were this one", "F-17",
            taken(_newer)),
)  # fmt: skip
