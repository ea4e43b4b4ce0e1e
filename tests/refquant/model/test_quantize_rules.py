"""Rules of each node: the recipe's, an override's, a depthwise weight's."""

import pytest

from refquant.model.fold import fold
from refquant.model.quantize_rules import rules_of
from refquant.model.recipe import Override, Recipe, Weights
from tests.refquant.model.small_cnn import small_cnn

GPTQ = Weights(4, False, "group", 8, algorithm="gptq")


def made(*overrides: Override) -> Recipe:
    return Recipe("r", "weight_only", "ort", weights=GPTQ, overrides=overrides)


def test_depthwise_weights_are_rounded_to_8_bits() -> None:
    _, rules = rules_of(fold(small_cnn()), made())
    assert rules["dw"] == Weights(8, True), "nine weights a channel: nothing to gain"
    assert rules["stem"] == GPTQ, "all others as the recipe says"


def test_an_override_changes_algorithm_or_some_of_its_settings() -> None:
    overrides = (
        Override("stem", weights={"algorithm": "hqq"}),
        Override("fc", weights={"gptq": {"damp": 0.1}}),
        Override("fc", weights={"gptq": {"act_order": True}}),
        Override("pw", weights={"algorithm": "rtn", "bits": 8}),
        Override("head", exclude=True),
    )
    excluded, rules = rules_of(fold(small_cnn()), made(*overrides))
    assert excluded == {"head"}, "and has no rules"
    assert "head" not in rules, "it stays float32"
    assert (rules["stem"].algorithm, rules["stem"].gptq) == ("hqq", None), "other settings"
    fc = rules["fc"].gptq
    assert fc is not None, "still GPTQ"
    assert (fc.damp, fc.act_order) == (0.1, True), "what two overrides say adds up"
    assert (rules["pw"].algorithm, rules["pw"].bits) == ("rtn", 8), rules["pw"]


def test_settings_of_another_algorithm_are_refused() -> None:
    wrong = Override("dw", weights={"gptq": {"damp": 0.1}})
    with pytest.raises(ValueError, match=r"weights.gptq: only with algorithm 'gptq', got 'rtn'"):
        rules_of(fold(small_cnn()), made(wrong))
