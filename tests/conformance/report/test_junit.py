"""JUnit: red is a failure, ours an error, not computed is skipped."""

from typing import Any
from xml.etree import ElementTree as ET

from refquant_conformance.report.junit import junit
from refquant_conformance.verdict import RED, VERDICTS


def line(verdict: str, detail: str = "why") -> dict[str, Any]:
    return {
        **{"op": "quantize_linear", "scheme": "f32_u8", "property": "QDQ-02", "verdict": verdict},
        **{"detail": detail, "seconds": 0.25, "repro": None},
    }


def read(*lines: dict[str, Any]) -> ET.Element:
    return ET.fromstring(junit({"backend": {"name": "b", "version": "1"}, "results": lines}))


def test_each_verdict_has_its_kind() -> None:
    suite = read(*map(line, VERDICTS))
    kinds = {
        verdict: [child.tag for child in case]
        for verdict, case in zip(VERDICTS, suite.iter("testcase"), strict=True)
    }
    expected = {verdict: ["failure"] if verdict in RED else [] for verdict in VERDICTS}
    expected |= {"HARNESS_ERROR": ["error"], "UNSUPPORTED": ["skipped"]}
    assert kinds == expected, f"{kinds}"
    counts = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
    wanted = {"tests": len(VERDICTS), "failures": len(RED) - 1, "errors": 1, "skipped": 1}
    assert counts == wanted, f"{counts}"


def test_what_a_backend_says_is_text() -> None:
    suite = read(line("FAILS", "<b>\x00\x1b[31m & \ud800"))
    (failure,) = suite.iter("failure")
    assert failure.attrib["message"] == "<b>\\x00\\x1b[31m & \\xd800", f"{failure.attrib}"
