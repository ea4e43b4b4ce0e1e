"""The walk: branches, sizes, errors that list everything, and bytes of no model at all."""

import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from refquant.model.execute import run
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from refquant.model.importers.onnx_wire import OnnxFormatError
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals

INT = TensorProto.INT64


def imported(made: Any, **options: Any) -> Any:
    return import_onnx(made.SerializeToString(), **options)


def test_shapes_written_as_programs_keep_the_batch() -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "first"], ["n1"]),
        node("Concat", ["n1", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["y"]),
    ]
    held = {"zero": np.array(0), "first": np.array([0]), "rest": np.array([-1, 2])}
    graph = imported(model(nodes, {"x": ["N", 3, 4]}, ["y"], held))
    assert [n.op for n in graph.nodes] == ["Reshape"], "the program is gone"
    assert graph.values["y"].shape == ("N", 6, 2), "the batch stays"


@pytest.mark.parametrize("target", [[-1, 12], [1, 12], [0, -1], [1, -1]])
def test_targets_that_mean_one_sample(target: list[int]) -> None:
    made = model([node("Reshape", ["x", "to"], ["y"])], {"x": ["N", 3, 4]}, ["y"],
                 {"to": np.array(target)})  # fmt: skip
    assert imported(made).values["y"].shape == ("N", 12), f"{target}"


def test_a_target_that_mixes_samples() -> None:
    made = model([node("Reshape", ["x", "to"], ["y"])], {"x": ["N", 3, 4]}, ["y"],
                 {"to": np.array([-1, 4])})  # fmt: skip
    with pytest.raises(OnnxUnsupportedError, match="mixes samples; give the batch a number"):
        imported(made)
    graph = imported(made, shapes={"x": [2, 3, 4]})
    assert graph.values["y"].shape == (6, 4), "with a number it is one"


def branches(**extra: Any) -> Any:
    then = helper.make_graph(
        [node("Neg", ["x"], ["inner"])], "then", [], [helper.make_empty_tensor_value_info("inner")]
    )
    other = helper.make_graph(
        [node("Abs", ["x"], ["inner"]), node("Mul", ["inner", "inner"], ["square"])], "else", [],
        [helper.make_empty_tensor_value_info("square")],
    )  # fmt: skip
    nodes = [
        node("Equal", ["rate", "k"], ["is"]),
        node("If", ["is"], ["z"], then_branch=then, else_branch=other),
        node("Relu", ["z"], ["y"]),
    ]
    return model(nodes, {"x": ["N", 3], "rate": ([], INT)}, ["y"], {"k": np.array(16000)}, **extra)


def test_a_known_condition_takes_its_branch() -> None:
    x = {"x": reals(0, 2, 3)}
    for rate in (16000, 8000):
        graph = imported(branches(), fixed={"rate": np.array(rate)})
        expected = np.maximum(-x["x"] if rate == 16000 else x["x"] ** 2, 0)
        assert np.array_equal(run(graph, x)["y"], expected), f"rate {rate}"
    with pytest.raises(OnnxUnsupportedError, match=r"n_z \(If\): its condition is known in a run"):
        imported(branches(), shapes={"x": [1, 3], "rate": []})


def test_one_error_lists_every_node() -> None:
    nodes = [
        node("Einsum", ["x"], ["a"], equation="ij->ji"),
        node("Relu", ["a"], ["b"]),
        node("Bernoulli", ["b"], ["c"]),
        node("Pow", ["x", "x"], ["d"]),
        node("Add", ["c", "d"], ["y"]),
    ]
    with pytest.raises(OnnxUnsupportedError) as caught:
        imported(model(nodes, {"x": ["N", 3]}, ["y"]))
    found = [(name, op) for name, op, _ in caught.value.nodes]
    assert found == [("n_a", "Einsum"), ("n_c", "Bernoulli"), ("n_d", "Pow")], f"{found}"
    for name, op in found:
        assert f"{name} ({op})" in str(caught.value), "in the message"


def test_recurrent_layers_between_transpositions_keep_the_batch() -> None:
    held = {"w": reals(1, 1, 16, 5), "r": reals(2, 1, 16, 4), "b": reals(3, 1, 32)}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "w", "r", "b"], ["l", "h"], hidden_size=4),
        node("Squeeze", ["l", "one"], ["s"]),
        node("Transpose", ["s"], ["y"], perm=[1, 0, 2]),
    ]
    made = model(nodes, {"x": ["N", "steps", 5]}, ["y"], {**held, "one": np.array([1])})
    graph = imported(made)
    assert graph.values["y"].shape == ("N", "T", 4), "batch and length are letters"
    assert "Transpose" not in [n.op for n in graph.nodes], "they cancelled"
    x = {"x": reals(4, 2, 6, 5)}
    theirs = ask_ort(made, x)[0]
    # 6 steps of sums of 9 products and 4 functions of 1e-7 each (near.py's argument).
    bound = 6 * (4 * 2e-7 + (2 * 9) ** 0.5 * 2.0**-24) * np.abs(theirs).max()
    assert np.abs(run(graph, x)["y"] - theirs).max() <= bound, "near onnxruntime"


