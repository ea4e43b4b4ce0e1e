"""The shell and TOML blocks of the how-to pages do what they say.

The Python blocks run by themselves: conftest.py collects them.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from refquant.cli.demo_data import load_demo
from refquant.cli.main import COMMANDS
from refquant.cli.main import main as refquant
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe, recipe
from refquant.model.rq import write_rq
from refquant_runtime.cli import main as runtime

PAGES = Path(__file__).parents[1] / "docs/how-to"
MAIN: dict[str, Callable[[list[str]], int]] = {"refquant": refquant, "refquant-runtime": runtime}
IMAGES = 8
CALIBRATION = 128  # as many as the last layer has inputs: GPTQ needs them


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def lines(page: str) -> list[list[str]]:
    """The commands of ours on a page, as words: no comments, no folder before the name."""
    words = [
        shlex.split(line, comments=True)
        for block in blocks(page, "sh")
        for line in block.splitlines()
    ]
    found = [[Path(w[0]).name, *w[1:]] for w in words if w]
    return [w for w in found if w[0] in MAIN]


@pytest.fixture
def demo_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `refquant demo --output demo/` leaves, with few images, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "demo"
    folder.mkdir()
    demo = load_demo(IMAGES)
    write_rq(folder / "float32.rq", quantize(demo.graph, recipe("float32")))
    np.savez(folder / "calibration.npz", x=demo.calibration[:CALIBRATION])
    np.savez(folder / "test.npz", x=demo.x, labels=demo.labels)
    return folder


def test_the_pages_show_every_command_that_exists() -> None:
    shown = {w[1] for page in PAGES.glob("*.md") for w in lines(page.name) if w[0] == "refquant"}
    assert shown == set(COMMANDS), f"shown: {sorted(shown)}"


def test_the_page_on_formats_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for name, *arguments in lines("explain-a-format.md"):
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
        assert capsys.readouterr().out, f"{name} {arguments} printed nothing"


def test_the_command_line_page_runs(demo_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for name, *arguments in lines("use-the-command-line.md"):
        if arguments[0] == "demo":  # tests/refquant/cli/test_demo.py runs it
            continue
        capsys.readouterr()
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
        if arguments[0] == "run":
            outputs += re.findall(r"[0-9a-f]{64}", capsys.readouterr().out)
    assert len(outputs) == 2, f"digests of the reference and of the runtime: {outputs}"
    assert len(set(outputs)) == 1, "the page says that both print the same digest"


def test_the_demo_takes_the_options_that_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert refquant(["demo", "--help"]) == 0, "help is no failure"
    known = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    shown = {w for line in lines("use-the-command-line.md") if line[1] == "demo" for w in line}
    options = {w for w in shown if w.startswith("--")}
    assert options, "the page shows no option of the demo"
    assert options <= known, f"unknown: {options - known}"


def test_the_evaluation_page_runs(demo_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(demo_files / "test.npz") as test:
        assert len(test["labels"]) == IMAGES, "few"
    for name, *arguments in lines("evaluate-a-model.md"):
        if any(word.startswith(("assets/", "smollm2_", "minilm", "decoder")) for word in arguments):
            assert arguments[0] in ("evaluate", "quantize"), "tests/models runs these"
            assert refquant([arguments[0], "--help"]) == 0, "help is no failure"
            known = set(re.findall(r"-[a-z-]+", capsys.readouterr().out))
            shown = {word for word in arguments if word.startswith("-")}
            assert shown <= known, f"{arguments}: unknown {shown - known}"
            continue
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"


def test_the_page_on_the_lost_accuracy_runs(
    demo_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "find-the-layer-that-lost-the-accuracy.md"
    (text,) = blocks(page, "toml")
    Path("stem8.toml").write_text(text)
    rules = files("refquant.model.recipes").joinpath("w8a8_tflite.toml").read_text()
    assert rules.count('"tflite_reference"') == 1, "what the page changes"
    Path("xnnpack.toml").write_text(rules.replace('"tflite_reference"', '"xnnpack"'))
    said = []
    for name, *arguments in lines(page):
        capsys.readouterr()
        assert MAIN[name](arguments) == 0, f"{name} {arguments}: {capsys.readouterr().err}"
        said.append(capsys.readouterr().out)
    assert (
        "first divergence: layer 1, stem.bn (Conv), at [0, 0, 0, 2]: 0.0351394862 in A"
        in "".join(said)
    )
    assert "first divergence: layer 2, stem.relu (Conv), at [" in said[-1], "two roundings"
    assert Path("int4.html").stat().st_size > 100_000, "a page"


def test_the_device_page_runs(demo_files: Path) -> None:
    shutil.copy(demo_files / "float32.rq", "model.rq")
    shutil.copy(demo_files / "calibration.npz", "x.npz")
    ours = lines("run-on-a-device.md")
    assert {w[1] for w in ours} == {"doctor", "info", "run", "bench"}, f"the page shows {ours}"
    for _, *arguments in ours:
        assert runtime(arguments) == 0, f"refquant-runtime {arguments} failed"


def test_the_recipes_of_the_pages_are_recipes() -> None:
    (text,) = blocks("use-the-command-line.md", "toml")
    demo = load_demo(IMAGES)
    made = quantize(demo.graph, parse_recipe(text, name="mine"), {demo.input: demo.x})
    kept = [n.name for n in made.nodes if n.name.startswith("head") and n.contract is None]
    assert kept, "the excluded head stays float32"


def test_the_recipe_with_settings_is_one() -> None:
    text = blocks("quantize-a-model.md", "toml")[0]  # the other is a part of one
    rules = parse_recipe(text.replace("head*", "y"), name="mine")
    demo = load_demo(1)
    made = quantize(demo.graph, rules, {demo.input: demo.calibration[:CALIBRATION]})
    found = {layer["node"]: layer["algorithm"] for layer in made.meta["numerics"]["layers"]}
    assert (found["stem.conv"], found["y"]) == ("gptq", "awq"), f"{found}"
