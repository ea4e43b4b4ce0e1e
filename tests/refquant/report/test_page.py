"""The page, read with a parser: well formed, self-contained, and all names harmless."""

import math
import re
import sys
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.report.page import need_jinja, render
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32
from tests.refquant.report.html_page import faults, read
from tests.refquant.report.made import page, page_data

TWO = {"x": f32([[1, 2], [3, 4]])}
X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</style><svg onload=alert(1)>",
    "</title></svg><iframe src=http://example.com>",
    "{{ 7 * 7 }}{% for x in y %}",
    "&lt;b&gt;&#x202e;&nbsp",
    "\u202egnp.lmth\u2066",
    "$\\frac{x}{y}$ --> <!-- ]]>",
    "javascript:alert(1)",
    "\x00\x1b[31m\r\n",
    "<" * 10_000,
]


def test_a_page_is_well_formed_and_asks_for_nothing(small_page: bytes) -> None:
    made = read(small_page)
    assert faults(made) == [], f"{faults(made)}"
    policy = next(e for e in made.all("meta") if "http-equiv" in e.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; style-src"), f"{policy}"
    assert len(made.all("svg")) > 5, "figures"


def test_times_are_on_the_page_if_they_are_asked_for(
    small_page: bytes, hostile_page: bytes
) -> None:
    assert "The slowest nodes" not in read(small_page).text, "another page after every run"
    assert "The slowest nodes" in read(hostile_page).text, "--times"


def test_it_says_what_there_is_to_say(small_page: bytes) -> None:
    text = read(small_page).text
    for words in (
        "Where to look First divergence layer 1, relu (Relu): at [", "First below 20 dB none",
        "Add most noise", "64 samples", "cd" * 8, "ab" * 32, "1,000,000",
        "codes of B reach from", "weights, int8", "This model has no card", "static", "per_channel",
        "No node names a contract", "1 contract, the arithmetic of its nodes", "half_even",
    ):  # fmt: skip
        assert words in text, f"{words!r} is not in {text}"
    assert "No divergence" not in text, "they differ"


def test_a_model_beside_itself_does_not_diverge() -> None:
    made = page(chain(1, 2), chain(1, 2), TWO)
    assert faults(made) == [], f"{faults(made)}"
    assert "No divergence: all 2 layers that both have are the same, bit for bit." in made.text


def test_models_without_a_common_layer_say_so() -> None:
    made = page(chain(1, last="a"), chain(1, last="b"), TWO)
    assert faults(made) == [], f"{faults(made)}"
    assert "there are no layers to compare" in made.text, made.text


@pytest.mark.parametrize(("a", "b"), [(1, math.nan), (math.inf, math.inf), (0, 1e-45), (3e38, 1)])
def test_odd_numbers_make_a_page_like_any_other(a: float, b: float) -> None:
    made = page(chain(a), chain(b), TWO)
    assert faults(made) == [], f"{a} {b}: {faults(made)}"
    said = {math.nan: "4 not finite, in no bar", math.inf: "8 not finite, in no bar"}
    assert said.get(b, "noise alone" if a == 0 else "Where to look") in made.text, made.text


def hostile(factor: float) -> Graph:
    """A chain in which every name is one of `HOSTILE`."""
    b = Builder(HOSTILE[0])
    x = b.input("x", ("N", 2))
    for i, name in enumerate(HOSTILE[:-1]):
        w = b.constant(f"{name} {i}", f32([[factor, 0], [0, factor]]))
        x = b.node("MatMul", [x, w], name=name)
    x = b.node("Relu", [x], name=HOSTILE[-1])
    card = {"scheme": HOSTILE[1], HOSTILE[2]: {HOSTILE[3]: [HOSTILE[4]]}}
    layers = [{"node": name, "algorithm": name} for name in HOSTILE]
    return replace(b.graph([x]), meta={"numerics": {**card, "layers": layers}})


@pytest.fixture(scope="module")
def hostile_page() -> bytes:
    return render(page_data(hostile(1), hostile(1.25), TWO, times=True, path=HOSTILE[1]))


@pytest.fixture(scope="module")
def small_page() -> bytes:
    """A float model, and its int8 one."""
    small = quantize(small_net(), recipe("int8_static"), X)
    return render(page_data(small_net(), small, X))


def test_no_name_becomes_anything_but_text(small_page: bytes, hostile_page: bytes) -> None:
    made = read(hostile_page)
    assert faults(made) == [], f"{faults(made)}"
    tags = {element.tag for element in made.elements}
    assert tags <= {e.tag for e in read(small_page).elements}, f"{tags}"
    for name in ("<script>alert(1)</script>", '"><img src=x', "{{ 7 * 7 }}", "&lt;b&gt;&#x202e;"):
        assert name in made.text, f"{name!r} is shown as it is"
    for bad in "\u202e\u2066\x00\x1b":
        assert bad not in hostile_page.decode("utf-8"), f"{bad!r} turns or hides what is beside it"
    assert "(10,000 characters)" in made.text, "long, and cut"
    assert len(hostile_page) < 2_000_000, f"{len(hostile_page)}"


def test_no_name_is_in_a_figure(hostile_page: bytes) -> None:
    whole = hostile_page.decode("utf-8")
    figures = re.findall(r"<svg .*?</svg>", whole, re.DOTALL)
    assert len(figures) > 10, "figures"
    for figure in figures:
        assert "alert" not in unescape(figure), figure[:200]


def test_names_are_kept_apart_from_what_is_beside_them() -> None:
    made = page(chain(1, last="שלום"), chain(2, last="שלום"), TWO)
    places = [e for e in made.elements if e.tag == "bdi" and "שלום" in e.text]
    assert len(places) > 3, "isolated wherever it stands"
    outside = [e for e in made.all("code") if "שלום" in e.text and "bdi" not in e.parents]
    assert outside == [], f"{outside}"


def test_the_same_inputs_make_the_same_bytes(small_page: bytes) -> None:
    small = quantize(small_net(), recipe("int8_static"), X)
    again = render(page_data(small_net(), small, X))
    assert again == small_page, "no date, no chance, no time"
    assert not re.search(rb"20\d\d-\d\d|\d\d:\d\d:\d\d", again), "no date"


def test_a_model_of_hundreds_of_layers_stays_small() -> None:
    factors = [1.0 + (i % 7 == 0) / 8 for i in range(250)]
    whole = render(page_data(chain(*[1.0] * 250), chain(*factors), TWO))
    made = read(whole)
    assert faults(made) == [], f"{faults(made)}"
    assert "12 of 250 layers have a figure, at most 12: those that add most noise." in made.text
    assert len(whole) < 1_500_000, f"{len(whole)}"


def test_without_jinja_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'refquant\[report\]'"):
        need_jinja()
    with pytest.raises(ModuleNotFoundError, match=r"refquant\[report\]"):
        render({})
