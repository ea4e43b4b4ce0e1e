"""A GRU or LSTM of codes has the bits of the reference, and so has its stream.

Products of the input are one step a direction, for all steps of the sequence; then comes the walk.
"""

from pathlib import Path

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Quant
from refquant.model.stream import Stream
from refquant_runtime import FormatError, UnsupportedError
from tests.refquant.model.coded_walks import coded_walk, feeds
from tests.runtime.lower.steps import kernels, session_of

WALK = ["gemm_i8", "gemm_i8", "coded_recurrent"]
SIGNED, UNSIGNED = ("int8", Quant(0.0078125, -3)), ("uint8", Quant(0.015625, 130))


@pytest.mark.parametrize("per", ["tensor", "direction", "row"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "GRU after"])
def test_it_has_the_bits_of_the_reference(
    op: str, direction: str, per: str, tmp_path: Path
) -> None:
    rough = direction != "forward"
    ends_x, ends_y = (SIGNED, UNSIGNED) if per == "row" else (UNSIGNED, SIGNED)
    name, after = op.split()[0], int("after" in op)
    biased = rough or per == "row"
    graph = coded_walk(
        name, direction=direction, biased=biased, states=rough, per=per, after=after, x=ends_x,
        y=ends_y,
    )  # fmt: skip
    session = session_of(tmp_path, graph)
    assert kernels(session) == WALK[1 - (direction == "bidirectional") :], "products, one walk"
    for steps in (1, 4):
        x = feeds(graph, steps, samples=3, seed=steps)
        want, got = run(graph, x), session.run(x)
        for name in want:
            assert want[name].tobytes() == got[name].tobytes(), f"{op} {direction} {per}: {name}"


@pytest.mark.parametrize("contract", ["ort", "xnnpack", "tflite_reference", "tflite_builtin"])
@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_ties_nan_and_infinities_are_the_contracts(op: str, contract: str, tmp_path: Path) -> None:
    """States on half a code, beyond the codes, and of no number at all."""
    graph = coded_walk(op, contract=contract, y=("int8", Quant(0.5, 3)))
    session = session_of(tmp_path, graph)
    odd = np.array([[0.25, -0.75, 1.25, np.nan, np.inf], [-np.inf, 3e38, -1e-40, 63.25, -65.75]])
    for i in range(10):
        x = feeds(graph, 2, seed=i)
        x["h"] = np.roll(odd, i).astype(np.float32).reshape(2, 1, 5)
        with np.errstate(all="ignore"):
            want, got = run(graph, x), session.run(x)
        for name in want:
            same = np.array_equal(want[name], got[name], equal_nan=want[name].dtype.kind == "f")
            assert same, f"{contract}, {op}, {i}: {name}"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_stream_has_the_bits_of_the_reference(op: str, tmp_path: Path) -> None:
    graph = coded_walk(op, stream=True)
    session, stream = session_of(tmp_path, graph), Stream(graph)
    for i, steps in enumerate((1, 1, 5, 2)):
        x = {"x": feeds(graph, steps, samples=2, seed=i)["x"]}
        assert session.run(x)["y"].tobytes() == stream.run(x)["y"].tobytes(), f"run {i}"
        for name, state in stream.state.items():
            assert session.state[name].tobytes() == state.tobytes(), f"run {i}: state {name}"


def test_sums_wrap_on_the_way_and_end_where_they_should(tmp_path: Path) -> None:
    """Around 255, sums of raw codes leave int32 long before the exact ones do."""
    k, b = 60_000, Builder("g")
    x = b.input("x", ("N", 1, k), dtype="uint8", quant=Quant(2.0**-24, 250))
    w = b.constant("w", np.full((1, 4, k), 127, np.int8), quant=Quant(2.0**-6, 0))
    r = b.constant("r", np.ones((1, 4, 1), np.int8), quant=Quant(0.5, 0))
    b.node_with("LSTM", [x, w, r], ["y", "yh", "yc"], name="walk", contract=preset("ort"),
                dtype="uint8", attributes={"hidden_size": 1, "layout": 1},
                quant=Quant(2.0**-8, 0))  # fmt: skip
    graph = b.graph(["y", "yh", "yc"])
    session = session_of(tmp_path, graph)
    feed = {"x": np.random.default_rng(0).integers(240, 256, (1, 1, k)).astype(np.uint8)}
    want, got = run(graph, feed), session.run(feed)
    assert all(want[name].tobytes() == got[name].tobytes() for name in want), f"{want}, {got}"
    assert float(want["yc"].item()) not in (0.0, 1.0), "gates that are not at their ends"


LAYERS = [("LSTM", 0), ("GRU", 0), ("GRU", 1)]


