"""Settings of algorithms: each key is known, each value is one that the algorithm takes."""

import re

import pytest

from refquant.algorithms import hqq, kquant
from refquant.algorithms.gptq import GptqSettings
from refquant.model.recipe import parse_recipe
from refquant.model.recipe_algorithms import (
    AdaRound,
    Awq,
    Gptq,
    Hqq,
    KQuant,
    settings_table,
)

HEAD = 'scheme = "weight_only"\ncontract = "ort"\n[weights]\nbits = 4\nsymmetric = false\n'

WRONG = [
    ('algorithm = "gtpq"', "weights.algorithm: unknown value 'gtpq'; allowed: 'rtn', 'gptq'"),
    ('algorithm = "gptq"\ngptq = { actorder = true }', "weights.gptq: unknown key 'actorder'"),
    (
        'algorithm = "gptq"\ngptq = { act_order = 1 }',
        "weights.gptq.act_order: true or false, got 1",
    ),
    ('algorithm = "gptq"\ngptq = { groups = "dynamic" }', "weights.gptq.groups: unknown value"),
    ('algorithm = "gptq"\ngptq = { block_size = 0 }', "weights.gptq.block_size: an integer >= 1"),
    ('algorithm = "gptq"\ngptq = { damp = 1 }', "weights.gptq.damp: a number from 0 to below 1"),
    ('algorithm = "gptq"\ngptq = { damp = nan }', "weights.gptq.damp: a number from 0"),
    ('algorithm = "gptq"\ngptq = { damp_increment = -1 }', "weights.gptq.damp_increment"),
    ('algorithm = "gptq"\ngptq = 3', "weights.gptq: a table, [weights.gptq], got 3"),
    ('algorithm = "awq"\nawq = { clip = "yes" }', "weights.awq.clip: true or false"),
    ('algorithm = "awq"\nawq = { samples = 1.5 }', "weights.awq.samples: an integer >= 1"),
    ('algorithm = "hqq"\nhqq = { p = 2 }', "weights.hqq: p must be in (0, 1]"),
    ('algorithm = "hqq"\nhqq = { iters = 0 }', "weights.hqq.iters: an integer >= 1, got 0"),
    ('algorithm = "hqq"\nhqq = { keep = "first" }', "weights.hqq: keep must be one of"),
    ('algorithm = "hqq"\nhqq = { beta = "x" }', "weights.hqq.beta: a number that is finite"),
    ('algorithm = "hqq"\nhqq = { beta = inf }', "hqq.beta: a number that is finite, got inf"),
    ('algorithm = "hqq"\nhqq = { kappa = inf }', "hqq.kappa: a number that is finite, got inf"),
    ("gptq = { damp = 0.1 }", "weights.gptq: only with algorithm 'gptq', got 'rtn'"),
    ('algorithm = "hqq"\nobserver = "mse_grid"', "'hqq' finds its own zero points"),
    ('algorithm = "kquant"\nobserver = "mse_grid"', "'kquant' finds its own zero points"),
    ('algorithm = "kquant"\nkquant = { importance = 1 }', "weights.kquant.importance: true or"),
    (
        'algorithm = "kquant"\nkquant = { importance = false, magnitude = true }',
        "weights.kquant.magnitude: only with importance = true",
    ),
    ('algorithm = "kquant"\nkquant = { start = nan }', "weights.kquant.start: a number of size"),
    ('algorithm = "kquant"\nkquant = { delta = "x" }', "weights.kquant.delta: a number of size"),
    ('algorithm = "kquant"\nkquant = { steps = 0 }', "weights.kquant.steps: an integer >= 1, got"),
    ('algorithm = "adaround"\nadaround = { iterations = 1.5 }', "weights.adaround.iterations: an"),
    ('algorithm = "adaround"\nadaround = { seed = 1 }', "weights.adaround: unknown key 'seed'"),
    (
        'algorithm = "adaround"\nadaround = { warm_start = 1 }',
        "weights.adaround: warm_start must be in [0, 1), got 1.0",
    ),
    (
        'algorithm = "adaround"\nadaround = { learning_rate = nan }',
        "weights.adaround.learning_rate: a number that is finite, got nan",
    ),
    *(  # integers that no float holds
        (
            f'algorithm = "{name}"\n{name} = {{ {key} = 1{"0" * 400} }}',
            f"weights.{name}.{key}: a number",
        )
        for name, key in (
            ("gptq", "damp"),
            ("hqq", "p"),
            ("kquant", "delta"),
            ("adaround", "beta_end"),
        )
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_recipe(HEAD + text, name="r")


def test_algorithms_that_fit_weights_need_weights_only() -> None:
    text = HEAD.replace('"weight_only"', '"dynamic"') + 'algorithm = "gptq"'
    with pytest.raises(ValueError, match="needs scheme 'weight_only', got 'dynamic'"):
        parse_recipe(text, name="r")
    with pytest.raises(ValueError, match="sums: unknown value 'fast'; allowed: 'ordered', 'blas'"):
        parse_recipe(f'sums = "fast"\n{HEAD}', name="r")


def test_the_defaults_are_the_authors() -> None:
    ours, theirs = Gptq(), GptqSettings()
    assert (ours.damp, ours.block_size, ours.act_order) == (
        theirs.damp, theirs.block_size, theirs.act_order,
    ), "but for groups, which the docstring says"  # fmt: skip
    assert Hqq().settings() == hqq.AUTHORS, "HQQ's own"
    assert (KQuant().settings(), KQuant(importance=False).settings()) == (
        kquant.WEIGHTED, kquant.PLAIN,
    ), "Q4_K's with importance, and without"  # fmt: skip
    told, theirs_too = AdaRound(), (20.0, 2.0, 0.2)
    assert (told.beta_start, told.beta_end, told.warm_start) == theirs_too, "the paper's"
    assert told.iterations * told.learning_rate == 10_000 * 0.001, "as far, in fewer steps"
    assert settings_table(Awq()) == {
        "scale": True, "clip": True, "flavour": "llm_awq", "samples": 512,
    }, "llm-awq's own"  # fmt: skip


def test_a_table_and_a_section_are_the_same() -> None:
    inline = parse_recipe(f'{HEAD}algorithm = "gptq"\ngptq = {{ damp = 0.1 }}', name="r")
    section = parse_recipe(f'{HEAD}algorithm = "gptq"\n[weights.gptq]\ndamp = 0.1', name="r")
    assert inline == section, "TOML has two ways to write it"
    assert inline.to_json()["weights"]["gptq"]["damp"] == 0.1, "recorded"
