"""Count every published answer again: by the reference as a whole, by the oracle one by one.

An answer that several contracts give is counted by the oracle once, as the first of them does.

A vector that is wrong makes a right backend wrong. So nothing is believed that stands in a file:
not the answers, not who gives them, not the flags, not the number of tests, not the digest. A cell
that has an arithmetic and no vectors is told, too.
"""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from refquant.contracts import preset
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, arithmetic_of
from refquant_conformance.arithmetic.base import Axes, Outputs, axes_of, same_bits
from refquant_conformance.vectors.expected import answers, flags, specified, undefined
from refquant_conformance.vectors.generate import fits
from refquant_conformance.vectors.read import Vector, VectorError, manifest, published, read

__all__ = ["lint", "lint_file", "published_cells"]


def lint() -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with the published files."""
    digests = manifest()
    names = {file.name for file in published()}
    yield from (f"{name} is listed and not there" for name in sorted(set(digests) - names))
    for file in published():
        if file.name not in digests:
            yield f"{file.name} is there and not listed"
            continue
        yield from lint_file(file.name, file.read_bytes(), digests[file.name])
    for op, scheme in sorted(_cells() - published_cells()):
        yield f"{op} {scheme} has an arithmetic and no vectors"


def _cells() -> set[tuple[str, str]]:
    return {(one.op, scheme) for one in ARITHMETICS for scheme in one.schemes}


def published_cells() -> set[tuple[str, str]]:
    """Return the cells that the published files have tests of; what is no file of them has none."""
    found = set()
    for file in published():
        with suppress(VectorError):
            found |= {(v.case.op, v.case.scheme) for v in read(file.name, file.read_bytes())}
    return found


def lint_file(name: str, data: bytes, digest: str | None) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with one file."""
    if not fits(len(data)):
        yield f"{name} has {len(data)} bytes, more than a file of vectors may have"
    seen: set[int] = set()
    try:  # what cannot be read ends the file, for nobody knows what comes after it
        for vector in read(name, data, digest=digest):
            where = f"{name}, test {vector.number}"
            if vector.number in seen:
                yield f"{where}: the number stands there twice"
            seen.add(vector.number)
            try:
                problems = list(_problems(vector))
            except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
                problems = [f"the reference cannot compute it: {error}"]
            yield from (f"{where}: {problem}" for problem in problems)
    except VectorError as error:
        yield str(error)


def _problems(vector: Vector) -> Iterator[str]:
    case = vector.case
    arithmetic = arithmetic_of(case.op, case.scheme)
    if arithmetic is None:
        yield f"there is no arithmetic for {case.op} {case.scheme}"
        return
    if list(vector.flags) != flags(arithmetic, case):
        yield f"the flags are {list(vector.flags)}, and should be {flags(arithmetic, case)}"
    if vector.clause != arithmetic.clause:
        yield f"the clause is {vector.clause!r}, and should be {arithmetic.clause!r}"
    if vector.undefined != undefined(arithmetic, case):
        yield "the result is undefined exactly where the specification is silent"
    found = {tuple(sorted(names)): outputs for names, outputs in answers(arithmetic, case)}
    given = {tuple(sorted(expected.contracts)): expected.outputs for expected in vector.expected}
    if sorted(found) != sorted(tuple(sorted(e.contracts)) for e in vector.expected):
        yield f"the answers are those of {sorted(given)}, and should be those of {sorted(found)}"
        return
    for names, computed in found.items():
        written = given[names]
        if computed is None or written is None:
            if computed is not written:
                yield f"{names[0]} refuses, or does not, otherwise than the file says"
            continue
        name = "spec" if "spec" in names else names[0]
        axes = specified(arithmetic) if name == "spec" else axes_of(preset(name), arithmetic)
        yield from _differences(arithmetic, vector, name, axes, computed, written)


def _differences(
    arithmetic: Arithmetic,
    vector: Vector,
    name: str,
    axes: Axes,
    computed: Outputs,
    written: Outputs,
) -> Iterator[str]:
    for output, array in written.items():
        wanted = computed[output]
        if array.shape != wanted.shape or not same_bits(array, wanted).all():
            yield f"{name}: {output} is not what the reference computes"
            continue
        for index, value in enumerate(array.reshape(-1).tolist()):
            counted = arithmetic.exact(vector.case, axes, output, index)
            both_nan = counted is not None and np.isnan(counted) and np.isnan(value)
            if counted != value and not both_nan:
                yield f"{name}: {output}[{index}] is {value}, the oracle counts {counted}"
