"""Compiled kernels are found again, and never by another version's sources."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refquant_runtime
from refquant_runtime.kernels.cache import cache_folder

SCRIPT = """
import sys
import numpy as np
from refquant_runtime.kernels.abi import compiled, _COMPILED
from refquant_runtime.kernels.move import fill
if sys.argv[1:]:
    with open(sys.argv[1], "a") as file:
        file.write("# changed while we run\\n")
compiled(fill)
print(_COMPILED[fill].cache_hits)
"""


def hits(folder: Path, source: Path, *edited: Path) -> tuple[int, str]:
    """Compile one kernel in a new process; return cache hits and what it said.

    The file ``edited`` changes between the import and the compilation.
    """
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *edited],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout), done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, as files that a test may edit."""
    package = Path(refquant_runtime.__file__).parent
    copy = tmp_path / "source" / "refquant_runtime"
    for file in package.rglob("*.py"):
        target = copy / file.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return copy


def test_second_start_loads_and_an_edit_anywhere_compiles_anew(copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first, said = hits(cache, copy.parent)
    assert (first, said.count("compiling kernels")) == (0, 1), f"the first start compiles: {said}"
    again, said = hits(cache, copy.parent)
    assert (again, said) == (1, ""), f"the second start loads, silently: {again} {said!r}"
    helper = copy / "kernels" / "requantize.py"
    helper.write_text(helper.read_text() + "# a helper changed\n")
    edited, _ = hits(cache, copy.parent)
    assert edited == 0, "machine code of other sources must not be found"


def test_kernels_of_sources_that_have_changed_since_are_kept_for_nobody(
    copy: Path, tmp_path: Path
) -> None:
    helper, cache = copy / "kernels" / "requantize.py", tmp_path / "cache"
    compiled, said = hits(cache, copy.parent, helper)
    assert compiled == 0, "nobody has compiled before"
    assert "files have changed since it started; start it again" in said, said
    again, _ = hits(cache, copy.parent)
    assert again == 0, "machine code of the sources before the edit"


def test_folder_is_inside_what_the_environment_says() -> None:
    folder = cache_folder()
    assert folder is not None, "this machine can write a cache"
    assert folder.parent.name == "refquant-runtime", f"{folder}"
    assert folder.is_dir(), f"{folder} exists"
