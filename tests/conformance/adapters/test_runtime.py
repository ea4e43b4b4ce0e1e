"""Our own runtime as a backend: it keeps the contract that stands in its files."""

from collections.abc import Iterator

import pytest

from refquant.contracts import preset
from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.runtime import Runtime
from refquant_conformance.judge import judge
from refquant_conformance.profiles import PROFILES
from refquant_conformance.protocol import Rejected, Unsupported
from refquant_conformance.subject import Worker


@pytest.fixture(scope="module", params=["ort", "xnnpack"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    subject = Worker(f"runtime:{request.param}", time_limit=120)
    yield subject
    subject.close()


def test_it_computes_by_what_it_declares_whatever_the_machine(worker: Worker) -> None:
    found = judge(
        worker,
        profile=PROFILES["ci"],
        ops=("quantize_linear", "qlinear_add"),
        schemes=("f32_i8", "i8"),
        properties=("QDQ-02", "OP-01", "X-05", "X-07", "X-18"),
    )
    assert {one.op for one in found.identified} == {"quantize_linear", "qlinear_add"}, "cells"
    assert not found.red, f"{[(c.property, c.op, c.detail) for c in found.red]}"
    for one in found.identified:
        assert one.consistent, f"{one.op} is not identified"


def test_it_says_what_it_is_and_refuses_what_it_is_not() -> None:
    backend = Runtime("ort")
    assert backend.info().name == "runtime:ort", f"{backend.info()}"
    assert backend.declared("qlinear_add") == preset("ort").to_json(), "another contract"
    with pytest.raises(BackendError, match="no contract 'nobody'; it executes ort"):
        Runtime("nobody")
    with pytest.raises(Unsupported, match=r"loads \.rq files, not onnx"):
        backend.load_bytes("onnx", b"")
    with pytest.raises(Rejected):
        backend.load_bytes("rq", b"no file")
