"""What the configuration says is what the graph computes (its errors: test_sources)."""

import json
from pathlib import Path

import pytest

from refquant.model.loaders.bert_config import BertConfig, read_bert_config
from refquant.model.loaders.sources import open_model
from tests.refquant.model.loaders import on_disk


def test_heads_and_epsilon_reach_the_nodes(tmp_path: Path) -> None:
    folder = on_disk.minilm(tmp_path / "m", num_attention_heads=4, layer_norm_eps=1e-6)
    nodes = open_model(folder).nodes
    heads = {n.attributes["q_num_heads"] for n in nodes if n.op == "Attention"}
    epsilons = {n.attributes["epsilon"] for n in nodes if n.op == "LayerNormalization"}
    assert (heads, epsilons) == ({4}, {1e-6}), f"{heads}, {epsilons}"


@pytest.mark.parametrize("said", [{}, {"vocab_size": 7, "model_type": "bert"}])
def test_what_it_does_not_say_is_as_transformers_has_it(
    said: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(said))
    assert read_bert_config(tmp_path / "config.json") == BertConfig(12, 1e-12), f"{said}"
