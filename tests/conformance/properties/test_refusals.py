"""What is refused is neither a pass nor a failure; what is computed is compared all the same."""

from collections.abc import Callable, Iterable

import numpy as np

from refquant_conformance.adapters.reference import Reference
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.inquiry import try_property
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial
from refquant_conformance.verdict import Cell


class _Choosy(Reference):
    """The reference that refuses some inputs, and may be wrong about the others."""

    def __init__(self, refuses: Callable[[Case], bool], off: int = 0) -> None:
        super().__init__("onnx")
        self._refuses, self._off = refuses, off

    def info(self) -> Info:
        return Info("choosy", "1")

    def capabilities(self) -> Iterable[Capability]:
        return [Capability("qlinear_matmul", "u8_i8")]

    def run(self, case: Case) -> Result:
        if self._refuses(case):
            raise Rejected("cannot be proved")
        y = super().run(case).outputs["y"]
        return Result({"y": (y.astype(np.int64) ^ self._off).astype(y.dtype)})


def _lowest(case: Case) -> bool:
    return bool((case.inputs["bias"] == -(2**31)).any())


def _judged(backend: Reference) -> Cell | None:
    arithmetic = arithmetic_of("qlinear_matmul", "u8_i8")
    assert arithmetic is not None, "products have one"
    axes = axes_of(backend._contract, arithmetic)
    subject = Local(backend)
    trial = Trial(subject, "qlinear_matmul", "u8_i8", arithmetic, axes)
    return try_property(PROPERTIES["RQ-04"], trial)


def test_what_is_refused_is_told_and_the_rest_is_judged() -> None:
    row = _judged(_Choosy(_lowest))
    assert row is not None, "says nothing"
    assert row.verdict == "SPEC_AMBIGUOUS", f"{row.verdict} {row.detail}"
    assert row.detail == "Refused: 3 of 6 cases: cannot be proved", row.detail


def test_what_is_computed_must_be_right_whatever_else_is_refused() -> None:
    row = _judged(_Choosy(_lowest, off=1))
    assert row is not None, "says nothing"
    assert row.verdict == "FAILS", f"{row.verdict}: wrong codes beside a refusal"


def test_who_refuses_everything_has_passed_nothing() -> None:
    row = _judged(_Choosy(lambda case: True))
    assert row is not None, "says nothing"
    assert (row.verdict, row.detail) == ("UNSUPPORTED", "refused: cannot be proved"), row.verdict
