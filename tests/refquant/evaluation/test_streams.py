"""Two models with states side by side: each with the states that it had itself."""

import numpy as np
import pytest

from refquant.evaluation.streams import side_by_side
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


def test_steps_without_a_batch_are_no_samples() -> None:
    graph = lstm(length=2, batch=1)
    x = {"x": np.zeros((3, 1, 2, 3), np.float32)}
    with pytest.raises(ValueError, match="'lstm' has states and no batch, so its 3 steps"):
        side_by_side((graph, graph), (x, x), sums="ordered")
    one = {"x": x["x"][0]}
    assert side_by_side((graph, graph), (one, one), sums="ordered")[1][0]["h"].shape == (1, 1, 4), (
        "one step is one"
    )
    assert side_by_side((sums(), sums()), ({"x": np.ones((2, 2), np.float32)},) * 2,
                        sums="ordered")[1][1]["before"].tolist() == [[1, 2], [2, 3]]  # fmt: skip
