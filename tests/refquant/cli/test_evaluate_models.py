"""Which graph a path is, and its other half."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from refquant.cli.common import UsageError
from refquant.cli.evaluate_models import chosen_sums, open_evaluated, other_half, role, size_of
from refquant.model.build import Builder
from refquant.model.loaders.sources import open_model
from refquant.model.rq import write_rq
from tests.refquant.evaluation.two_models import chain
from tests.refquant.model.loaders import on_disk


def asked(**given: Any) -> argparse.Namespace:
    nothing = dict.fromkeys(("part", "audio", "words", "encoder", "decoder"))
    return argparse.Namespace(**nothing | given)


def test_of_two_halves_the_decoder_is_evaluated(tmp_path: Path) -> None:
    path = str(on_disk.g2p(tmp_path / "g.npz"))
    assert role(open_evaluated(path, asked(words="w")).graph) == "decoder", "if not said"
    named = open_evaluated(path, asked(words="w", part="encoder"))
    assert role(named.graph) == "encoder", "as said"
    assert role(other_half(named, asked()).graph) == "decoder", "the same file's"
    with pytest.raises(ValueError, match="choose one"):
        open_evaluated(path, asked(data="d.npz"))


def test_a_part_is_not_for_those_without(tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", chain(1))
    model = open_evaluated(str(tmp_path / "m.rq"), asked(part="encoder"))
    assert role(model.graph) is None, "a table may have both kinds"
    with pytest.raises(ValueError, match="reads 'x', so it is neither half"):
        other_half(model, asked())


def test_a_half_that_is_given_comes_first(tmp_path: Path) -> None:
    path, other = (str(on_disk.g2p(tmp_path / name)) for name in ("a.npz", "b.npz"))
    model = open_evaluated(path, asked(words="w"))
    assert other_half(model, asked(encoder=other)).path == other, "not the same file's"
    write_rq(tmp_path / "d.rq", model.graph)
    alone = open_evaluated(str(tmp_path / "d.rq"), asked())
    with pytest.raises(UsageError, match="is the decoder; give the other half by --encoder"):
        other_half(alone, asked())
    with pytest.raises(ValueError, match="it is no encoder"):
        other_half(alone, asked(encoder=str(tmp_path / "d.rq")))


def test_roles_are_known_by_inputs() -> None:
    b = Builder("g")
    assert role(b.graph([b.node("Relu", [b.input("mel", ("N", 3))], name="audio")])) == "encoder"


def test_sums_are_chosen_by_the_largest_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []
    for name, factors in (("a.rq", (1,)), ("b.rq", (1, 2, 3))):
        write_rq(tmp_path / name, chain(*factors))
        models.append(open_evaluated(str(tmp_path / name), asked()))
    monkeypatch.setattr("refquant.cli.evaluate_models.BIG", 3)
    assert chosen_sums(None, models) == "blas", "three weights in one of them"
    assert chosen_sums(None, models[:1]) == "ordered", "one weight"
    assert chosen_sums("ordered", models) == "ordered", "as asked"


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    folder = on_disk.minilm(tmp_path / "bert")
    model = open_evaluated(str(folder), asked())
    assert model.graph == open_model(folder), "the model in the folder"
    assert size_of(model) == (folder / "model.safetensors").stat().st_size, "its weights"
