"""Which inputs may become codes, what they are called, and that the whole pipeline knows them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Node
from refquant.model.quantize import quantize
from refquant.model.reals import reals
from refquant.model.recipe import Recipe, parse_recipe, recipe
from refquant.model.rq import read_rq, rq_bytes, write_rq
from refquant.model.weight_slots import check_slot_names, slot_name, slots, weight_slots
from tests.refquant.model.small_gru import small_gru, words

HEAD = 'scheme = "weight_only"\ncontract = "ort"\n[weights]\n'
INT4 = f'{HEAD}bits = 4\nsymmetric = false\ngranularity = "group"\ngroup_size = 8\n'


def made(text: str, *, op: str = "GRU", tied: bool = False) -> tuple[Graph, Graph]:
    graph = small_gru(op=op, tied=tied)
    rules = parse_recipe(text, name="r")
    return graph, quantize(graph, rules, words(20) if rules.needs_data else None)


def dtypes(graph: Graph) -> dict[str, str]:
    return {name: graph.values[name].dtype for name in ("table", "w", "r", "up.w", "head")}


def test_every_matrix_of_a_network_of_words_is_a_slot() -> None:
    graph = small_gru()
    assert [(n.op, i, s) for n, i, s in weight_slots(graph)] == [
        ("Gather", 0, "embedding"), ("GRU", 1, "rnn"), ("GRU", 2, "rnn[2]"),
        ("MatMul", 1, "up"), ("MatMul", 1, "logits"),
    ], "the first weight of a node is called like the node"  # fmt: skip


def test_computed_tables_and_tables_of_one_axis_are_none() -> None:
    b = Builder("g")
    ids, x = b.input("ids", ("N", 3), dtype="int32"), b.input("x", ("N", 2))
    flat = b.constant("flat", np.ones(5, np.float32))
    w = b.constant("w", np.ones((1, 6, 2), np.float32))
    y = b.node("Gather", [flat, ids], name="a")
    u = b.node("Unsqueeze", [x], name="u", attributes={"axes": [1]})
    r = b.constant("r", np.ones((1, 6, 2), np.float32))
    b.node_with("GRU", [u, w, r], ["p", "q"], name="g",
                attributes={"hidden_size": 2, "layout": 1})  # fmt: skip
    graph = b.graph([y, "p"])
    found = {node.name: slots(graph, node) for node in graph.nodes}
    assert found == {"a": (), "u": (), "g": (1, 2)}, "nothing to share a scale"
    node = replace(graph.nodes[-1], inputs=("u", "u", "r"))
    assert slots(graph, node) == (2,), "what is computed is no constant"
    column = Node("c", "Gather", ("w", "ids"), ("c",), {"axis": 2})
    assert slots(graph, column) == (), "read along another axis"


def test_a_node_must_not_have_the_name_of_a_slot() -> None:
    graph = small_gru()
    nodes = tuple(replace(n, name="rnn[2]") if n.name == "up" else n for n in graph.nodes)
    with pytest.raises(ValueError, match=r"node 'rnn\[2\]' has the name of the weight at input 2"):
        check_slot_names(replace(graph, nodes=nodes))


@pytest.mark.parametrize("op", ["GRU", "LSTM"])
def test_codes_stand_in_every_matrix_and_mean_what_is_computed(op: str, tmp_path: Any) -> None:
    """The law: the file computes what the float model computes with what its codes mean."""
    graph, coded = made(INT4, op=op)
    assert dtypes(coded) == {
        "table": "int8", "w": "uint4", "r": "uint4", "up.w": "uint4", "head": "uint4",
    }, "the table in 8 bits, all else as the recipe says"  # fmt: skip
    assert coded.values["table"].quant.block_shape == (1, 16), "a scale a row of the table"  # type: ignore[union-attr]  # coded
    assert coded.values["w"].quant.block_shape == (1, 1, 8), "groups along the inputs"  # type: ignore[union-attr]  # coded
    meant = {n: reals(coded, n, coded.constants[n]) for n in dtypes(coded)}
    expected = run(replace(graph, constants={**graph.constants, **meant}), words(5, seed=2))
    write_rq(tmp_path / "m.rq", coded)
    again = read_rq(tmp_path / "m.rq")
    got = run(again, words(5, seed=2))
    assert got["logits"].tobytes() == expected["logits"].tobytes(), "other bits"
    assert rq_bytes(again) == rq_bytes(coded), "it is written and read as it is"
    assert coded.meta["numerics"]["execution"]["decoded"] == 4, "four nodes decode weights"


ALGORITHMS = {
    "rtn": ("rtn", "rtn", "rtn", "rtn"),
    "gptq": ("rtn", "gptq", "rtn", "gptq"),
    "awq": ("rtn", "awq", "rtn", "awq"),
    "hqq": ("rtn", "hqq", "hqq", "hqq"),
    "kquant": ("rtn", "kquant", "kquant", "kquant"),
    "adaround": ("rtn", "adaround", "rtn", "adaround"),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_gets_which_algorithm(algorithm: str) -> None:
    fast = "adaround = { iterations = 20 }\n" if algorithm == "adaround" else ""
    _, coded = made(f'{INT4}algorithm = "{algorithm}"\n{fast}')
    layers = coded.meta["numerics"]["layers"]
    assert tuple(a["algorithm"] for a in layers[:4]) == ALGORITHMS[algorithm], layers
    assert [a["node"] for a in layers] == ["embedding", "rnn", "rnn[2]", "up", "logits"], layers
    assert [a["weight"] for a in layers] == ["table", "w", "r", "up.w", "head"], layers
    seen = [a["measure"] for a in layers]
    fitted = algorithm not in ("rtn", "hqq")
    assert seen == ["weights", *["outputs" if fitted else "weights"], "weights",
                    *["outputs" if fitted else "weights"] * 2], seen  # fmt: skip


def test_the_input_matrix_of_a_gru_is_fitted_to_what_the_table_gives() -> None:
    """The witness: GPTQ's W loses less on what the coded table gives than rounding's."""
    graph, fitted = made(INT4.replace("bits = 4", "bits = 3") + 'algorithm = "gptq"\n')
    _, nearest = made(INT4.replace("bits = 4", "bits = 3"))
    x = run(nearest, words(40), keep=["embedding"])["embedding"].reshape(-1, 16).astype(float)
    w = graph.constants["w"].reshape(-1, 16)
    errors = [
        (((reals(g, "w", g.constants["w"]).reshape(-1, 16) - w) @ x.T) ** 2).sum()
        for g in (nearest, fitted)
    ]
    assert errors[1] < 0.8 * errors[0], f"{errors}"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ('nodes = "embedding"\nweights.bits = 4', {"table": "uint4"}),
        ('nodes = "*"\nop = "Gather"\nweights.format = "nf4"', {"table": "uint4"}),
        ('nodes = "*"\nweights.group_size = 4', {"table": "int8", "w": "uint4"}),
        ('nodes = "rnn"\nweights.bits = 2', {"w": "uint2", "r": "uint2"}),
        ('nodes = "rnn"\nweight = "r"\nweights.bits = 8', {"w": "uint4", "r": "uint8"}),
        ('nodes = "rnn"\nweight = "r"\nexclude = true', {"w": "uint4", "r": "float32"}),
        ('nodes = "rnn"\nexclude = true', {"w": "float32", "r": "float32"}),
        ('nodes = "embedding"\nexclude = true', {"table": "float32"}),
        ('nodes = "up"\nweight = "up.*"\nexclude = true', {"up.w": "float32"}),
    ],
)
def test_overrides_name_nodes_and_if_need_be_weights(
    override: str, expected: dict[str, str]
) -> None:
    _, coded = made(f"{INT4}[[override]]\n{override}\n")
    got = {name: dtype for name, dtype in dtypes(coded).items() if name in expected}
    assert got == expected, got


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('weight = "q"\nweights.bits = 8', "no weight of the nodes that fit 'rnn' fits the pattern "
         "'q'; they are 'w', 'r'"),
        ('weight = ""\nweights.bits = 8', "override.weight: a pattern of constants, got ''"),
        ("weight = 3\nweights.bits = 8", "override.weight: a pattern of constants, got 3"),
        ('weight = "w"', "either exclude = true or weights"),
    ],
)  # fmt: skip
def test_patterns_of_weights_that_mean_nothing(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(f'{INT4}[[override]]\nnodes = "rnn"\n{override}\n')


def test_a_group_that_does_not_divide_is_refused_before_long_work() -> None:
    with pytest.raises(ValueError, match=r"node 'rnn': group_size divides the 16 inputs .* got 5"):
        made(INT4.replace("size = 8", "size = 5") + 'algorithm = "gptq"\n')
    _, coded = made(INT4.replace("size = 8", "size = 5"))
    assert coded.values["w"].dtype == "uint4", "rounding takes ragged groups"


def test_schemes_on_codes_leave_tables_as_they_are_and_give_codes_to_recurrent_layers() -> None:
    graph = small_gru()
    for name in ("w8a8_dynamic", "int8_static"):
        coded = quantize(graph, recipe(name), words(20))
        assert dtypes(coded)["table"] == "float32", f"{name}: a table is read, not multiplied"
        assert dtypes(coded)["w"] == "int8", f"{name}: w"
        assert dtypes(coded)["r"] == "int8", f"{name}: r"


def test_tied_weights_are_two_constants_each_with_its_own_rules() -> None:
    _, coded = made(INT4, tied=True)
    assert dtypes(coded)["table"] == "int8", "read by row, 8 bits"
    assert dtypes(coded)["head"] == "uint4", "multiplied, 4 bits"


def test_one_constant_of_a_table_and_a_product_becomes_two() -> None:
    rng = np.random.default_rng(1)
    b = Builder("g")
    table = b.constant("t", rng.standard_normal((12, 8)).astype(np.float32))
    x = b.node("Gather", [table, b.input("ids", ("N", "T"), dtype="int32")], name="e")
    x = b.node("ReduceMean", [x], name="m", attributes={"axes": [1], "keepdims": 0})
    graph = b.graph([b.node("Gemm", [x, table], name="y", attributes={"transB": 1})])
    coded = quantize(graph, parse_recipe(INT4, name="r"))
    assert [n.inputs[:2] for n in coded.nodes if n.op != "ReduceMean"] == [
        ("t", "ids"), ("m", "t/y"),
    ], "codes of 8 bits by row, and codes of 4 in groups"  # fmt: skip
    same = quantize(graph, recipe("int8_weight_only"))
    assert same.nodes[-1].inputs[1] == "t", "with equal rules they stay one"


def test_names_of_slots() -> None:
    graph = small_gru()
    rnn = graph.nodes[1]
    assert [slot_name(rnn, i) for i in (1, 2)] == ["rnn", "rnn[2]"], "old names keep working"


KILLED = {
    "kquant": f'{INT4}algorithm = "kquant"\n',
    "adaround": f'{INT4}algorithm = "adaround"\nadaround = {{ iterations = 10 }}\n',
    "nf4": f'{HEAD}format = "nf4"\ngroup_size = 8\nalgorithm = "gptq"\n',
    "bias": INT4.replace("[weights]", '[transforms]\nbias_correction = "empirical"\n[weights]'),
}


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_goes_on_to_the_same_bytes(name: str, tmp_path: Any) -> None:
    graph, rules, data = small_gru(), parse_recipe(KILLED[name], name="r"), words(20)
    whole = rq_bytes(quantize(graph, rules, data))

    class KilledError(Exception):
        pass

    def die(done: Any) -> None:
        if done.index == 3:
            raise KilledError

    with pytest.raises(KilledError):
        quantize(graph, rules, data, checkpoint=tmp_path / "c", report=die)
    heard: list[bool] = []
    again = quantize(graph, rules, data, checkpoint=tmp_path / "c", resume=True,
                     report=lambda done: heard.append(done.resumed))  # fmt: skip
    assert heard == [True] * 3 + [False] * 2, f"three layers were there: {heard}"
    assert rq_bytes(again) == whole, "another file"


def test_recipes_with_data_refuse_to_go_without() -> None:
    for name in ("int4_kquant", "int4_adaround", "nf4_gptq"):
        rules: Recipe = recipe(name)
        assert rules.needs_data, f"{name} looks at data"
        with pytest.raises(ValueError, match="calibration data are missing"):
            quantize(small_gru(), rules)
    blind = parse_recipe(f'{INT4}algorithm = "kquant"\nkquant = {{ importance = false }}', name="r")
    assert not blind.needs_data, "the search by the weights alone needs none"
