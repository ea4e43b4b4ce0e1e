"""Whether an answer is one: the outputs that were asked for, in the types of the scheme.

What fails here is no arithmetic, and no tolerance mends it: an output that is missing, is not an
array, or holds another type. Shapes are compared with the expected ones later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Case, Result
from refquant_conformance.types import storage

__all__ = ["Answer", "well_formed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one case.

    ``kind`` is ``result``, ``unsupported``, ``rejected``, ``broken`` (the adapter raised, or
    answered what no operator answers), ``crashed`` or ``hung``; ``reason`` says more.
    ``mutated`` names inputs that the backend changed.
    """

    kind: str
    result: Result | None = None
    reason: str = ""
    mutated: tuple[str, ...] = field(default=())


def well_formed(case: Case, answer: Answer) -> Answer:
    """Return ``answer`` with the operator's outputs, or a ``broken`` one that says what is wrong.

    Outputs that the operator does not have are dropped.

    >>> from refquant_conformance.protocol import Result
    >>> case = Case("quantize_linear", "f32_u8", {}, types={"y": "uint8"})
    >>> well_formed(case, Answer("result", Result({"y": np.zeros(1)}))).reason
    "output 'y' is float64, the scheme f32_u8 wants uint8"
    """
    if answer.result is None or case.op not in OPERATORS:
        return answer
    for what, value in (("outputs", answer.result.outputs), ("kernels", answer.result.provenance)):
        if not isinstance(value, Mapping):
            reason = f"{what} by name are wanted, not a {type(value).__name__}"
            return replace(answer, kind="broken", result=None, reason=reason)
    outputs = {}
    for name in OPERATORS[case.op].outputs:
        array = answer.result.outputs.get(name)
        if isinstance(array, np.generic):  # what NumPy makes of arrays without an axis
            array = np.asarray(array)
            whole = replace(answer.result, outputs={**answer.result.outputs, name: array})
            answer = replace(answer, result=whole)
        if not isinstance(array, np.ndarray):
            what = "missing" if array is None else f"a {type(array).__name__}, not an array"
            return replace(answer, kind="broken", result=None, reason=f"output {name!r} is {what}")
        wanted = storage(case.types[name])
        if array.dtype != wanted:
            reason = f"output {name!r} is {array.dtype}, the scheme {case.scheme} wants {wanted}"
            return replace(answer, kind="broken", result=None, reason=reason)
        outputs[name] = array
    return replace(answer, result=replace(answer.result, outputs=outputs))
