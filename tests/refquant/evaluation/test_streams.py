"""Two models with states side by side: each with the states that it had itself."""

import numpy as np

from refquant.evaluation.streams import side_by_side
from refquant.evaluation.trace import trace
from refquant.model.execute import run
from tests.refquant.model.streams import feeds, lstm, sums


def test_each_model_hears_the_recording_by_itself() -> None:
    graph = lstm()
    x = feeds(graph, 5)
    louder = {"x": 2 * x["x"]}
    graphs, inputs = side_by_side((graph, graph), (x, louder), sums="ordered")
    for pure, data, heard in zip(graphs, inputs, (x, louder), strict=True):
        assert pure.states == (), "pure"
        assert pure.outputs == ("y", "hn", "cn"), "what the states become is compared, too"
        assert run(pure, data)["y"].tobytes() == run(graph, heard)["y"].tobytes(), "as in a stream"
    assert not np.array_equal(inputs[0]["h"][1:], inputs[1]["h"][1:]), "states of their own"


def test_steps_without_a_batch_keep_their_axis() -> None:
    """And what is traced is what the same model with a batch has."""
    one, many = lstm(length=2, batch=1), lstm(length=2)
    x, noise = feeds(many, 3)["x"], feeds(many, 3, seed=8)["x"]
    found = []
    for graph, data in ((one, (x[:, None], noise[:, None])), (many, (x, noise))):
        graphs, inputs = side_by_side((graph, graph), ({"x": data[0]}, {"x": data[1]}),
                                      sums="ordered")  # fmt: skip
        keep = (frozenset("y"), frozenset("y"))
        found.append(trace(graphs, inputs, keep=keep, sums="ordered"))
    for each, same in zip(*(t.values for t in found), strict=True):
        a, b = each.difference, same.difference
        assert (each.value, a.elements, a.differing) == (same.value, b.elements, b.differing), (
            "every step is counted"
        )
    for which in (0, 1):
        stepped, batched = (t.kept[which]["y"] for t in found)
        assert stepped.shape == (3, 1, *batched.shape[1:]), "an axis of steps, in front"
        assert stepped.tobytes() == batched.tobytes(), "the same numbers"
    single = {"x": x[:1]}
    assert side_by_side((one, one), (single, single), sums="ordered")[1][0]["h"].shape == (1, 1, 4)
    pure = side_by_side((sums(), sums()), ({"x": np.ones((2, 2), np.float32)},) * 2, sums="ordered")
    assert pure[1][1]["before"].tolist() == [[1, 2], [2, 3]], "with a batch, samples"
