"""What adapters share: the list of cells is what was computed, never what was claimed."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refquant_conformance.adapters.engine import (
    Kept,
    computed,
    cpu_flags,
    imported,
    openblas_kernels,
)
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Capability, Case, Result, Unsupported


def test_a_cell_is_listed_only_if_its_sample_has_a_well_formed_answer() -> None:
    def run(case: Case) -> Result:
        if case.scheme == "f32_u8":
            return Result({"y": np.zeros((2, 8), np.uint8)})
        if case.scheme == "f32_i8":
            return Result({"y": np.zeros((2, 8), np.uint8)})  # the type of another scheme
        if case.scheme == "f32_u16":
            raise RuntimeError("broken")
        raise Unsupported("no")

    assert computed(run, ["quantize_linear"]) == (Capability("quantize_linear", "f32_u8"),), "more"


def test_cells_come_in_the_order_of_the_catalogue() -> None:
    seen: list[str] = []

    def run(case: Case) -> Result:
        seen.append(case.op)
        raise Unsupported("no")

    computed(run, ["qlinear_mul", "matmul_integer"])
    assert list(dict.fromkeys(seen)) == ["matmul_integer", "qlinear_mul"], "another order"
    count = len(OPERATORS["qlinear_mul"].schemes) + len(OPERATORS["matmul_integer"].schemes)
    assert len(seen) == count, "not every scheme was asked"


def test_the_oldest_of_what_is_kept_goes_and_what_was_used_stays() -> None:
    kept: Kept[int] = Kept(2)
    made: list[int] = []

    def make(n: int) -> int:
        made.append(n)
        return n

    for n in (1, 2, 1, 3, 1, 2):
        kept.get(n, lambda n=n: make(n))  # type: ignore[misc]  # mypy does not infer the default
    assert made == [1, 2, 3, 2], f"made {made}"


def test_an_engine_that_fails_to_import_for_another_reason_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_an_engine.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        imported("half_an_engine", "half")


def test_the_processor_is_told_where_there_is_a_file_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_flags(), "nothing is told"

    def gone(self: Path) -> str:
        raise FileNotFoundError(str(self))

    monkeypatch.setattr(Path, "read_text", gone)
    assert cpu_flags() == "not known here", "told without a file"


def test_the_kernels_of_openblas_are_those_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = openblas_kernels()
    if here != "not known here":  # a NumPy of a distribution, say
        code = "from refquant_conformance.adapters.engine import openblas_kernels as k; print(k())"
        asked = {**os.environ, "OPENBLAS_CORETYPE": "Nehalem"}  # SSE4.2 and no more
        told = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True)
        wanted = "Nehalem" if platform.machine() == "x86_64" else here
        assert told.stdout.decode().strip() == wanted, f"{told}"
    monkeypatch.setattr(np, "__file__", str(tmp_path / "numpy/__init__.py"))
    assert openblas_kernels() == "not known here", "told without a library"