def test_outputs_that_are_inputs_constants_or_codes() -> None:
    nodes = [node("Identity", ["x"], ["same"]), node("Identity", ["c"], ["fixed"])]
    graph = imported(
        model(nodes, {"x": [2]}, ["same", "fixed"], {"c": np.array([1, 2], np.float32)})
    )
    got = run(graph, {"x": np.array([5, 6], np.float32)})
    assert [a.tolist() for a in got.values()] == [[5, 6], [1, 2]], "both are produced"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"shapes": {"z": [1]}}, r"shapes and fixed name inputs \['x'\], got \['z'\]"),
        ({"fixed": {"z": np.zeros(1)}}, "got \\['z'\\]"),
        ({"shapes": {"x": [0, 3]}}, "numbers > 0"),
    ],
)
def test_options_that_fit_no_input(options: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        imported(model([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"]), **options)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (model([node("Relu", ["none"], ["y"])], {"x": [1]}, ["y"]), "reads 'none', which nothing"),
        (model([node("Relu", ["x"], ["y"])], {"x": [1]}, ["z"]), "output 'z' is made by nothing"),
        (
            model([node("Relu", ["x"], ["y"])], {"x": ([1], TensorProto.DOUBLE)}, ["y"]),
            "is float64",
        ),
    ],
)
def test_graphs_that_do_not_hang_together(made: Any, what: str) -> None:
    with pytest.raises(OnnxFormatError, match=what):
        imported(made)


def test_constants_that_grow_without_end() -> None:
    doubling = [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(60)]
    made = model([*doubling, node("Identity", ["c60"], ["y"])], {"x": [1]}, ["y"],
                 {"c0": np.zeros(1, np.float32)})  # fmt: skip
    with pytest.raises((OnnxFormatError, OnnxUnsupportedError), match=r"more than|beyond the file"):
        imported(made)


def seeds() -> list[bytes]:
    made = [
        branches(),
        model([node("Conv", ["x", "w"], ["y"], pads=[1, 1], auto_pad="NOTSET")],
              {"x": ["N", 2, 5]}, ["y"], {"w": reals(0, 2, 2, 3)}),
        model([node("Resize", ["x", "", "s"], ["y"], mode="linear")], {"x": [1, 1, 4, 4]}, ["y"],
              {"s": np.array([1, 1, 2, 2], np.float32)}),
        model([node("Slice", ["x", "a", "b"], ["c"]), node("Pad", ["c", "p"], ["y"], mode="edge")],
              {"x": [4, 4]}, ["y"], {"a": np.array([0]), "b": np.array([2]),
                                     "p": np.array([1, 1, 0, 2])}),
        model([node("ConstantOfShape", ["n"], ["z"]), node("Add", ["x", "z"], ["y"])], {"x": [3]},
              ["y"], {"n": np.array([3])}),
    ]  # fmt: skip
    return [m.SerializeToString() for m in made]


def mutated(rng: random.Random, data: bytes) -> bytes:
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(result)), rng.random()
        if kind < 0.7:
            result[place] = rng.randrange(256)
        elif kind < 0.8:
            del result[place : place + rng.randint(1, 9)]
        elif kind < 0.95:
            result[place:place] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 6)))
        else:
            del result[place:]
        if not result:
            break
    return bytes(result)


def attempt(data: bytes) -> str:
    try:
        import_onnx(data)
    except (OnnxFormatError, OnnxUnsupportedError) as error:
        return type(error).__name__
    return "imported"


def test_every_truncation_is_refused_or_means_something() -> None:
    for data in seeds():
        for end in range(0, len(data), 3):
            attempt(data[:end])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_bytes_are_one_of_two_errors(seed: int) -> None:
    rng, models = random.Random(seed), seeds()
    tracemalloc.start()
    outcomes = {attempt(mutated(rng, rng.choice(models))) for _ in range(700)}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcomes == {"imported", "OnnxFormatError", "OnnxUnsupportedError"}, f"{outcomes}"
    assert peak < 4 * max(map(len, models)) + (256 << 20), f"{peak} bytes"


@pytest.mark.parametrize("heads", [0, 2])
def test_attention_by_truths_is_one_by_numbers(heads: int) -> None:
    """What a query may not see is -inf; where it may see nothing, also by causality, it gives 0."""
    rng = np.random.default_rng(heads)
    shape = [1, 4, 6] if heads else [1, 2, 4, 3]
    truths = rng.random((4, 4)) < 0.7
    truths[2, :3] = False
    given = {"q_num_heads": heads, "kv_num_heads": heads} if heads else {}
    x = {"x": rng.normal(size=shape).astype(np.float32)}

    def made(mask: Any, **more: Any) -> Any:
        nodes = [node("Attention", ["x", "x", "x", "m"], ["y"], **given, **more)]
        graph = import_onnx(model(nodes, {"x": shape}, ["y"], {"m": mask}, opset=23)
                            .SerializeToString())  # fmt: skip
        return run(graph, x)["y"]

    seen = truths & np.tri(4, dtype=bool)
    wanted = made(np.where(seen, 0, -np.inf).astype(np.float32))
    got = made(truths, is_causal=1)
    rows = got if heads else got.swapaxes(1, 2)
    expected = wanted if heads else wanted.swapaxes(1, 2)
    for i in range(4):
        same = expected[:, i] if seen[i].any() else np.zeros_like(expected[:, i])
        assert np.array_equal(rows[:, i], same), f"query {i}"


def test_only_zeros_are_added_without_a_size() -> None:
    """A mask plus zeros of a run's size is the mask, wider; plus ones it is another."""
    held = {"zero": np.array(0, np.float32), "one": np.array(1, np.float32)}
    for number in held:
        nodes = [
            node("Shape", ["x"], ["s"], start=1, end=2),
            node("Expand", [number, "s"], ["e"]),
            node("Add", ["b", "e"], ["m"]),
            node("Attention", ["x", "x", "x", "m"], ["y"], q_num_heads=1, kv_num_heads=1),
        ]
        constants = {**held, "b": np.array([0.5], np.float32)}
        made = model(nodes, {"x": ["N", "T", 2]}, ["y"], constants, opset=23).SerializeToString()
        if number == "zero":
            assert [n.op for n in import_onnx(made).nodes] == ["Attention"], "as wide as it needs"
            continue
        with pytest.raises(OnnxUnsupportedError, match="a size that only a run knows"):
            import_onnx(made)
