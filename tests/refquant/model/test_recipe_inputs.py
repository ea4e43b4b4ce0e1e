"""[inputs]: what is left out is the format's own; what means nothing is refused, by name."""

import re

import pytest

from refquant.model.recipe import Inputs, parse_recipe, recipe

HEAD = 'scheme = "simulated"\ncontract = "ort"\n[weights]\n[inputs]\n'


def test_what_is_left_out_is_the_format_s_own() -> None:
    for format, static, granularity, observer in (
        ("int8", False, "token", ""),
        ("int4", True, "tensor", "minmax"),
        ("fp8_e5m2", False, "token", ""),
        ("fp8_e4m3", True, "tensor", "minmax"),
        ("mxfp4", False, "block", ""),
        ("nvfp4", False, "block", ""),
        ("nvfp4", True, "block", "minmax"),
    ):
        made = Inputs(format, range="static" if static else "dynamic")
        assert (made.granularity, made.observer) == (granularity, observer), f"{format} {static}"
        assert made.static == static, format


def test_a_table_becomes_a_value_and_json() -> None:
    text = HEAD + 'format = "int8"\nrange = "static"\nobserver = "percentile"\n'
    r = parse_recipe(text + "options = { percentile = 99.5 }\n", name="r")
    assert r.inputs == Inputs("int8", "tensor", "static", "percentile", {"percentile": 99.5}), r
    assert r.needs_data, "a static range is found on data"
    assert not r.walks, "but no layer looks at them"
    assert r.decodes, "weights of any format"
    said = r.to_json()["inputs"]
    assert Inputs(**said) == r.inputs, said
    assert not recipe("fp8_dynamic").needs_data, "a dynamic one needs none"


REFUSED = [
    ("", "inputs.format is missing; allowed: 'int8', 'int4'"),
    ("format = 'int7'", "inputs.format: unknown value 'int7'; allowed: 'int8', 'int4', 'fp8_e4"),
    ("format = 'int8'\nbits = 8", "inputs: unknown key 'bits' (value 8); allowed: 'format'"),
    ("format = 'int8'\nrange = 'fixed'", "inputs.range: unknown value 'fixed'; allowed: 'static'"),
    ("format = 'int8'\ngranularity = 'row'", "inputs.granularity: unknown value 'row'; allowed"),
    ("format = 'int8'\ngranularity = 'block'", "inputs.granularity: int8 has 'tensor' or 'token'"),
    ("format = 'mxfp4'\nrange = 'static'", "inputs.granularity: a static scale is one number"),
    ("format = 'int8'\ngranularity = 'token'\nrange = 'static'", "inputs.granularity: a static"),
    ("format = 'int8'\nclip_ratio = '0.9'", "inputs.clip_ratio: a number, got '0.9'"),
    ("format = 'int8'\nclip_ratio = true", "inputs.clip_ratio: a number, got True"),
    ("format = 'int8'\nclip_ratio = 0", "inputs.clip_ratio: a number above 0 and at most 1, got 0"),
    ("format = 'int8'\nthreshold = 0", "inputs.threshold: a positive number, got 0; leave it out"),
    ("format = 'mxfp4'\nthreshold = 6", "inputs.threshold: only with granularity 'token'"),
    ("format = 'int8'\nobserver = 'minmax'", "inputs.observer and inputs.options: only with range"),
    ("format = 'int8'\noptions = { bins = 4 }", "inputs.observer and inputs.options: only with"),
    ("format = 'int8'\nrange = 'static'\nobserver = 'max'", "inputs.observer: unknown value 'max'"),
    ("format = 'fp8_e4m3'\nrange = 'static'\nobserver = 'mse_grid'",
     "inputs.observer: unknown value 'mse_grid'; allowed: 'minmax', 'moving_average', 'percenti"),
    ("format = 'int8'\nrange = 'static'\noptions = { bins = 4 }", "inputs.options: observer 'minm"),
    ("format = 'int8'\noptions = 1", "inputs.options: a table, got 1"),
    ("format = 'int8'\noptions = []", "inputs.options: a table, got []"),
    ("format = 'int8'\nobserver = 0", "inputs.observer: a name, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"recipe 'bad': {message}")):
        parse_recipe(HEAD + text, name="bad")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('scheme = "simulated"\ncontract = "ort"\n[weights]', "needs inputs; add it"),
        ('scheme = "weight_only"\ncontract = "ort"\n[weights]\n[inputs]\nformat = "int8"',
         "scheme 'weight_only' has no inputs; remove it"),
        ('scheme = "simulated"\ncontract = "ort"\n[inputs]\nformat = "int8"', "needs weights"),
        ('scheme = "simulated"\ncontract = "hqq"\n[weights]\n[inputs]\nformat = "int8"',
         "inputs.format 'int8' is symmetric: symmetric must be False: contract 'hqq'"),
        ('scheme = "full_integer"\ncontract = "ort"\n[weights]\n[activations]\nnodes = "linear"',
         "activations.nodes: 'full_integer' has 'all', got 'linear'; use scheme 'static'"),
        ('scheme = "static"\ncontract = "ort"\n[weights]\n[activations]\nnodes = "some"',
         "activations.nodes: unknown value 'some'; allowed: 'all', 'linear'"),
    ],
)  # fmt: skip
def test_parts_belong_to_schemes(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_recipe(text, name="bad")
