"""Real models in the shell: the page on transformers, and the recipes that look at data."""

from pathlib import Path
from typing import Any

import pytest

from refquant.cli.main import main
from refquant.model.rq import read_rq
from tests.test_how_to import MAIN, lines

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
TEXT = "assets/text/sotu/data/1981_jimmy_carter_d.txt"
DATA = {
    "minilm": (["assets/minilm"], [TEXT, "--samples", "6", "--context", "64"]),
    "decoder": (
        ["assets/whisper_tiny_en", "--part", "decoder"],
        ["assets/librivox", "--samples", "1"],
    ),
}
"""Model and calibration: little, so that it is done in a minute."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the assets."""
    for name in ("minilm", "whisper_tiny_en", "text", "librivox"):
        assert (ASSETS / name).exists(), f"{name} is not there; run `make models`"
    (tmp_path / "assets").symlink_to(ASSETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, *arguments in lines("quantize-a-transformer.md"):
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.rq")}
    assert len(sizes) == 5, f"{sizes}"
    assert all(size < 40_000_000 for size in sizes.values()), f"{sizes}"


@pytest.mark.parametrize("scheme", ["int4_awq", "w8a8_smoothquant", "int4_gptq"])
@pytest.mark.parametrize("name", DATA)
def test_recipes_with_data_do_it(
    name: str, scheme: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = DATA[name]
    few = ["--few-tokens"] if scheme == "int4_gptq" else []
    options = ["--scheme", scheme, "--calibration", *data, *few, "--sums", "blas", "-o", "q.rq"]
    assert main(["quantize", *model, *options]) == 0, capsys.readouterr().err
    meta: Any = read_rq(folder / "q.rq").meta
    assert meta["recipe"]["name"] == scheme, f"{meta['recipe']}"
    assert meta["imported"]["sha256"], "it says where it came from"
