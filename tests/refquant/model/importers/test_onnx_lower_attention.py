"""Attention spelled out: pieces give the whole, rows that see nothing are 0, sizes are numbers.

What each input and attribute means is asked by ONNX's own cases, in test_onnx_lower.py.
"""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from refquant.model.execute import run
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from tests.refquant.model.importers.onnx_models import model, node

RNG = np.random.default_rng(0)
Q, K, V = (RNG.normal(size=(2, 3, 5, 4)).astype(np.float32) for _ in range(3))


def asked(
    inputs: dict[str, Any], outputs: tuple[str, ...] = ("y",), *, batch: Any = None, **how: Any
) -> list[Any]:
    """Import an Attention of these inputs, in the order of ONNX's, and run it."""
    order = ("q", "k", "v", "mask", "past_k", "past_v", "lengths")
    names = [name if name in inputs else "" for name in order]
    while not names[-1]:
        names.pop()
    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}
    described = {
        name: ((batch or array.shape[0], *array.shape[1:]), kinds[array.dtype.kind])
        for name, array in inputs.items()
    }
    made = model([node("Attention", names, outputs, **how)], described, outputs, opset=25)
    graph = import_onnx(made.SerializeToString())
    feeds = {n: a.astype({"i": np.int32, "b": np.uint8, "f": np.float32}[a.dtype.kind])
             for n, a in inputs.items()}  # fmt: skip
    found = run(graph, feeds)
    return [found[name] for name in outputs]


def test_a_step_behind_past_keys_is_the_last_row_of_the_whole() -> None:
    whole, _ = asked({"q": Q, "k": K, "v": V}, ("y", "keys"), softcap=3.0, is_causal=1)
    step, keys, values = asked(
        {"q": Q[:, :, 4:], "k": K[:, :, 4:], "v": V[:, :, 4:],
         "past_k": K[:, :, :4], "past_v": V[:, :, :4]},
        ("y", "keys", "values"), softcap=3.0, is_causal=1,
    )  # fmt: skip
    assert keys.tobytes() == K.tobytes(), "what is kept for the next step"
    assert values.tobytes() == V.tobytes(), "what is kept for the next step"
    # A row's sums are of the same terms in the same order; keys that are masked add exact zeros.
    assert step[:, :, 0].tobytes() == whole[:, :, 4].tobytes(), "not the same bits"


def test_lengths_cut_what_is_behind_them() -> None:
    (cut,) = asked({"q": Q, "k": K, "v": V, "lengths": np.array([3, 3])})
    (short, _) = asked({"q": Q, "k": K[:, :, :3], "v": V[:, :, :3]}, ("y", "keys"))
    assert cut.tobytes() == short.tobytes(), "keys behind the length count"


def test_a_query_that_may_look_nowhere_gives_zeros() -> None:
    mask = np.ones((5, 5), bool)
    mask[2] = False
    y, _ = asked({"q": Q, "k": K, "v": V, "mask": mask}, ("y", "keys"))
    assert not y[:, :, 2].any(), f"{y[:, :, 2]}"
    assert np.isfinite(y).all(), "a quotient of zeros is left"


def test_who_sees_one_key_gives_its_value() -> None:
    (first,) = asked({"q": Q, "k": K, "v": V}, softcap=0.5, is_causal=1)
    assert first[:, :, 0].tobytes() == V[:, :, 0].tobytes(), "the first query sees one key"
    (own,) = asked({"q": Q, "k": K, "v": V}, left_window_size=0, right_window_size=0)
    assert own.tobytes() == V.tobytes(), "a window of nothing but the place itself"


@pytest.mark.parametrize(
    ("inputs", "how", "said"),
    [
        ({"past_k": K}, {}, r"past keys \(input 4\) without past values"),
        ({}, {"softmax_precision": 11, "softcap": 1.0}, "a softmax that is not in float32"),
        ({}, {"softcap": 1.0, "batch": "b"}, "which only a run knows; give the inputs sizes"),
    ],
)
def test_what_is_refused(inputs: dict[str, Any], how: dict[str, Any], said: str) -> None:
    with pytest.raises(OnnxUnsupportedError, match=said):
        asked({"q": Q, "k": K, "v": V, **inputs}, **how)
