"""ONNX models of streams: states that the user names, and layers that go on from run to run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from refquant.model.execute import run
from refquant.model.graph import State
from refquant.model.importers.onnx_ends import OnnxUnsupportedError
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.loaders.samples import read_wav
from refquant.model.rq import write_rq
from refquant.model.states import initial_state, opened
from refquant.model.stream import Stream
from refquant_runtime import Session
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals

Array = NDArray[Any]
WIDTH, HIDDEN = 3, 4
# Sums of 7 products and a bias in two orders, tanh and sigmoid of two libraries, 12 steps of gates
# that shrink: a few ulps of numbers below 1.
CLOSE = 32 * 2.0**-24


def weights(op: str, directions: int = 1) -> dict[str, Array]:
    gates = {"LSTM": 4, "GRU": 3}[op]
    return {
        "w": reals(1, directions, gates * HIDDEN, WIDTH),
        "r": reals(2, directions, gates * HIDDEN, HIDDEN),
        "b": reals(3, directions, 2 * gates * HIDDEN),
    }


def layer(op: str, given: list[str], *, layout: int = 0, **attributes: Any) -> list[Any]:
    """x [N, T, width] -> y [N, T, D, hidden] by a layer that begins as ``given``."""
    outputs = ["hn", "cn"] if op == "LSTM" else ["hn"]
    attributes |= {"hidden_size": HIDDEN, "layout": layout} if layout else {"hidden_size": HIDDEN}
    first, last = ("x", "y") if layout else ("turned", "steps")
    rnn = node(op, [first, "w", "r", "b", "", *given], [last, *outputs], **attributes)
    rnn.name = "rnn"
    turns = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("Transpose", ["steps"], ["y"], perm=[2, 0, 1, 3]),
    ]
    return [rnn] if layout else [turns[0], rnn, turns[1]]


def recurrent(
    op: str = "LSTM", *, initial: dict[str, Array] | None = None, ends: tuple[str, ...] = (),
    **attributes: Any,
) -> Any:  # fmt: skip
    """A model for whole recordings; ``initial``: constants h, c."""
    twice = attributes.get("direction") == "bidirectional"
    constants = weights(op, 2 if twice else 1) | (initial or {})
    names = ["h", "c"] if op == "LSTM" else ["h"]
    given = [name if name in constants else "" for name in names]
    nodes = layer(op, given, **attributes)
    return model(nodes, {"x": ["N", 2, WIDTH]}, ["y", *ends], constants)


def by_hand(op: str, x: Array, initial: dict[str, Array]) -> Array:
    """What onnxruntime gives of the same layer, its state fed and taken by hand, step by step."""
    names = ["h", "c"] if op == "LSTM" else ["h"]
    sizes = {"x": [1, x.shape[1], WIDTH], **{name: [1, 1, HIDDEN] for name in names}}
    made = model(layer(op, names), sizes, ["y", *(f"{n}n" for n in names)], weights(op))
    state, result = dict(initial), []
    for piece in x:
        y, *after = ask_ort(made, {"x": piece[None], **state})
        state = dict(zip(names, after, strict=True))
        result.append(y)
    return np.concatenate(result)


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
@pytest.mark.parametrize("layout", [0, 1])
def test_a_layer_goes_on_where_it_would_begin_anew(op: str, layout: int) -> None:
    graph = import_onnx(recurrent(op, layout=layout).SerializeToString(), streaming=True)
    names = ["rnn/h", "rnn/c"] if op == "LSTM" else ["rnn/h"]
    assert [state.name for state in graph.states] == names, "after the node"
    assert graph.inputs == ("x", *names), "inputs of the file, and these"
    assert graph.outputs == ("y",), "outputs as they were"
    assert graph.values[names[0]].shape == ("N", 1, HIDDEN), "one sample's"
    x = reals(7, 6, 2, WIDTH)
    got = run(graph, {"x": x})["y"]
    want = by_hand(op, x, {n[-1]: np.zeros((1, 1, HIDDEN), np.float32) for n in names})
    assert np.abs(got - want).max() < CLOSE, "what onnxruntime makes of it, state by hand"
    anew = run(import_onnx(recurrent(op, layout=layout).SerializeToString()), {"x": x})["y"]
    assert np.abs(anew - want)[1:].max() > 0.1, "and it would not, if it began anew"


def test_a_layer_of_codes_goes_on_too(tmp_path: Path) -> None:
    """DynamicQuantizeLSTM, as onnxruntime's quantizer makes it of the same model."""
    (tmp_path / "float.onnx").write_bytes(recurrent().SerializeToString())
    quantize_dynamic(
        tmp_path / "float.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True}, op_types_to_quantize=["LSTM"],
    )  # fmt: skip
    graph = import_onnx(tmp_path / "int8.onnx", streaming=True)
    assert "DynamicQuantizeLSTM" in {node.op for node in graph.nodes}, "on codes"
    write_rq(tmp_path / "m.rq", graph)
    x, session = reals(7, 6, 2, WIDTH), Session(tmp_path / "m.rq", threads=1)
    got = run(graph, {"x": x})["y"]
    assert session.run({"x": x})["y"].tobytes() == got.tobytes(), "the runtime's bits"
    want = by_hand("LSTM", x, {n: np.zeros((1, 1, HIDDEN), np.float32) for n in "hc"})
    assert np.abs(got - want).max() < 0.05, "near the float layer, which goes on, too"


