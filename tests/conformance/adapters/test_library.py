"""Adapters of libraries: a sheet and a file of calls, tried with a library that is none."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, MissingBackendError
from refquant_conformance.adapters.library import Library, Sheet
from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Capability, Rejected, Unsupported
from refquant_conformance.subject import Local
from tests.conformance.adapters import stub_calls

SHEET = Sheet(
    "stub",
    "numpy",
    "tests.conformance.adapters.stub_calls",
    ("numpy",),
    {"": ("quantize_linear",), "loud": ("quantize_linear",)},
    {"threads": (1, 2)},
)
ONE = case_of("f32_i8", np.array([-0.5, 2.7], np.float32), 0.5, 1)


def test_only_what_is_computed_is_listed_and_it_is_identified() -> None:
    backend: Any = Library(SHEET, "")
    assert backend.capabilities() == (Capability("quantize_linear", "f32_i8"),), "another cell"
    found = identify(Local(backend), "quantize_linear", "f32_i8")
    assert found.nearest is not None or found.consistent, "nothing was asked"
    axes = found.consistent[0] if found.consistent else found.nearest
    assert axes is not None, "no choice"
    assert axes["rounding"] == "floor", f"{axes}"


def test_names_and_versions() -> None:
    info = Library(SHEET, "loud").info()
    assert (info.name, info.version) == ("stub:loud", np.__version__), f"{info}"
    assert dict(info.knobs) == {"threads": (1, 2)}, f"{info.knobs}"
    declared: Any = Library(SHEET, "").declared
    assert declared("quantize_linear") is None, "a library declares nothing"


def test_knobs_are_set_and_others_refused() -> None:
    backend = Library(SHEET, "")
    backend.configure(threads=2)
    assert stub_calls.KNOBS["threads"] == 2, "not told"
    assert backend.run(ONE).provenance == {"threads": "2"}, "not in the answer"
    for knobs in ({"threads": 3}, {"speed": 1}):
        with pytest.raises(BackendError, match="threads of"):
            backend.configure(**knobs)


def test_errors_are_answers() -> None:
    with pytest.raises(Unsupported, match=r"^int8 only$"):
        Library(SHEET, "").run(sample("quantize_linear", "f32_u8"))
    with pytest.raises(Unsupported, match="asks stub for no matmul_integer"):
        Library(SHEET, "").run(sample("matmul_integer", "i8_i8"))
    for setting in ("", "loud"):
        with pytest.raises(Rejected, match="no scale of 2"):
            Library(SHEET, setting).run(case_of("f32_i8", np.array([1.0], np.float32), 2.0, 0))


def test_wrong_settings_and_missing_packages() -> None:
    with pytest.raises(BackendError, match="it has '', 'loud'"):
        Library(SHEET, "fast")
    with pytest.raises(MissingBackendError, match=r"refquant-conformance\[stub\]"):
        Library(replace(SHEET, packages=("no_such_engine",)), "")


def test_the_program_of_a_case_needs_numpy_only() -> None:
    program = Library(SHEET, "").repro(ONE)
    assert "refquant" not in program, "needs this package"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout.strip() == "y int8 [0, 6]", said.stderr
