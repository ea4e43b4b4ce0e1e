"""The record of where a preset comes from."""

from refquant.contracts import Provenance, Source, preset


def test_a_source_is_one_line() -> None:
    assert str(Source("a/b", "c.py", "2026-01-02")) == "a/b c.py (2026-01-02)", "whose, which, when"


def test_evidence_is_measured_or_read() -> None:
    read = Provenance(preset("onnx"), "The text.", (Source("a/b", "c", "2026"),))
    assert read.evidence == "read", "nothing was run"
    ran = Provenance(preset("onnx"), "The text.", (Source("a/b", "c", "2026"),), measured="x 1.0")
    assert ran.evidence == "measured: x 1.0", "this was"
