"""`refquant compare --html` on real models: as many layers as they have, a page that opens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.main import main
from tests.refquant.report.html_page import faults, read

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
LIMIT = 5_000_000  # bytes of a page that a browser opens at once


def compare(capsys: pytest.CaptureFixture[str], *options: object) -> Any:
    capsys.readouterr()
    code = main(["compare", *map(str, options), "--sums", "blas", "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def tokens(path: Path, names: tuple[str, ...], samples: int) -> Path:
    """Twelve tokens a sample, by chance; all of them count, and stand one behind the other."""
    rng = np.random.default_rng(0)
    shape = (samples, 12)
    arrays = {
        "input_ids": rng.integers(1000, 20_000, shape),
        "position_ids": np.broadcast_to(np.arange(12), shape),
        "attention_mask": np.ones(shape),
        "token_type_ids": np.zeros(shape),
    }
    chosen: Any = {name: arrays[name].astype(np.int32) for name in names}
    np.savez(path, **chosen)
    return path


def test_minilm_in_eight_bits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, small, page = ASSETS / "minilm", tmp_path / "small.rq", tmp_path / "page.html"
    assert main(["quantize", str(model), "--scheme", "int8_dynamic", "-o", str(small)]) == 0
    names = ("input_ids", "token_type_ids", "position_ids", "attention_mask")
    data = tokens(tmp_path / "d.npz", names, 2)
    found = compare(capsys, model, small, "--data", data, "--html", page)
    first = found["first_divergence"]["value"]
    assert first.startswith("encoder.layer.0.attention.self."), f"{first}: the tables are float32"
    assert len(found["layers"]) > 100, f"{len(found['layers'])}"
    made = read(page.read_bytes())
    assert faults(made) == [], f"{faults(made)}"
    assert "12 of " in made.text, "not every layer has a figure"
    assert page.stat().st_size < LIMIT, f"{page.stat().st_size}"


def test_smollm2_beside_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its weights are codes, on both sides."""
    model, page = ASSETS / "smollm2", tmp_path / "page.html"
    data = tokens(tmp_path / "d.npz", ("input_ids", "position_ids"), 1)
    found = compare(capsys, model, model, "--data", data, "--html", page)
    assert found["first_divergence"] is None, f"{found['first_divergence']}"
    assert len(found["layers"]) > 400, f"{len(found['layers'])}"
    assert page.stat().st_size < LIMIT, f"{page.stat().st_size}"
    made = read(page.read_bytes())
    assert faults(made) == [], f"{faults(made)}"
    assert "No divergence" in made.text, "the same"
    assert "ffn_mul" in made.text[made.text.index("The largest magnitude of one channel") :]
