"""Recipes: what is shipped says what it means; what means nothing is refused, by name."""

import re
from pathlib import Path

import pytest

from refquant.contracts import PRESETS
from refquant.model.recipe import (
    ALIASES,
    SCHEMES,
    Activations,
    Inputs,
    Override,
    Recipe,
    Transforms,
    Weights,
    parse_recipe,
    recipe,
    recipe_names,
)

STATIC = """
scheme = "static"
contract = "ort"
[activations]
dtype = "uint8"
observer = "percentile"
options = { percentile = 99.5, bins = 512 }
[weights]
bits = 8
[[override]]
nodes = "stem*"
op = "Conv"
exclude = true
[[override]]
nodes = "head"
weights.bits = 4
weights.granularity = "per_tensor"
"""


def test_a_file_becomes_values() -> None:
    r = parse_recipe(STATIC, name="mine")
    assert r.activations == Activations(
        "uint8", observer="percentile", options={"percentile": 99.5, "bins": 512}
    ), r.activations
    assert r.weights == Weights(), f"[weights] of defaults is the default, got {r.weights}"
    assert r.overrides == (
        Override("stem*", op="Conv", exclude=True),
        Override("head", weights={"bits": 4, "granularity": "per_tensor"}),
    ), r.overrides


def test_the_shipped_recipes() -> None:
    shipped = {name: recipe(name) for name in recipe_names()}
    assert set(shipped) == {
        "float32", "w8a8_static_per_channel", "w8a8_static_per_tensor", "w8a8_dynamic",
        "w8_weight_only", "w4_group32_weight_only", "w8a8_tflite", "w8a8_full_integer",
        "w2_group16_weight_only", "int8_cle", "int4_rtn", "int4_gptq", "int3_gptq", "int4_awq",
        "int4_hqq", "w8a8_smoothquant", "nf4", "mxfp4", "nvfp4", "fp8_weight_only", "fp8_static",
        "fp8_dynamic", "w8a8_per_token", "llm_int8", "mxfp4_w4a4", "nvfp4_w4a4", "mxfp8", "w4a4",
        "w4a4_rotated", "w4a8_rotated", "int4_kquant", "int4_adaround", "nf4_gptq", "int8_cle_bias",
        "w8a8_static_linear", "w8a8_smoothquant_static", "w8a8_static_bias",
        "w8_group64_weight_only", *ALIASES,
    }, sorted(shipped)  # fmt: skip
    assert {r.scheme for r in shipped.values()} == set(SCHEMES), "every scheme has a recipe"
    for name, r in shipped.items():
        assert r.name == name, f"{name} is called {r.name}"
        assert r.contract in {None, *PRESETS}, f"{name}: {r.contract}"
    tflite = shipped["w8a8_tflite"]
    assert (tflite.contract, tflite.activations) == (
        "tflite_reference",
        Activations("int8", observer="percentile"),
    ), "TFLite's contract and signed codes"


def test_json_says_every_default_and_parses_back() -> None:
    for name in recipe_names():
        r, said = recipe(name), recipe(name).to_json()
        rebuilt = Recipe(
            name=said["name"],
            scheme=said["scheme"],
            contract=said.get("contract"),
            activations=Activations(**said["activations"]) if "activations" in said else None,
            weights=Weights(**said["weights"]) if "weights" in said else None,
            transforms=Transforms(**said["transforms"]) if "transforms" in said else None,
            sums=said["sums"],
            inputs=Inputs(**said["inputs"]) if "inputs" in said else None,
        )
        assert rebuilt == r, f"{name}: {said}"


def test_a_path_ends_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(STATIC, encoding="utf-8")
    assert recipe(file) == parse_recipe(STATIC, name="mine"), "a path and its text agree"
    with pytest.raises(FileNotFoundError):
        recipe(tmp_path / "absent.toml")
    file.write_bytes(b"scheme = '\xff'")
    with pytest.raises(ValueError, match="UTF-8"):
        recipe(file)


