"""A judgement as JSON: who, where, how hard, what was found, counterexamples to what fails.

The schema is ``report.schema.json`` beside this file, version :data:`SCHEMA_VERSION`. Keys may be
added within a version, never renamed. Arrays stand as type, shape and hexadecimal bytes, as in
:mod:`refquant_conformance.wire`, and as numbers for people where they are small.
"""

import os
import platform
from collections import Counter
from importlib.metadata import version
from typing import Any

import numpy as np

from refquant_conformance.commands.identify import identification_json
from refquant_conformance.judge import Judgement
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.protocol import PROTOCOL, Array, Case
from refquant_conformance.verdict import VERDICTS, Cell, Counterexample
from refquant_conformance.wire import array_to_json, case_to_json

__all__ = ["EDITION", "SCHEMA_VERSION", "counterexample_json", "document"]

SCHEMA_VERSION = 1
EDITION = "2026.12"
"""The edition of contracts, property ids and vectors that results cite."""

_MOST = 64  # elements that are written as numbers


def document(found: Judgement) -> dict[str, Any]:
    """Return the report of one judgement.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.judge import judge
    >>> from refquant_conformance.subject import Local
    >>> onnx = Local(load_backend("reference:onnx"))
    >>> made = document(judge(onnx, schemes=("f32_u8",), properties=("QDQ-02",)))
    >>> made["summary"]
    {'BIT_EXACT': 1}
    """
    counts = Counter(cell.verdict for cell in found.cells)
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": {
            "version": version("refquant-conformance"),
            "edition": EDITION,
            "protocol": PROTOCOL,
            "properties": len(PROPERTIES),
        },
        "backend": {
            "name": found.info.name,
            "version": found.info.version,
            "details": dict(found.info.details),
            "knobs": dict(found.knobs),
        },
        "environment": _environment(),
        "profile": {"name": found.profile, "seed": found.seed},
        "identified": [
            {**identification_json(one), "compared": _compared(found, one.op, one.scheme)}
            for one in found.identified
        ],
        "results": [_result(cell) for cell in found.cells],
        "summary": {name: counts[name] for name in VERDICTS if counts[name]},
    }


def _compared(found: Judgement, op: str, scheme: str) -> int:
    """Count the elements of a cell that properties found equal to what its contract computes."""
    return sum(cell.compared for cell in found.cells if (cell.op, cell.scheme) == (op, scheme))


def _environment() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or "not known",
        "threads": str(os.cpu_count() or 1),
    }


def _result(cell: Cell) -> dict[str, Any]:
    known = PROPERTIES.get(cell.property)
    return {
        "property": cell.property,
        "sentence": known.sentence if known else "",
        "clause": known.clause if known else "",
        **{"op": cell.op, "scheme": cell.scheme, "knobs": dict(cell.knobs)},
        **{"verdict": cell.verdict, "contract": cell.contract, "axes": dict(cell.axes)},
        **{"cases": cell.cases, "compared": cell.compared, "mismatches": cell.mismatches},
        "detail": cell.detail,
        "seconds": round(cell.seconds, 4),
        "counterexample": (
            None if cell.counterexample is None else counterexample_json(cell.counterexample)
        ),
        "repro": cell.repro or None,
    }


def counterexample_json(found: Counterexample) -> dict[str, Any]:
    """Return a counterexample: the request as a program would get it, and both answers."""
    case = found.case
    return {
        "reason": found.reason,
        "law": found.law,
        "case": case_to_json(case, 0),
        **{"layout": case.layout, "environment": case.environment},
        "numbers": {name: _numbers(array) for name, array in case.inputs.items()},
        "expected": _answers(case, found.expected),
        "observed": _answers(case, found.observed),
    }


def _answers(case: Case, outputs: Any) -> dict[str, Any]:
    return {
        name: {**array_to_json(array, case.types[name]), "numbers": _numbers(array)}
        for name, array in outputs.items()
    }


def _numbers(array: Array) -> list[str]:
    """Return the first elements as text: JSON has no NaN, and 17 digits say which float it is."""
    return [repr(value) for value in array.reshape(-1)[:_MOST].tolist()]
