"""What a node must be: its shape, its contract, its place among samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant_runtime import FormatError, RefquantRuntimeError, UnsupportedError
from refquant_runtime.check import bind
from refquant_runtime.read_graph import read_graph
from tests.runtime.zoo import ZOO, edited, file_of

Tree = dict[str, Any]


def refusal(folder: Path, name: str, edit: Callable[[Tree], Any]) -> RefquantRuntimeError:
    file = folder / "m.rq"
    file.write_bytes(edited(name, edit))
    with pytest.raises(RefquantRuntimeError) as caught:
        bind(read_graph(file), 1)
    assert str(caught.value).startswith(f"{file}: "), "the message names the file"
    return caught.value


def node(tree: Tree, op: str) -> Tree:
    found: Tree = next(n for n in tree["nodes"] if n["op"] == op)
    return found


def change(kind: str, **fields: Any) -> Callable[[Tree], Any]:
    return lambda tree: node(tree, kind).update(fields)


def attribute(op: str, **attributes: Any) -> Callable[[Tree], Any]:
    return lambda tree: node(tree, op)["attributes"].update(attributes)


def shape(value: str, *sizes: Any) -> Callable[[Tree], Any]:
    return lambda tree: tree["values"][value].update(shape=list(sizes))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("batch", [1, 5])
def test_a_checked_graph_has_numbers_for_sizes(name: str, batch: int, tmp_path: Path) -> None:
    (tmp_path / "m.rq").write_bytes(file_of(name))
    graph, arithmetics = bind(read_graph(tmp_path / "m.rq"), batch)
    for value in graph.values.values():
        assert value.shape[:1] == (batch,) or not value.batched, f"{value.name}: N is {batch}"
    assert set(arithmetics) == {n.contract for n in graph.nodes if n.contract}, "each arithmetic"


WRONG: dict[str, tuple[str, Callable[[Tree], Any], str]] = {
    "too few inputs": ("float_cnn", change("Sub", inputs=["x"]), "takes 2 to 2 inputs, got 1"),
    "empty input": ("float_cnn", change("Sub", inputs=["x", ""]), "takes 2 to 2 inputs"),
    "too many inputs": ("float_cnn", change("Div", inputs=["x"] * 3), "takes 2 to 2 inputs, got 3"),
    "attribute unknown": ("float_cnn", attribute("Conv", auto_pad="VALID"), "unknown attribute"),
    "attribute's kind": ("float_cnn", attribute("Gemm", transB="1"), "transB must be one of"),
    "stride 0": ("float_cnn", attribute("Conv", strides=[0, 1]), "strides must be 2 integers >= 1"),
    "pad -1": ("float_cnn", attribute("Conv", pads=[-1, 0, 0, 0]), "pads must be 4 integers >= 0"),
    "group 0": ("float_cnn", attribute("Conv", group=0), "group must be at least 1"),
    "group 3": ("float_cnn", attribute("Conv", group=3), "are not 3 groups"),
    "axis 2": ("float_cnn", attribute("Softmax", axis=2), "axis 2 is outside rank 2"),
    "shapes disagree": ("float_cnn", shape("y", "N", 4), r"declared \['?N?1?'?, 4\], computed"),
    "no contract": ("dynamic", lambda t: node(t, "MatMulInteger").pop("contract"), "needs a contr"),
    "contract for nothing": ("dynamic", change("Tanh", contract="ort"), "computes nothing by it"),
    "outputs missing": (
        "dynamic",
        lambda t: (
            node(t, "DynamicQuantizeLinear").update(outputs=["q", "s"]),
            t["nodes"].insert(
                1,
                {
                    "name": "k",
                    "op": "Identity",
                    "inputs": ["q"],
                    "outputs": ["z"],
                    "attributes": {},
                },
            ),
        ),
        "has 3 outputs, got 2",
    ),
    "clamp of floats": ("weight_only", attribute("MatMul", clamp_min=0), "clamp_min is for quanti"),
    "clamp below": ("codes_ort", attribute("Conv", clamp_min=-1), "must ascend in"),
    "clamp above": ("codes_ort", attribute("Conv", clamp_max=256), "must ascend in"),
    "clamps crossed": ("codes_ort", attribute("Conv", clamp_max=2), "must ascend in"),
    "samples summed": ("float_cnn", attribute("Softmax", axis=0), "works across samples"),
    "samples joined": ("movement", attribute("Concat", axis=0), "declared|across samples"),
    "samples reshaped": ("movement", attribute("Reshape", shape=[1, 4, -1]), "keep 'N'|declared"),
    "samples moved": ("movement", attribute("Transpose", perm=[2, 0, 1, 3]), "declared"),
    "samples padded": ("movement", attribute("Pad", pads=[0, 0, 1, 0, 1, 1, 0, 2]), "declared"),
    "N lost": ("dynamic", shape("raw", 1, 2), "output 'raw' is declared|no 'N'"),
    "N gained": ("weight_only", shape("y", "N", 2), "output 'y' is declared"),
    "some inputs batched": ("movement", shape("c", 1, 3, 4), "some begin with 'N'"),
    "scalar out": ("dynamic", lambda t: t.update(outputs=["s"]), "output 's': has no 'N'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_broken_rule_is_one_error_with_file_and_place(name: str, tmp_path: Path) -> None:
    model, edit, rule = WRONG[name]
    error = refusal(tmp_path, model, edit)
    assert isinstance(error, FormatError), f"the file is wrong: {error}"
    assert error.where.startswith(("node '", "input", "output", "value")), f"{error}"
    with pytest.raises(FormatError, match=rule):
        raise error


@pytest.mark.parametrize(
    ("model", "edit", "limit"),
    [
        ("float_cnn", change("Sub", op="Einsum"), r"operators not known to this runtime: Einsum"),
        ("float_cnn", attribute("MaxPool", strides=[2**31, 1]), "from 2..31 on is not implemented"),
        ("codes_ort", lambda t: t["contracts"]["ort"].update(rounding="floor"), "axis 'rounding'"),
    ],
)
def test_what_is_valid_but_beyond_us_is_unsupported(
    model: str, edit: Callable[[Tree], Any], limit: str, tmp_path: Path
) -> None:
    error = refusal(tmp_path, model, edit)
    assert isinstance(error, UnsupportedError), f"the file is not wrong: {error}"
    with pytest.raises(UnsupportedError, match=limit):
        raise error


def test_a_value_that_depends_on_no_sample_need_not_have_one(tmp_path: Path) -> None:
    def constant_branch(tree: Tree) -> None:
        tree["values"]["k"] = {"dtype": "float32", "shape": [1]}
        tree["nodes"].append({"name": "k", "op": "Exp", "inputs": ["two"], "outputs": ["k"],
                              "attributes": {}})  # fmt: skip

    (tmp_path / "m.rq").write_bytes(edited("float_cnn", constant_branch))
    graph, _ = bind(read_graph(tmp_path / "m.rq"), 1)
    assert graph.values["k"].shape == (1,), "computed of constants"
