"""Models of other formats in `run`, `compare`, `inspect`: the same graph, the same numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.models import source_bytes
from refquant.model.graph import Graph
from refquant.model.loaders.sources import find_source, open_model
from tests.refquant.model.loaders import on_disk

Refquant = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path, refquant: Refquant) -> tuple[Path, Path, Path]:
    """A decoder within its folder, the same imported, and data for both."""
    folder, imported = on_disk.whisper(tmp_path / "w"), tmp_path / "d.rq"
    assert refquant("import", folder, "--part", "decoder", "-o", imported).code == 0, "imported"
    np.savez(
        tmp_path / "x.npz",
        audio=np.random.default_rng(0).standard_normal((1, 5, 8)).astype(np.float32),
        tokens=np.array([[1, 2, 3]], np.int32),
        position_ids=np.array([[0, 1, 2]], np.int32),
    )
    return folder, imported, tmp_path / "x.npz"


def test_a_part_runs_as_what_was_imported_of_it(
    files: tuple[Path, Path, Path], refquant: Refquant
) -> None:
    folder, imported, data = files
    found = []
    for options in ((folder, "--part", "decoder"), (imported,)):
        done = refquant("run", *options, "--input", data, "--json")
        assert done.code == 0, done.err
        found.append(json.loads(done.out)["outputs"])
    assert found[0] == found[1], "the same bits"


def test_compare_gives_the_part_to_whom_it_concerns(
    files: tuple[Path, Path, Path], refquant: Refquant
) -> None:
    folder, imported, data = files
    for sums in ((), ("--sums", "blas")):
        pair = (folder, imported, "--part", "decoder")
        done = refquant("compare", *pair, "--data", data, "--json", *sums)
        assert done.code == 0, done.err
        assert json.loads(done.out)["outputs"][0]["identical"] is True, done.out
    done = refquant("compare", imported, imported, "--part", "decoder", "--data", data, "--json")
    assert done.code == 2, f"exit code {done.code}"
    assert "--part 'decoder': no model here has parts; leave it away" in done.err, done.err
    done = refquant("compare", folder, imported, "--data", data, "--json")
    assert done.code == 1, f"exit code {done.code}"
    assert "holds the parts 'encoder', 'decoder'; choose one (--part)" in done.err, done.err


def test_inspect_looks_into_parts(files: tuple[Path, Path, Path], refquant: Refquant) -> None:
    folder, _, _ = files
    done = refquant("inspect", folder, "--part", "decoder", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["bytes"] == (folder / "model.bin").stat().st_size, "of the file it is in"
    assert told["sha256"] == told["meta"]["imported"]["sha256"], "of the same"
    assert [node["name"] for node in told["nodes"]][:1] == ["decoder/embeddings"], "its nodes"
    done = refquant("inspect", on_disk.llama(folder / "m.gguf"), "--part", "decoder", "--json")
    assert done.code == 2, f"exit code {done.code}"
    assert "a .gguf file has no parts; leave --part away" in done.err, done.err


def test_run_does_not_overwrite_what_it_reads(
    files: tuple[Path, Path, Path], refquant: Refquant
) -> None:
    _, imported, data = files
    before = data.read_bytes()
    done = refquant("run", imported, "--input", data, "--output", data)
    assert done.code == 2, f"exit code {done.code}"
    assert "is what is read; give another path for the output" in done.err, done.err
    assert data.read_bytes() == before, "as it was"


def test_a_size_is_of_the_file_or_of_float32(files: tuple[Path, Path, Path]) -> None:
    folder, imported, _ = files
    graph: Graph = open_model(imported)
    assert source_bytes(find_source(imported), graph) == (imported.stat().st_size, "file"), "rq"
    size = sum(4 * array.size for array in graph.constants.values())
    got = source_bytes(find_source(folder), graph)
    assert got == (size, "float32 tensors"), f"{got}: the file has float16, and the encoder"
