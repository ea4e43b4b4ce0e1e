"""Cheap cells of the results page are measured again: the numbers there are the code's."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.results.likeness import likeness
from examples.results.measure import measure
from examples.results.prepare import prepare
from examples.results.speech import read_aloud
from examples.results.subjects import NOVEL, SUBJECTS, WHISPER

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.models

CELLS = [
    ("fashion_cnn", "int4_gptq"), ("fashion_cnn", "w4a8_rotated"), ("fashion_cnn", "llm_int8"),
    ("fashion_cnn", "int8_cle"), ("g2p", "int4_hqq"),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "recipe"), CELLS)
def test_a_cell_is_what_it_was(subject: str, recipe: str) -> None:
    prepare([subject])
    known = json.loads((ROOT / "docs/concepts/results.json").read_text())["cells"]
    cell = measure(next(s for s in SUBJECTS if s.name == subject), recipe)
    then = known[subject][recipe]
    for key in ("bits", "metrics"):
        assert cell[key] == then[key], f"{key}: {cell[key]}, on the page {then[key]}"


def test_the_synthesizer_says_the_same_everywhere(tmp_path: Path) -> None:
    read_aloud(Path(NOVEL), tmp_path / "read", 4)
    sounds = sorted((tmp_path / "read").glob("*.wav"))
    assert len(sounds) == 4, "a voice each"
    digest = hashlib.sha256(b"".join(sound.read_bytes() for sound in sounds)).hexdigest()
    assert digest == "57afca256a21158c70ef4386161d28dae4d165ddc1d11d5f39b11dd9f15effcd", (
        f"{digest}: another sound than the page was measured with"
    )
    assert (tmp_path / "read/000.txt").read_text().startswith("CHAPTER 1"), "its text is beside it"


def test_the_command_finds_the_same_divergence(tmp_path: Path) -> None:
    sound = ROOT / "assets/librivox"
    command = [sys.executable, "-m", "refquant.cli"]
    for part in ("encoder", "decoder"):
        made = ["quantize", WHISPER, "--part", part, "--recipe", "int4_rtn"]
        subprocess.run([*command, *made, "-o", str(tmp_path / f"{part}.rq")], check=True)
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "transcription").write_text((sound / "transcription").read_text())
    for wav in sorted(sound.glob("*.wav"))[1:3]:
        (folder / wav.name).symlink_to(wav)
    asked = ["evaluate", str(tmp_path / "decoder.rq"), "--encoder", str(tmp_path / "encoder.rq")]
    asked += ["--reference", WHISPER, "--tokenizer", f"{WHISPER}/tokenizer.json", "--json"]
    asked += ["--metric", "kl", "--audio", str(folder)]
    done = subprocess.run([*command, *asked], check=True, capture_output=True, text=True)
    told, ours = json.loads(done.stdout), likeness(tmp_path, folder)
    assert ours == {key: told[key] for key in ours}, f"{ours}, {told}"
    assert 0.01 < ours["value"] < 1, f"4 bits cost something, and not all: {ours}"
