"""The exhaustive sweep, on a few chunks: it finds a wrong code, and goes on where it stopped."""

import json
from pathlib import Path

import numpy as np
import pytest

from refquant.numerics.minifloat import encode
from refquant.numerics.minifloat_formats import float_format
from refquant_conformance import sweep
from refquant_conformance.float_oracle import SMALL_FLOATS, code_of, first_patterns


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge 4096 inputs a chunk, in this process."""

    def judge(work: list[tuple[str, int]], workers: int) -> object:
        for each in work:
            yield *each, *sweep.wrong_inputs(*each, size=4096)

    monkeypatch.setattr(sweep, "_judge", judge)


@pytest.mark.parametrize("task", sweep.TASKS)
def test_the_reference_is_right_around_every_step(task: str) -> None:
    name, rule = sweep._parts(task)
    form = SMALL_FLOATS[name]
    words = {"ceil": "away_from_zero", "floor": "toward_zero"}.get(rule, rule)
    steps = first_patterns(form, words)
    near = np.array([bits + d for bits in [0, 2**31, *steps] for d in range(3)], np.uint32)
    patterns = np.concatenate([near, near | np.uint32(2**31), [np.uint32(0x7FC00000)]])
    inputs = patterns.astype(np.uint32).view(np.float32)
    codes = encode(inputs, float_format(name), rounding=rule)
    one_by_one = [code_of(int(bits), form, steps) for bits in patterns]
    assert codes.tolist() == one_by_one, f"{task}: the reference differs near a step"
    vectorised = sweep.expected_codes(patterns.astype(np.uint32), task=task)
    assert vectorised.tolist() == one_by_one, f"{task}: the two readings of the staircase differ"


def test_a_wrong_tie_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(x: object, format: object, *, rounding: str) -> object:
        return encode(x, format, rounding="half_away")  # type: ignore[arg-type]  # passed on as is

    monkeypatch.setattr(sweep, "encode", wrong)
    state = tmp_path / "state.json"
    code = sweep.main(["--only", "e5m2/half_even", "--state", str(state), "--chunks", "60"])
    said = capsys.readouterr()
    assert code == 1, f"a wrong tie must fail the sweep: {said.out}"
    assert "e5m2/half_even: float32 0x37000000 (7.6293945e-06) -> 0x01" in said.err, said.err
    finished = json.loads(state.read_text())["done"]["e5m2/half_even"]
    assert 55 not in finished, "a chunk with a difference is not done"


def test_an_interrupted_sweep_goes_on_and_other_sources_begin_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.json"
    line = ["--only", "e8m0/up", "--state", str(state)]
    assert sweep.main([*line, "--chunks", "3"]) == 0, "three chunks must pass"
    assert "3 of 256 chunks" in capsys.readouterr().out, "the summary counts what is done"
    assert sweep.main([*line, "--chunks", "2"]) == 0, "two more must pass"
    assert "5 of 256 chunks" in capsys.readouterr().out, "the second run must go on after the first"
    monkeypatch.setattr(sweep, "sources_digest", lambda: "other")
    assert sweep.main([*line, "--chunks", "1"]) == 0, "one chunk must pass"
    said = capsys.readouterr()
    assert "other sources" in said.err, "a state of other sources must be named"
    assert "1 of 256 chunks" in said.out, "and not be counted"
    state.write_text("{")
    assert sweep.main([*line, "--chunks", "1"]) == 0, "a broken state is no obstacle"
    assert "no state of a sweep" in capsys.readouterr().err, "but it is named"


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown task 'e4m3fn/up'; the tasks are"):
        sweep.expected_codes(np.zeros(1, np.uint32), task="e4m3fn/up")
