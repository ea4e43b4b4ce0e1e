"""``refquant-conformance identify``: which contracts explain every answer, and the evidence."""

import argparse
import sys
from typing import Any

import numpy as np

from refquant.cli.common import Command, print_json
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.commands.common import (
    add_backend,
    add_filters,
    add_jobs,
    aligned,
    subject_of,
)
from refquant_conformance.commands.selection import chosen
from refquant_conformance.identify import Evidence, Identification, identify
from refquant_conformance.protocol import Capability
from refquant_conformance.side_by_side import over_cells
from refquant_conformance.subject import Subject

__all__ = ["COMMAND", "identification_json"]

_SHOWN = 8  # elements of an input


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_backend(parser)
    add_filters(parser)
    add_jobs(parser)
    parser.add_argument("--evidence", action="store_true", help="one input for each refuted value")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: argparse.Namespace) -> int:
    subject = subject_of(arguments)
    try:
        cells = chosen(subject, ops=arguments.op, schemes=arguments.scheme)
        known = [cell for cell in cells if arithmetic_of(cell.op, cell.scheme) is not None]
        found = over_cells(subject, known, _identified, arguments.jobs)
        info = subject.info
    finally:
        subject.close()
    if arguments.json:
        told = [identification_json(one) for one in found]
        print_json({"backend": info.name, "version": info.version, "cells": told})
        return 0
    sys.stdout.write(f"{info.name} {info.version}\n")
    rows = aligned([_row(one) for one in found]) if found else "no cell of these has a contract"
    sys.stdout.write(f"{rows}\n")
    if arguments.evidence:
        for one in found:
            sys.stdout.write("".join(f"{_words(one, item)}\n" for item in one.evidence))
            if one.counterexample is not None:
                sys.stdout.write(f"{_words(one, one.counterexample)}\n")
    return 0


def _identified(subject: Subject, cell: Capability) -> Identification:
    return identify(subject, cell.op, cell.scheme)


def _row(one: Identification) -> tuple[str, str, str, str]:
    said = f"{one.elements} elements"
    if not one.consistent and one.nearest is not None:
        said += f"; the nearest, {_axes(one.nearest)}, is wrong in {one.mismatches}"
    elif one.open_axes:
        open_axes = ", ".join(f"{a}={'|'.join(map(str, v))}" for a, v in one.open_axes.items())
        said += f"; open: {open_axes}"
    if one.trouble:
        said += "; " + "; ".join(f"{kind}: {reason}" for kind, reason in one.trouble.items())
    return one.op, one.scheme, one.name, said


def _axes(axes: Any) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in axes.items())


def _words(one: Identification, item: Evidence) -> str:
    inputs = ", ".join(
        f"{name}={np.array2string(array.reshape(-1)[:4])}"
        for name, array in item.case.inputs.items()
    )
    value = f"{item.axis}={item.value}" if item.axis else "the nearest"
    return (
        f"{one.op} {one.scheme}: not {value}: {inputs} would give "
        f"{item.would_be}, is {item.observed}"
    )


def identification_json(one: Identification) -> dict[str, Any]:
    """Return an identification for scripts: the contract found, and what is still open."""
    arithmetic = arithmetic_of(one.op, one.scheme)
    return {
        **{"op": one.op, "scheme": one.scheme, "contract": one.name, "elements": one.elements},
        "axes": dict(one.consistent[0]) if one.consistent else None,
        "open": {axis: list(values) for axis, values in one.open_axes.items()},
        "nearest": dict(one.nearest) if one.nearest is not None else None,
        **{"mismatches": one.mismatches, "trouble": dict(one.trouble)},
        "spec": dict(arithmetic.spec) if arithmetic else {},
        "evidence": [_evidence(item) for item in one.evidence],
        "counterexample": _evidence(one.counterexample) if one.counterexample else None,
    }


def _evidence(item: Evidence) -> dict[str, Any]:
    """Return one refuted value: the element that refutes it, as far as it fits a line."""
    return {
        **{"axis": item.axis, "value": item.value},
        "inputs": {
            name: [repr(value) for value in array.reshape(-1)[:_SHOWN].tolist()]
            for name, array in item.case.inputs.items()
        },
        **{"would_be": item.would_be, "observed": item.observed},
    }


COMMAND = Command(
    "identify", "refquant-conformance identify --backend onnxruntime", _add_arguments, _run
)
