"""Seven int8 models on all real inputs there are: every code is LiteRT's, by both of its tools.

Noise finds saturation and ties; photos and speech find what a user meets. The eighth model wants
movements, of which there are none (`tests/models/test_tflite.py` has its 204 made inputs).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.compat.tflite import Interpreter
from tests.models.test_tflite import FOLDERS, file_of, graph
from tests.outsiders.litert import interpreter
from tests.outsiders.real_inputs import ASSETS, REAL
from tests.refquant.model.importers.tflite_hybrid_nets import CASES as HYBRID
from tests.refquant.model.importers.tflite_hybrid_nets import IMAGE, net

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not all((ASSETS / n).exists() for n in ("mlperf_tiny", "silabs", "photos", "librivox")),
        reason="its models and recordings are not there; see `make assets`",
    ),
]


def test_every_model_but_one_has_real_inputs() -> None:
    assert set(FOLDERS) - set(REAL) == {"tflite_micro_magic_wand"}, "nobody recorded a wand"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", REAL)
def test_every_code_of_every_real_input(name: str, tool: str, tmp_path: Path) -> None:
    g, x = graph(name, tool), REAL[name]()
    it = interpreter(file_of(name), tool)
    (given,), (made,) = it.get_input_details(), it.get_output_details()
    theirs = []
    for row in x:
        it.set_tensor(given["index"], row[np.newaxis])
        it.invoke()
        theirs.append(it.get_tensor(made["index"]).copy())
    expected = np.concatenate(theirs)
    (ours,) = run(g, {g.inputs[0]: x}, sums="blas").values()
    assert np.array_equal(ours, expected), f"{name} by {tool}: a code of {len(x)} inputs"
    write_rq(tmp_path / "m.rq", g)
    session = Session(tmp_path / "m.rq", threads=1)
    (executed,) = session.run({g.inputs[0]: x}).values()
    assert np.array_equal(executed, expected), "the runtime's, too"
    assert len(np.unique(expected)) > 2, "inputs that say something"


_SAME = ("name", "shape", "dtype", "quantization", "shape_signature")


def _alike(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(theirs) <= set(ours), f"the fields {set(theirs) - set(ours)} are missing"
    for key in _SAME:
        assert np.array_equal(ours[key], theirs[key]), f"{key}: {ours[key]} is not {theirs[key]}"
    a, b = ours["quantization_parameters"], theirs["quantization_parameters"]
    assert a.keys() == b.keys(), "parameters have the same names"
    for key in a:
        assert np.array_equal(a[key], b[key]), f"{key} of {ours['name']}"


@pytest.mark.parametrize("name", FOLDERS)
def test_the_shim_is_litert_s_interpreter(name: str, tmp_path: Path) -> None:
    g = graph(name, "xnnpack")
    write_rq(tmp_path / "m.rq", g)
    ours, theirs = Interpreter(str(tmp_path / "m.rq")), interpreter(file_of(name), "xnnpack")
    ours.allocate_tensors()
    for kind in ("get_input_details", "get_output_details"):
        for a, b in zip(getattr(ours, kind)(), getattr(theirs, kind)(), strict=True):
            _alike(a, b)
    (a,), (b,) = ours.get_input_details(), theirs.get_input_details()
    rng = np.random.default_rng(4)
    for _ in range(5):
        x = rng.integers(-128, 128, b["shape"]).astype(b["dtype"])
        for it, given in ((ours, a), (theirs, b)):
            it.set_tensor(given["index"], x)
            it.invoke()
        found = [it.get_tensor(it.get_output_details()[0]["index"]) for it in (ours, theirs)]
        assert found[0].dtype == found[1].dtype, "the same dtype"
        assert np.array_equal(found[0], found[1]), f"{name}: the same codes"


@pytest.mark.parametrize("case", HYBRID)
def test_the_shim_of_a_layer_of_dynamic_range(case: str, tmp_path: Path) -> None:
    data = net(*HYBRID[case])
    write_rq(tmp_path / "m.rq", tflite_graph(data, path=case))
    x = IMAGE.reshape(1, 8) if case.startswith("FULLY") else IMAGE
    made, details = [], []
    for it in (Interpreter(str(tmp_path / "m.rq")), interpreter(data, "xnnpack")):
        it.allocate_tensors()
        (given,), (out,) = it.get_input_details(), it.get_output_details()
        it.set_tensor(given["index"], x)
        it.invoke()
        made.append(it.get_tensor(out["index"]))
        details.append((given["name"], given["dtype"], given["shape"].tolist(), out["dtype"]))
    assert np.array_equal(made[0], made[1]), f"{case}: the same reals, to the bit"
    assert details[0] == details[1], "and the same words for them"
