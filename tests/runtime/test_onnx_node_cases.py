"""ONNX's own cases in the runtime: the reference's bits, or refused by name.

Which cases pass is `tests.refquant.model.importers.test_onnx_lower`'s business. A case gives every
operand as an input, weights too; where the runtime takes constants only, they are made constants.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.errors import UnsupportedError
from tests.refquant.model.importers.test_onnx_lower import claimed, imported

REFUSED = {  # what the reference computes and the runtime says it does not: words, cases
    "one mask for several samples": 7,
    "of uint16 is not implemented": 1,
    "dequantizes uint16 is not implemented": 1,
    "needs equal leading dimensions": 2,
}


def outcome(case: Any, path: Path) -> str:
    """``equal``, why the runtime refuses it, or nothing: it cannot be imported."""
    said = ""
    for found in imported(case):
        if isinstance(found, str):
            continue
        graph, given = found
        write_rq(path, graph)
        try:
            got = Session(path, threads=1).run(given)
        except UnsupportedError as error:
            said = said or str(error).split(": ", 1)[1]
            continue
        want = run(graph, given)
        for name in graph.outputs:
            same = got[name].tobytes() == want[name].tobytes()
            if want[name].dtype.kind == "f" and bool(np.isnan(want[name]).any()):
                same = np.array_equal(got[name], want[name], equal_nan=True)
            assert same, f"{case.name}: {name} has other bits"
        return "equal"
    return said


@pytest.mark.slow
def test_the_runtime_gives_the_bits_of_the_reference(tmp_path: Path) -> None:
    said = {case.name: outcome(case, tmp_path / "m.rq") for case in claimed()}
    kinds = Counter(said.values())
    equal = kinds.pop("equal")
    kinds.pop("", None)
    assert equal >= 659, f"{equal} equal; {kinds}"
    found = Counter({words: 0 for words in REFUSED})
    for reason, count in kinds.items():
        (words,) = [words for words in REFUSED if words in reason] or [reason]
        found[words] += count
    assert found == REFUSED, f"{kinds}"
