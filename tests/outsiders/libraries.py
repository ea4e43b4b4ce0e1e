"""What the tests of adapters of libraries share: contracts by cell, programs that say the same."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from refquant.contracts import PRESETS, preset
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Local

Cells = Iterable[tuple[str, str, str]]


def wrong(backend: Any, cells: Cells) -> list[str]:
    """The cells (operator, scheme, contract: a preset or the whole name) that are another one."""
    found = []
    for op, scheme, name in cells:
        seen, family = identify(Local(backend), op, scheme), arithmetic_of(op, scheme)
        assert family is not None, f"no yardstick for {op} {scheme}"
        if name in PRESETS and axes_of(preset(name), family) in seen.consistent:
            continue
        if seen.name != name:
            found.append(f"{op} {scheme}: {seen.name}, not {name}; {seen.nearest} {seen.trouble}")
    return found


def repeated(backend: Any, case: Case) -> bool:
    """Whether the program of a case needs nothing of ours, and prints the answer of the adapter."""
    program = backend.repro(case)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    wanted = str(backend.run(case).outputs["y"].tolist())
    return "refquant" not in program and wanted in said.stdout