ERRORS = [
    ("", "scheme is missing; allowed: 'float32'"),
    ("scheme = 'stattic'", "unknown value 'stattic'; allowed: 'float32', 'static'"),
    ("scheme = 1", "scheme: unknown value 1"),
    ("scheme = ", "recipe 'bad'"),
    ("scheme = 'float32'\nseed = 3", "unknown key 'seed' (value 3); allowed: 'scheme'"),
    ("scheme = 'float32'\ncontract = 'ort'", "scheme 'float32' has no contract; remove it"),
    ("scheme = 'float32'\n[weights]", "scheme 'float32' has no weights; remove it"),
    ("scheme = 'float32'\n[transforms]\nbias_correction = 'empirical'",
     "scheme 'float32' has no transforms.bias_correction; remove it"),
    ("scheme = 'dynamic'\n[weights]", "scheme 'dynamic' needs contract; add it"),
    ("scheme = 'dynamic'\ncontract = 'ort'", "scheme 'dynamic' needs weights; add it"),
    ("scheme = 'static'\ncontract = 'ort'\n[weights]", "needs activations; add it"),
    ("scheme = 'dynamic'\ncontract = 'tf'\n[weights]", "contract: unknown value 'tf'; allowed: 'o"),
    ("scheme = 'dynamic'\ncontract = 'ort'\nweights = 8", "weights: a table, [weights], got 8"),
]  # fmt: skip
WEIGHTS = [
    ("bit = 8", "weights: unknown key 'bit' (value 8); allowed: 'bits'"),
    ("bits = 9", "weights.bits: unknown value 9; allowed: 8, 7, 6, 5, 4, 3, 2"),
    ("bits = 8.0", "weights.bits: unknown value 8.0"),
    ("bits = '8'", "weights.bits: unknown value '8'"),
    ("symmetric = 1", "weights.symmetric: unknown value 1; allowed: False, True"),
    ("granularity = 'row'", "weights.granularity: unknown value 'row'; allowed: 'per_channel'"),
    ("granularity = ['group']", "weights.granularity: unknown value ['group']"),
    ("granularity = 'group'\ngroup_size = 0", "weights.group_size: an integer >= 1, got 0"),
    ("granularity = 'group'\ngroup_size = true", "weights.group_size: an integer >= 1, got True"),
    ("group_size = 32", "weights.group_size: only with granularity 'group', got 32"),
    ("observer = 'mean'", "weights.observer: unknown value 'mean'; allowed: 'minmax', 'mse_grid'"),
    ("[activations]", "scheme 'weight_only' has no activations; remove it"),
    ("[[override]]\nexclude = true", "override: 'nodes' is missing"),
    ("[[override]]\nnodes = 'a'", "override of 'a': either exclude = true or weights"),
    ("[[override]]\nnodes = 'a'\nexclude = true\nweights.bits = 4", "got both"),
    ("[[override]]\nnodes = 'a'\nexclude = 'yes'", "override.exclude: unknown value 'yes'"),
    ("[[override]]\nnodes = ''\nexclude = true", "override.nodes: a pattern of node names, got ''"),
    ("[[override]]\nnodes = 'a'\nop = 3\nexclude = true", "override.op: an operator's name, got 3"),
    ("[[override]]\nnodes = 'a'\nskip = true", "override: unknown key 'skip' (value True)"),
    ("[[override]]\nnodes = 'a'\nweights.bit = 4", "override.weights: unknown key 'bit' (value 4)"),
    ("[[override]]\nnodes = 'a'\nweights = 4", "override.weights: a table, got 4"),
    ("[[override]]\nnodes = 'a'\nweights.bits = 9", "weights.bits: unknown value 9"),
    ("[override]\nnodes = 'a'", "override: a list of tables, [[override]]"),
]
ACTIVATIONS = [
    ("dtype = 'int4'", "activations.dtype: unknown value 'int4'; allowed: 'int8', 'uint8'"),
    ("observer = 'max'", "activations.observer: unknown value 'max'; allowed: 'minmax'"),
    ("options = { bins = 3 }", "activations.options: observer 'minmax' has no option 'bins'"),
    ("observer = 'percentile'\noptions = { bins = 'x' }", "option 'bins' of 'percentile' must be"),
    (f"observer = 'entropy'\noptions = {{ bins = 1{'0' * 400} }}", "bins must be an integer in"),
    ("options = 3", "activations.options: options of 'minmax' must be a table"),
    ("[weights]\ngranularity = 'group'", "'group' needs scheme 'weight_only', got 'static'"),
]


TRANSFORMS = [
    ("equalise = true", "transforms: unknown key 'equalise' (value True); allowed: 'equalize'"),
    ("equalize = 1", "transforms.equalize: unknown value 1; allowed: False, True"),
    ("absorb_bias = true", "transforms.absorb_bias: only with equalize = true, got True"),
    ("sweeps = 3", "transforms.sweeps: only with equalize = true, got 3"),
    ("sweeps = 0", "transforms.sweeps: only with equalize = true, got 0"),
    ("equalize = true\nsweeps = 0", "transforms.sweeps: an integer >= 1, got 0"),
    ("equalize = true\nsweeps = true", "transforms.sweeps: an integer >= 1, got True"),
]


def _refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_recipe(text, name="bad")
    assert str(caught.value).startswith("recipe 'bad': "), f"it names the recipe: {caught.value}"


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_a_recipe_that_means_nothing(text: str, message: str) -> None:
    _refused(text, message)


@pytest.mark.parametrize(("text", "message"), WEIGHTS)
def test_weights_that_mean_nothing(text: str, message: str) -> None:
    _refused(f"scheme = 'weight_only'\ncontract = 'ort'\n[weights]\n{text}", message)


@pytest.mark.parametrize(("text", "message"), ACTIVATIONS)
def test_activations_that_mean_nothing(text: str, message: str) -> None:
    weights = "" if "[weights]" in text else "\n[weights]"
    _refused(f"scheme = 'static'\ncontract = 'ort'\n[activations]\n{text}{weights}", message)


@pytest.mark.parametrize(("text", "message"), TRANSFORMS)
def test_transforms_that_mean_nothing(text: str, message: str) -> None:
    _refused(f"scheme = 'float32'\n[transforms]\n{text}", message)


@pytest.mark.parametrize("weights", ["bits = 4", "symmetric = false"])
def test_dynamic_weights_are_symmetric_and_8_bits(weights: str) -> None:
    _refused(
        f"scheme = 'dynamic'\ncontract = 'ort'\n[weights]\n{weights}",
        "scheme 'dynamic' needs weights.bits 8 and weights.symmetric true",
    )
    _refused(
        "scheme = 'dynamic'\ncontract = 'ort'\n[weights]\n[[override]]\nnodes = 'a'\n"
        f"weights.{weights}",
        "scheme 'dynamic' needs weights.bits 8 and weights.symmetric true",
    )


def test_overrides_are_tables() -> None:
    _refused("override = [1]\nscheme = 'static'", "override: a table, [override], got 1")


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(
        ValueError, match=r"unknown recipe 'w8'; there are float32, fp8_dynamic, fp8_static, f"
    ):
        recipe("w8")
