"""The commonest bug of all: another arithmetic than the one that is declared."""

from refquant.contracts import preset
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.mutants.mutant import Run
from refquant_conformance.protocol import Case, Result

__all__ = ["Otherwise"]


class Otherwise:
    """The reference by other axes than those it declares."""

    def __init__(self, **changed: str) -> None:
        self.changed = changed

    def __call__(self, case: Case, honest: Run) -> Result:
        """Compute by the wrong axes."""
        arithmetic = arithmetic_of(case.op, case.scheme)
        assert arithmetic is not None, "the operators here have one"
        axes = {**axes_of(preset("onnx"), arithmetic), **self.changed}
        outputs = arithmetic.compute(case, axes)
        return honest(case) if outputs is None else Result(outputs)