@pytest.mark.parametrize("per", ["tensor", "direction", "row"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "after"), LAYERS)
def test_dynamic_codes_have_the_bits_of_the_reference(
    op: str, after: int, direction: str, per: str, tmp_path: Path
) -> None:
    rough, d = direction != "forward", 2 if direction == "bidirectional" else 1
    graph = coded_walk(
        op, direction=direction, biased=rough or per == "row", states=rough, per=per, after=after,
        dynamic=True,
    )  # fmt: skip
    session = session_of(tmp_path, graph)
    assert kernels(session) == ["dynamic_quantize", *WALK[2 - d :]], "codes, products, one walk"
    for steps in (1, 4):
        x = feeds(graph, steps, samples=3, seed=steps)
        x["x"][1] = 0  # a range of nothing
        want, got = run(graph, x), session.run(x)
        for name in want:
            assert want[name].tobytes() == got[name].tobytes(), f"{op} {direction} {per}: {name}"


@pytest.mark.parametrize("size", [1, 4, 16, 17, 70])
@pytest.mark.parametrize(("op", "after"), LAYERS)
def test_states_of_any_length_fill_their_panels(
    op: str, after: int, size: int, tmp_path: Path
) -> None:
    """The last panel of a gate, and the last four codes of a state, are in part nobody's."""
    for dynamic in (False, True):
        graph = coded_walk(op, after=after, size=size, y=SIGNED, dynamic=dynamic)
        x = feeds(graph, 3, seed=size)
        want, got = run(graph, x), session_of(tmp_path, graph).run(x)
        for name in want:
            assert want[name].tobytes() == got[name].tobytes(), f"{graph.nodes[0].op}: {name}"


@pytest.mark.parametrize("contract", ["ort", "xnnpack", "tflite_reference", "tflite_builtin"])
@pytest.mark.parametrize(("op", "after"), LAYERS)
def test_ranges_of_infinities_and_nan_are_the_contracts(
    op: str, after: int, contract: str, tmp_path: Path
) -> None:
    graph = coded_walk(op, after=after, contract=contract, dynamic=True)
    session = session_of(tmp_path, graph)
    odd = np.array([[0.25, -0.75, 1.25, np.nan, np.inf], [-np.inf, 3e38, -1e-40, 63.25, -65.75]])
    for i in range(10):
        x = feeds(graph, 2, seed=i)
        x["x"][0, 0] = np.roll(odd[i % 2], i)[:3]
        x |= {n: np.roll(odd, i).astype("f4").reshape(2, 1, 5) for n in graph.inputs[1:]}
        with np.errstate(all="ignore"):
            want, got = run(graph, x), session.run(x)
        for name in want:
            same = np.array_equal(want[name], got[name], equal_nan=True)
            assert same, f"{contract}, {op}, {i}: {name}"


@pytest.mark.parametrize(("op", "after"), LAYERS)
def test_a_stream_of_dynamic_codes_has_the_bits_of_the_reference(
    op: str, after: int, tmp_path: Path
) -> None:
    graph = coded_walk(op, after=after, stream=True, dynamic=True)
    session, stream = session_of(tmp_path, graph), Stream(graph)
    for i, steps in enumerate((1, 1, 5, 2)):
        x = {"x": feeds(graph, steps, samples=2, seed=i)["x"]}
        assert session.run(x)["y"].tobytes() == stream.run(x)["y"].tobytes(), f"run {i}"
        for name, state in stream.state.items():
            assert session.state[name].tobytes() == state.tobytes(), f"run {i}: state {name}"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_contract_that_makes_no_codes_is_refused(op: str, tmp_path: Path) -> None:
    graph = coded_walk(op, contract="tflite_hybrid", dynamic=True)
    with pytest.raises(FormatError, match=rf"walk.*{op}.*its contract quantizes rows only"):
        session_of(tmp_path, graph)


def test_a_computed_bias_is_named(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", (1, 2, 3), dtype="uint8", quant=Quant(0.5, 0))
    w, r = (b.constant(n, np.ones((1, 4, k), np.int8), quant=Quant(0.5, 0))
            for n, k in (("w", 3), ("r", 1)))  # fmt: skip
    b.node_with("LSTM", [x, w, r, b.input("b", (1, 8))], ["y", "yh", "yc"], name="walk",
                contract=preset("ort"), attributes={"hidden_size": 1, "layout": 1}, dtype="uint8",
                quant=Quant(0.5, 0))  # fmt: skip
    graph = b.graph(["y"])
    run(graph, {"x": np.ones((1, 2, 3), np.uint8), "b": np.ones((1, 8), np.float32)})
    with pytest.raises(UnsupportedError, match=r"walk.*a computed bias"):
        session_of(tmp_path, graph)
