"""Operators of sequences and of imported models: the runtime computes the reference's bits.

As `test_equivalence`: random small graphs, every bit compared, on every instruction set of this CPU
and with one and two threads. A session runs sequences of several lengths, some of them twice.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.model.rq import write_rq
from refquant_runtime import Session, isa
from tests.runtime.sequence_cases import CASES
from tests.runtime.test_equivalence import compare

EXAMPLES = 12


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("path", isa.available())
@pytest.mark.parametrize("case", CASES)
def test_runtime_equals_reference(
    case: str, path: str, threads: int, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("REFQUANT_ISA", path)
    file = tmp_path_factory.mktemp(case) / "m.rq"

    @settings(max_examples=EXAMPLES if path == isa.available()[-1] else EXAMPLES // 2)
    @given(seed=st.integers(0, 2**32 - 1))
    def law(seed: int) -> None:
        check(case, seed, file, threads)

    law()


def check(case: str, seed: int, file: Path, threads: int) -> None:
    """Build one case, run both sides on all its inputs, compare every output."""
    graph, runs = CASES[case](np.random.default_rng(seed), preset("ort"))
    write_rq(file, graph)
    session = Session(file, threads=threads)
    try:
        for feeds in [*runs, runs[0]]:
            compare(session, graph, feeds, f"{case} seed {seed}")
    finally:
        session.close()
