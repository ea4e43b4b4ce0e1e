"""Calibration: independent of how the data are cut; what is unfit is refused, by name."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refquant.model import calibrate as module
from refquant.model.build import Builder
from refquant.model.calibrate import calibrate
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.recipe import Activations
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import samples, small_cnn

F32 = np.float32


def _log() -> Graph:
    b = Builder("g")
    x, z = b.input("x", ("N", 2)), b.input("z", ("N", 2))
    return b.graph([b.node("Log", [b.node("Add", [x, z], name="sum")], name="log")])


def _ends(seen: module.Calibrated) -> dict[str, list[float]]:
    return {name: [float(v) for v in state.range()] for name, state in seen.observers.items()}


def test_ranges_are_those_of_the_values() -> None:
    g, data = small_cnn(), samples(40)
    names = ["x", "stem", "y", "turn"]
    values = {**run(g, data, keep=names), **data}
    seen = calibrate(g, data, names=names, rules=Activations())
    expected = {n: [float(values[n].min()), float(values[n].max())] for n in sorted(names)}
    assert _ends(seen) == expected, "min-max is the least and the largest value"
    assert seen.samples == 40, seen.samples


@pytest.mark.parametrize("name", ["minmax", "percentile", "mse_histogram", "entropy", "mse_grid"])
def test_it_does_not_matter_how_the_data_are_cut(name: str) -> None:
    g, data, rules = small_cnn(), samples(50), Activations(observer=name)

    def stream() -> Iterator[dict[str, Any]]:
        for i in range(0, 50, 7):
            yield {"x": data["x"][i : i + 7]}

    whole = calibrate(g, data, names=["excite"], rules=rules)
    cut = calibrate(g, stream(), names=["excite"], rules=rules)
    chosen = [
        seen.observers["excite"].qparams(dtype="int8", symmetric=False, contract=_ort())
        for seen in (whole, cut)
    ]
    assert chosen[0] == chosen[1], f"{name}: {chosen}"
    assert (whole.samples, whole.sha256) == (cut.samples, cut.sha256), "the same data"


def _ort() -> Any:
    from refquant.contracts import preset

    return preset("ort")


def test_the_hash_is_that_of_the_samples_bytes() -> None:
    data = samples(33)
    seen = calibrate(
        small_cnn(), {"x": np.asfortranarray(data["x"])}, names=[], rules=Activations()
    )
    assert seen.sha256 == {"x": hashlib.sha256(data["x"].tobytes()).hexdigest()}, seen.sha256


def test_samples_pass_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def spy(graph: Graph, inputs: Any, **options: Any) -> Any:
        sizes.append(len(inputs["x"]))
        return run(graph, inputs, **options)

    monkeypatch.setattr(module, "run", spy)
    calibrate(small_cnn(), samples(70), names=["stem"], rules=Activations())
    assert sizes == [32, 32, 6], f"memory is that of {module.STEP} samples, got {sizes}"


def test_a_graph_without_a_batch_takes_one_sample_a_dict() -> None:
    b = Builder("g")
    g = b.graph([b.node("Neg", [b.input("x", (2,))], name="y")])
    data = [{"x": f32([1, 2])}, {"x": f32([-3, 0])}]
    seen = calibrate(g, data, names=["y"], rules=Activations())
    assert _ends(seen) == {"y": [-2.0, 3.0]}, _ends(seen)
    assert seen.samples == 2, seen.samples


GOOD = np.ones((3, 2), F32)
UNFIT: list[tuple[Any, str]] = [
    (None, "calibration data are missing, and this recipe needs"),
    ([], "calibration holds no samples; pass at least one"),
    ({"x": GOOD}, r"each of the inputs \['x', 'z'\], got \['x'\]; rename"),
    ({"x": GOOD, "y": GOOD}, r"each of the inputs \['x', 'z'\], got \['x', 'y'\]"),
    ([GOOD], r"each of the inputs \['x', 'z'\], got ndarray"),
    ({"x": GOOD, "z": GOOD.astype(np.float64)}, "input 'z': it is a float32 array, got float64"),
    ({"x": GOOD, "z": [[1.0, 2.0]]}, "input 'z': it is a float32 array, got list"),
    ({"x": GOOD, "z": GOOD[:, :1]}, r"input 'z': its shape is \['N', 2\].*got \[3, 1\]; reshape"),
    ({"x": GOOD, "z": GOOD[:2]}, r"input 'z': .* every input has as many, got \[2, 2\]"),
    ({"x": np.float32(3), "z": GOOD}, r"input 'x': it is a float32 array, got float32"),
    ({"x": GOOD[:0], "z": GOOD[:0]}, r"input 'x': it is empty, got shape \[0, 2\]; pass"),
    ({"x": GOOD * F32(np.nan), "z": GOOD}, "input 'x': it is finite, got 6 NaN or infinity in 6"),
    ({"x": GOOD, "z": -GOOD}, "value 'log': batch must be finite, got 6 NaN or infinity"),
]


@pytest.mark.parametrize(("data", "message"), UNFIT)
def test_data_that_are_unfit(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate(_log(), data, names=["log"], rules=Activations())
