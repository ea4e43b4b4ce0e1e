"""A report as JUnit XML, which every continuous integration reads.

One test case a line of the report: the class is the operator and scheme, the name the property.
What is not computed is skipped; a red verdict is a failure, one that is not the backend's an error.
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from refquant_conformance.verdict import RED

__all__ = ["junit"]


def junit(report: Mapping[str, Any]) -> bytes:
    """Return the XML of a report made by ``document``.

    >>> empty = {"backend": {"name": "b", "version": "1"}, "results": []}
    >>> junit(empty).decode().splitlines()[1]
    '<testsuite name="b 1" tests="0" failures="0" errors="0" skipped="0" />'
    """
    results = report["results"]
    errors = sum(one["verdict"] == "HARNESS_ERROR" for one in results)
    counts = {
        "tests": len(results),
        "failures": sum(one["verdict"] in RED for one in results) - errors,
        "errors": errors,
        "skipped": sum(one["verdict"] == "UNSUPPORTED" for one in results),
    }
    name = f"{report['backend']['name']} {report['backend']['version']}"
    attributes = {"name": name} | {key: str(n) for key, n in counts.items()}
    suite = ET.Element("testsuite", attributes)
    for one in results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{one['op']}.{one['scheme']}",
            name=one["property"],
            time=f"{one['seconds']:.4f}",
        )
        verdict = one["verdict"]
        if verdict == "UNSUPPORTED":
            ET.SubElement(case, "skipped", message=_printable(one["detail"]))
        elif verdict in RED:
            kind = "error" if verdict == "HARNESS_ERROR" else "failure"
            problem = ET.SubElement(case, kind, type=verdict, message=_printable(one["detail"]))
            problem.text = _printable(one["repro"] or "")
    ET.indent(suite)
    head = b"<?xml version='1.0' encoding='utf-8'?>\n"
    return head + ET.tostring(suite, encoding="unicode").encode("utf-8") + b"\n"


def _printable(text: str) -> str:
    """Return ``text`` without the control characters that XML has no way to write."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
