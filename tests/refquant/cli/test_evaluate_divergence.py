"""``refquant evaluate --metric kl``: along a text, and along what is said."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refquant.cli.evaluated import NEXT, language_model, recordings, result, speech
from tests.refquant.evaluation.next_token import surprise
from tests.refquant.evaluation.test_divergence import BOUND, exact

Refquant = Callable[..., Any]

OTHER = (NEXT * np.float32(0.5)).astype(np.float32)
"""Half as sure: the same token is the likeliest everywhere."""

DEAF = NEXT.copy()
DEAF[3] = (0, 10, 0, 0, 6, 0)
"""After "was" it ends, where the other says "not"."""


def mean_of(pairs: list[tuple[int, int]], theirs: Any, ours: Any) -> Decimal:
    return sum((exact(theirs[a], ours[a]) for a, _ in pairs), Decimal(0)) / len(pairs)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return recordings(tmp_path / "sound", "he was not", "he was")


PAIRS = [(0, 2), (2, 3), (3, 4), (4, 1), (0, 2), (2, 3), (3, 1)]
"""Token and what follows it, of both texts and their ends."""


def test_along_what_is_said(tmp_path: Path, sound: Path, refquant: Refquant) -> None:
    reference, model = speech(tmp_path / "a"), speech(tmp_path / "b", DEAF)
    halves = (model[1], "--encoder", model[0], "--reference", reference[1], "--audio", sound)
    found = result(refquant("evaluate", *halves, "--metric", "kl", "--json"))
    assert (found["metric"], found["unit"], found["samples"]) == ("kl", "nats", 2), f"{found}"
    assert found["tokens_scored"] == len(PAIRS), "the ends, too"
    wanted = mean_of(PAIRS, NEXT, DEAF)
    assert abs(Decimal(found["value"]) - wanted) <= BOUND, f"{found['value']}, {wanted}"
    assert found["agreement"] == 100 * (5 / 7), "after both 'was' they differ"
    assert [tokens for tokens, _ in found["each"]] == [4, 3], "recordings, and their ends"
    for (tokens, nats), pairs in zip(found["each"], (PAIRS[:4], PAIRS[4:]), strict=True):
        assert abs(Decimal(nats) / tokens - mean_of(pairs, NEXT, DEAF)) <= BOUND, f"{found}"
    for key, table in (("nll", DEAF), ("nll_reference", NEXT)):
        assert abs(found["nll"] - found["nll_reference"]) > 0.01, "which is whose can be told"
        nats = sum((surprise(table[a], b) for a, b in PAIRS), Decimal(0)) / len(PAIRS)
        assert abs(Decimal(found[key]) - nats) <= BOUND, f"{key}: {found[key]}, {nats}"
    said = refquant("evaluate", *halves, "--metric", "kl").out
    assert f"KL nats a token {found['value']:.5f} of 2 recordings" in said, said
    assert "along 7 tokens: the same one is likeliest at 71.43 %" in said, said


def test_along_a_text(tmp_path: Path, refquant: Refquant) -> None:
    for name, table in (("a", NEXT), ("b", OTHER)):
        (tmp_path / name).mkdir()
        language_model(tmp_path / name / "m.rq", table)
    text = tmp_path / "text.txt"
    text.write_text("he was not he was was not he he was")
    options = ("--text", text, "--context", 4, "--metric", "kl")
    models = (tmp_path / "a/m.rq", tmp_path / "b/m.rq")
    same, other = result(refquant("evaluate", *models, *options, "--json"))
    assert same["value"] == 0, "the reference is the first"
    windows = [(2, 3), (3, 4), (4, 2), (3, 3), (3, 4), (4, 2)]  # "he was not he", "was was not he"
    wanted = mean_of(windows, NEXT, OTHER)
    assert (other["samples"], other["context"], other["tokens_scored"]) == (2, 4, 6), f"{other}"
    assert abs(Decimal(other["value"]) - wanted) <= BOUND, f"{other['value']}, {wanted}"
    assert other["agreement"] == 100, f"{other}"
    one = result(refquant("evaluate", *models, *options, "--samples", 1, "--json"))[1]
    assert one["tokens_scored"] == 3, f"{one}"
    table = refquant("evaluate", *models, *options).out
    assert "agree %" in table, table
    assert "KL nats a token" in table, table


def test_a_reference_hears_with_its_own_encoder_only_if_it_has_one(
    tmp_path: Path, sound: Path, refquant: Refquant
) -> None:
    pair = speech(tmp_path / "a")
    done = refquant("evaluate", pair[1], "--reference", pair[1], "--audio", sound, "--metric", "kl")
    assert done.code == 2, f"exit code {done.code}"
    assert "give the other half by --encoder" in done.err, done.err
    both = (pair[0], "--reference", pair[0], "--decoder", pair[1], "--audio", sound)
    assert result(refquant("evaluate", *both, "--metric", "kl", "--json"))["value"] == 0, "encoders"


def test_what_says_nothing_is_refused(tmp_path: Path, sound: Path, refquant: Refquant) -> None:
    model = language_model(tmp_path / "m.rq")
    text = tmp_path / "text.txt"
    text.write_text("he was not " * 4)
    np.savez(tmp_path / "d.npz", input_ids=np.zeros((1, 4), np.int32))
    kl = ("--metric", "kl")
    refused: list[tuple[tuple[Any, ...], int, str]] = [
        (("--text", text, *kl), 2, "compares with another model; give it by --reference"),
        (("--data", tmp_path / "d.npz", "--reference", model, *kl), 2, "needs --audio or --text"),
        (("--text", text, "--reference", model, "--bos", *kl), 2, "--bos is for --metric perpl"),
        (("--text", text, "--reference", model, "--context", 99, *kl), 1, "99"),
    ]
    for options, code, why in refused:
        done = refquant("evaluate", model, *options)
        assert done.code == code, f"{options}: exit code {done.code}: {done.err}"
        assert why in done.err, f"{options}: {done.err}"