def test_a_constant_beginning_is_what_the_state_begins_as() -> None:
    initial = {"h": reals(8, 1, 1, HIDDEN), "c": reals(9, 1, 1, HIDDEN)}
    made = recurrent(initial=initial)
    graph = import_onnx(made.SerializeToString(), streaming=True)
    x = reals(7, 4, 2, WIDTH)
    got, want = run(graph, {"x": x})["y"], by_hand("LSTM", x, initial)
    assert np.abs(got - want).max() < CLOSE, "not zeros"
    state = Stream(graph).state
    assert state["rnn/h"].tobytes() == initial["h"].tobytes(), "the constant"
    zero = {"h": np.zeros((1, 1, HIDDEN), np.float32), "c": initial["c"]}
    mixed = import_onnx(recurrent(initial=zero).SerializeToString(), streaming=True)
    assert [bool(state.initial) for state in mixed.states] == [False, True], "zeros need none"
    wide = {"h": reals(8, 1, 2, HIDDEN), "c": reals(9, 1, 2, HIDDEN)}
    with pytest.raises(OnnxUnsupportedError, match="not of one sample"):
        import_onnx(recurrent(initial=wide).SerializeToString(), streaming=True)


@pytest.mark.parametrize("direction", ["bidirectional", "reverse"])
def test_a_layer_that_runs_backward_is_named(direction: str) -> None:
    made = recurrent(direction=direction)
    with pytest.raises(OnnxUnsupportedError) as caught:
        import_onnx(made.SerializeToString(), streaming=True)
    assert caught.value.nodes[0][:2] == ("rnn", "LSTM"), "the node"
    assert f"it runs {direction}, from an end that a stream has not got" in str(caught.value), "why"
    assert not import_onnx(made.SerializeToString()).states, "in one piece it is fine"


def test_an_end_that_is_an_output_stays_one() -> None:
    graph = import_onnx(recurrent(ends=("hn",), layout=1).SerializeToString(), streaming=True)
    assert graph.outputs == ("y", "hn"), "as the file has them"
    stream = Stream(graph)
    outputs = stream.run({"x": reals(7, 1, 2, WIDTH)})
    assert outputs["hn"].tobytes() == stream.state["rnn/h"].tobytes(), "and it is the state"


def test_nothing_to_keep_is_an_error() -> None:
    made = model([node("Relu", ["x"], ["y"])], {"x": ["N", 2]}, ["y"])
    with pytest.raises(ValueError, match="no LSTM or GRU begins anew in each run"):
        import_onnx(made.SerializeToString(), streaming=True)


def accumulator() -> Any:
    nodes = [
        node("Add", ["x", "h"], ["hn"]),
        node("Mul", ["hn", "two"], ["y"]),
        node("Relu", ["h"], ["other"]),
    ]
    two = {"two": np.array([2], np.float32)}
    return model(nodes, {"x": ["N", 2], "h": ["N", 2]}, ["y", "hn", "other"], two)


