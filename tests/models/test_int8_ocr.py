"""Our int8 of PP-OCR, on drawn pages and lines: what docs/how-to/quantize-an-onnx-cnn.md says.

`make models` fetches the models and the novel.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe, recipe
from tests.models.test_int8_vision import made

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[2]
FILES: dict[str, tuple[str, list[int | str]]] = {
    "rec": ("ch_PP-OCRv4_rec_infer", ["N", 3, 48, 320]),
    "det": ("ch_PP-OCRv4_det_infer", ["N", 3, 160, 320]),
    "cls": ("ch_ppocr_mobile_v2.0_cls_infer", ["N", 3, 48, 192]),
}
LETTERS = 22  # of a line: examples/rapidocr_lines.py


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("rapidocr_lines.py", tmp_path_factory.mktemp("ocr"))


@cache
def model(name: str) -> Graph:
    file, shape = FILES[name]
    path = ROOT / f"assets/rapidocr/{file}.onnx"
    assert path.exists(), "run `make assets WANT=rapidocr`"
    return import_onnx(path, shapes={"x": shape})


def x_of(name: str, folder: Path) -> np.ndarray:
    return np.asarray(np.load(folder / f"{name}.npz")["x"], np.float32)


def test_two_layers_in_float32_bring_the_detector_to_twenty_db(drawn: Path) -> None:
    page = (ROOT / "docs/how-to/quantize-an-onnx-cnn.md").read_text("utf-8")
    (kept,) = [t for t in re.findall(r"```toml\n(.*?)```", page, re.S) if "p2o.Add.15" in t]
    graph, calibration = model("det"), {"x": x_of("det_calibration", drawn)}
    x = {"x": x_of("det_test", drawn)[:8]}
    exact = run(graph, x, sums="blas")[graph.outputs[0]].astype(np.float64)
    found = []
    for each in (recipe("int8_static"), parse_recipe(kept, name="kept")):
        got = run(quantize(graph, each, calibration), x, sums="blas")[graph.outputs[0]]
        found.append(sqnr_db(exact, got.astype(np.float64)))
    assert found[0] >= 16, f"{found}: the page says 16.9 dB"
    assert found[1] >= 20, f"{found}: the page says 20.7 dB"


@pytest.mark.parametrize(("name", "least", "angles"), [("int8_static", 18, 14),
                                                       ("w8a8_static_bias", 23, 16)])  # fmt: skip
def test_the_classifier_of_angles(name: str, least: float, angles: int, drawn: Path) -> None:
    graph, calibration = model("cls"), {"x": x_of("cls_calibration", drawn)}
    x = {"x": x_of("cls_test", drawn)}
    exact, got = (
        run(each, x, sums="blas")[graph.outputs[0]].astype(np.float64)
        for each in (graph, quantize(graph, recipe(name), calibration))
    )
    found = sqnr_db(exact, got)
    assert found >= least, f"{name}: {found:.1f} dB; the page says 18.4 and 24.1"
    same = int((exact.argmax(axis=1) == got.argmax(axis=1)).sum())
    assert same >= angles, f"{name}: {same} of {len(exact)}, the page says 14 and 16"


def table() -> list[str]:
    file = onnx.load(ROOT / f"assets/rapidocr/{FILES['rec'][0]}.onnx")
    held = {entry.key: entry.value for entry in file.metadata_props}
    return ["", *held["character"].splitlines(), " "]


def read(probabilities: np.ndarray, letters: list[str]) -> list[str]:
    """The likeliest of each place; neighbours that are the same are one, and blanks are none."""
    best = probabilities.argmax(axis=-1)
    first = np.concatenate([np.ones((len(best), 1), bool), best[:, 1:] != best[:, :-1]], axis=1)
    return ["".join(letters[i] for i in row[new]) for row, new in zip(best, first, strict=True)]


def wrong(a: str, b: str) -> int:
    """Letters to put in, take out or change: Levenshtein's distance."""
    before = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other)))
        before = row
    return before[-1]


def test_the_recognizer_reads_as_well_in_int8(drawn: Path) -> None:
    graph, calibration = model("rec"), {"x": x_of("rec_calibration", drawn)}
    x = {"x": x_of("rec_test", drawn)}
    words = (ROOT / "assets/text/moby-dick/data/data.txt").read_text("utf-8").split()
    text = " ".join(words)[20_000:]
    lines = [text[i * LETTERS :][:LETTERS].strip() for i in range(100, 100 + len(x["x"]))]
    found = []
    for each in (graph, quantize(graph, recipe("int8_static"), calibration)):
        reading = read(run(each, x, sums="blas")[graph.outputs[0]], table())
        found.append(sum(wrong(a, b) for a, b in zip(lines, reading, strict=True)))
    assert found[0] <= 30, f"{found}: the page says 27 of 346"
    assert found[1] <= found[0] + 5, f"{found}: the page says 23"
