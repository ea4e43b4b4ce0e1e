"""The page on certifying a backend: its commands run, its C compiles, what it shows is said."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refquant_conformance.cli import COMMANDS, main
from refquant_conformance.vectors.generate import generate
from refquant_conformance.vectors.read import published
from refquant_conformance.wire import dumps
from tests.test_how_to import blocks

PAGE = "certify-your-backend.md"
EXAMPLES = Path(__file__).parents[1] / "examples/conformance"
FIXED = """            whole = np.trunc(v)
            tie_or_more = np.abs(v - whole) >= 0.5
            q = whole + np.where(tie_or_more, np.sign(v), np.float32(0)) + np.float32(zero_point)
"""


def commands(page: str) -> list[str]:
    """The lines of a page's shell blocks that are not about installing."""
    found = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in found if line and not line.startswith("pip ")]


def as_installed(line: str) -> str:
    """The line with the programs of this checkout, whether it is installed or not."""
    python = shlex.quote(sys.executable)
    line = re.sub(r"^refquant-conformance ", f"{python} -m refquant_conformance ", line)
    plugin = "-p refquant_conformance.plugin -p no:cacheprovider"
    return re.sub(r"^pytest ", f"{python} -m pytest {plugin} ", line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader has saved."""
    made = tmp_path_factory.mktemp("certify")
    for file in EXAMPLES.iterdir():
        if file.is_file():
            shutil.copy(file, made)
    if not published():  # this checkout has not published its vectors yet
        (made / "vectors.json").write_text(dumps(generate("quantize_linear")) + "\n", "utf-8")
    return made


def says(folder: Path, line: str) -> tuple[int, str]:
    if " vectors " in line and (folder / "vectors.json").exists():
        line += " --file vectors.json"
    paths = os.pathsep.join(path for path in sys.path if path)
    alone = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # as in test_plugin.py
    environment = os.environ | {"PYTHONPATH": paths} | alone
    done = subprocess.run(
        as_installed(line), shell=True, cwd=folder, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, tuple[int, str]]:
    """What each command of the page says, in the order of the page."""
    return {line: says(folder, line) for line in commands(PAGE)}


def test_every_command_ends_as_the_page_says(said: dict[str, tuple[int, str]]) -> None:
    assert len(said) == 14, f"{list(said)}"
    for line, (code, text) in said.items():
        wanted = 1 if re.search(r"# .*\b1$", line) else 0
        assert code == wanted, f"{line}: {code}, {text}"


def test_what_the_page_shows_is_what_is_said(said: dict[str, tuple[int, str]]) -> None:
    everything = " ".join("\n".join(text for _, text in said.values()).split())
    shown = [line for block in blocks(PAGE, "text") for line in block.splitlines()]
    assert len(shown) == 16, f"{len(shown)} lines"
    for line in shown:
        words = re.escape(" ".join(line.split())).replace(r"\ ", " ")
        if " BIT_EXACT," in line:  # every new property adds to these, as the page says
            words = re.sub(r"\d+", r"\\d+", words)
        assert re.search(words, everything), f"nothing says: {line}"


def test_the_second_bug_is_mended_as_the_page_says(folder: Path, tmp_path: Path) -> None:
    for name in ("backend.py", "away.py", "known.toml"):
        shutil.copy(folder / name, tmp_path)
    file = tmp_path / "away.py"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    mended = [FIXED if line.lstrip().startswith("q = ") else line for line in lines]
    file.write_text("".join(mended), "utf-8")
    (python,) = blocks(PAGE, "python")
    for line in FIXED.splitlines():
        assert line.strip() in python, f"the page mends it in another way than {line.strip()}"
    asked = "refquant-conformance run --backend away:Backend --op quantize_linear"
    assert says(tmp_path, asked)[0] == 1, "it still claims half_even"
    code, text = says(tmp_path, f"{asked} --deviations known.toml")
    assert code == 0, text
    assert "DEVIATES_DOCUMENTED" in text, text


def test_the_examples_are_as_short_as_the_page_says() -> None:
    for name in ("backend.py", "backend.c"):
        count = len((EXAMPLES / name).read_text("utf-8").splitlines())
        assert count <= 40, f"{name} has {count} lines"
    source = (EXAMPLES / "device.c").read_text("utf-8")
    loop = source[source.index("for (const struct") : source.index('printf("%zu tests')]
    assert loop.count("\n") <= 15, f"the loop has {loop.count(chr(10))} lines"


def test_a_wrong_kernel_is_seen_on_the_device(folder: Path, tmp_path: Path) -> None:
    """The test of the example: it must be able to fail."""
    source = (EXAMPLES / "device.c").read_text("utf-8")
    (tmp_path / "device.c").write_text(source.replace("nearbyintf(", "floorf("), "utf-8")
    asked = "vectors header --op quantize_linear --scheme f32_i8 --contract spec -o vectors.h"
    words = shlex.split(asked)
    if (folder / "vectors.json").exists():
        words += ["--file", str(folder / "vectors.json")]
    words[words.index("vectors.h")] = str(tmp_path / "vectors.h")
    assert main(words) == 0, "no header"
    code, text = says(tmp_path, "cc -O2 -o device device.c -lm && ./device")
    assert (code, "test 97: wrong" in text) == (1, True), text


def test_the_page_on_commands_shows_every_one() -> None:
    lines = [shlex.split(line, comments=True) for line in commands("use-the-command-line.md")]
    shown = {words[1] for words in lines if words and words[0] == "refquant-conformance"}
    assert shown == set(COMMANDS), f"{sorted(shown)}"