def test_the_user_binds_an_input_to_an_output() -> None:
    graph = import_onnx(accumulator().SerializeToString(), states={"h": "hn"})
    assert graph.states == (State("h", "h", "hn"),), "called after the input"
    assert graph.outputs == ("y", "other"), "what is only kept is no output"
    x = reals(7, 3, 2)
    sums = np.cumsum(x, axis=0, dtype=np.float32)
    assert (run(graph, {"x": x})["y"] == 2 * sums).all(), "sums"
    with pytest.raises(ValueError, match=r"states bind inputs, which are \['x', 'h'\], got 'g'"):
        import_onnx(accumulator().SerializeToString(), states={"g": "hn"})
    with pytest.raises(ValueError, match=r"one of the outputs \['y', 'hn', 'other'\], got 'z'"):
        import_onnx(accumulator().SerializeToString(), states={"h": "z"})


def test_kinds_that_differ_are_refused() -> None:
    nodes = [node("Concat", ["x", "h"], ["hn"], axis=1)]
    made = model(nodes, {"x": ["N", 2], "h": ["N", 2]}, ["hn"])
    with pytest.raises(ValueError, match=r"state 'h': 'h' is float32 \[N, 2\], 'hn' is float32"):
        import_onnx(made.SerializeToString(), states={"h": "hn"})


ASSETS = Path(__file__).parents[4] / "assets"
SILERO: dict[str, dict[str, Any]] = {
    "silero_vad.onnx": {
        "shapes": {"input": [1, 576], "state": [2, 1, 128]},
        "fixed": {"sr": np.array(16000, np.int64)},
        "states": {"state": "stateN"},
    },
    "silero_vad_half.onnx": {
        "shapes": {"input": [1, 576], "state": [2, 1, 128]},
        "states": {"state": "stateN"},
    },
    "silero_vad_16k_sequence.onnx": {
        "shapes": {"input": [1, 576]},
        "states": {"h": "hn", "c": "cn"},
    },
}


def chunks(count: int) -> Array:
    """Speech as silero hears it: 512 samples, after the 64 before them."""
    wav = sorted((ASSETS / "librivox").glob("*.wav"))[0]
    sound = np.concatenate([np.zeros(64, np.float32), read_wav(wav)])
    return np.stack([sound[512 * i : 512 * i + 576] for i in range(count)])[:, None]


@pytest.mark.models
@pytest.mark.parametrize("file", SILERO)
def test_silero_hears_a_recording_chunk_by_chunk(file: str, tmp_path: Path) -> None:
    told = SILERO[file]
    graph = import_onnx(ASSETS / "silero_vad" / file, **told)
    write_rq(tmp_path / "vad.rq", graph)
    session, pure = Session(tmp_path / "vad.rq", threads=2), opened(graph)
    fed = {s.input: initial_state(graph)[s.name] for s in graph.states}
    theirs, heard = dict(fed), []
    for step, x in enumerate(chunks(60)):
        got = session.run({"input": x})
        by_hand = run(pure, {"input": x, **fed}) if step < 12 else {}
        kept = {s.output: session.state[s.name] for s in graph.states}
        for name, array in by_hand.items():
            assert (got | kept)[name].tobytes() == array.tobytes(), f"step {step}: {name}"
        fed = {s.input: by_hand[s.output] for s in graph.states} if by_hand else fed
        answers = ask_ort(
            str(ASSETS / "silero_vad" / file), {"input": x, **theirs, **told.get("fixed", {})},
            outputs=[*graph.outputs, *told["states"].values()],
        )  # fmt: skip
        theirs = dict(zip(told["states"], answers[1:], strict=True))
        heard.append((float(got[graph.outputs[0]].ravel()[0]), float(answers[0].ravel()[0])))
    mine, other = np.array(heard).T
    # As test_onnx_models, of a probability: an LSTM forgets, so steps do not add up.
    bound = len(graph.nodes) * (2 * 768) ** 0.5 * 2.0**-24
    assert np.abs(mine - other).max() <= bound, f"{np.abs(mine - other).max()} apart, {bound}"
    assert mine.max() > 0.9, "somebody speaks"
