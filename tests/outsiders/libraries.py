"""What the tests of adapters of libraries share: contracts by cell, programs that say the same."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from refquant_conformance.identify import identify
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Local

Cells = Iterable[tuple[str, str, str]]


def wrong(backend: Any, cells: Cells) -> list[str]:
    """The cells (operator, scheme, first name of the contract) that are found to be another one."""
    found = []
    for op, scheme, name in cells:
        seen = identify(Local(backend), op, scheme)
        if seen.name.partition(" (also")[0] != name:
            found.append(f"{op} {scheme}: {seen.name}, not {name}; {seen.nearest} {seen.trouble}")
    return found


def repeated(backend: Any, case: Case) -> bool:
    """Whether the program of a case needs nothing of ours, and prints the answer of the adapter."""
    program = backend.repro(case)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    wanted = str(backend.run(case).outputs["y"].tolist())
    return "refquant" not in program and wanted in said.stdout
