r"""Make the vectors of an operator: its probes, cut to what fits a file, with everybody's answers.

A test is a case and the list of different answers to it, each with the contracts that give it::

    {"tcId": 7, "flags": ["rounding", "scale_op"], "params": {...},
     "inputs":   {"x": {"type": "float32", "shape": [64], "hex": "..."}, ...},
     "expected": [{"contracts": ["spec", "ort"], "outputs": {"y": {...}}},
                  {"contracts": ["tflite_reference"], "outputs": {"y": {...}}},
                  {"contracts": ["aimet"], "refused": true}],
     "result": "valid"}

``flags`` names the axes on which another value would change the answer: what the test is good for.
``result`` is ``undefined`` where the specification is silent on such an axis; then no answer is
called ``spec``. Answers come from the reference, and ``lint`` has the oracle count them again.

References
----------
Wycheproof's test vectors, for the form: one file an operator, groups, flags with notes.
"""

from typing import Any

from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic
from refquant_conformance.protocol import Case
from refquant_conformance.report.document import EDITION
from refquant_conformance.vectors.choose import chosen
from refquant_conformance.vectors.expected import answers, flags, undefined
from refquant_conformance.vectors.read import LICENCE, SCHEMA
from refquant_conformance.wire import array_to_json

__all__ = ["fits", "generate"]

_LARGEST = 1_000_000  # bytes of a file


def generate(op: str) -> dict[str, Any]:
    """Return the vectors of an operator: a group for each scheme that has an arithmetic.

    ``ValueError`` if the judge has no arithmetic for it.
    """
    groups = []
    number = 0
    for arithmetic in ARITHMETICS:
        for scheme in arithmetic.schemes if arithmetic.op == op else ():
            tests = []
            for case in chosen(arithmetic, scheme):
                if not answers(arithmetic, case):
                    continue  # the specification is silent, and no contract says anything
                number += 1
                tests.append({"tcId": number, **_test(arithmetic, case)})
            groups.append({"scheme": scheme, "clause": arithmetic.clause, "tests": tests})
    if not groups:
        raise ValueError(f"there is no arithmetic for {op}, so there are no vectors of it")
    return {
        **{"schema": SCHEMA, "edition": EDITION, "op": op, "licence": LICENCE},
        **{"numberOfTests": number, "testGroups": groups},
    }


def fits(size: int) -> bool:
    """Whether a file of that many bytes may be published.

    >>> fits(999_999), fits(1_000_001)
    (True, False)
    """
    return size <= _LARGEST


def _test(arithmetic: Arithmetic, case: Case) -> dict[str, Any]:
    listed = []
    for shown, outputs in answers(arithmetic, case):
        answer: dict[str, Any] = {"contracts": shown}
        if outputs is None:
            answer["refused"] = True
        else:
            answer["outputs"] = {n: array_to_json(a, case.types[n]) for n, a in outputs.items()}
        listed.append(answer)
    params = {k: list(v) if isinstance(v, tuple) else v for k, v in case.params.items()}
    return {
        "flags": flags(arithmetic, case),
        "params": params,
        "inputs": {n: array_to_json(a, case.types[n]) for n, a in case.inputs.items()},
        "expected": listed,
        "result": "undefined" if undefined(arithmetic, case) else "valid",
    }
