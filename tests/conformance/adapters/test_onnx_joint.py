"""Many models as one: the ONNX evaluator computes each as it does alone."""

from typing import Any

import numpy as np

from refquant_conformance.adapters.engine import imported
from refquant_conformance.adapters.onnx_cases import fed, model_of
from refquant_conformance.adapters.onnx_joint import joint, numbered
from refquant_conformance.adapters.onnx_models import serialized
from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Array

CELLS = (("qlinear_matmul", "u8_i8"), ("qlinear_add", "i8"), ("qlinear_matmul", "i8_i8_channel"))


def test_each_part_computes_what_it_does_alone() -> None:
    onnx, reference = imported("onnx", "onnx"), imported("onnx.reference", "onnx")
    cases = [sample(op, scheme) for op, scheme in CELLS]
    models = [model_of(case, style="pairs") for case in cases]
    whole = joint(models)
    feeds: dict[str, Array] = {}
    shapes: dict[str, Any] = {}
    expected: dict[str, Array] = {}
    for k, (case, model) in enumerate(zip(cases, models, strict=True)):
        given = fed(model, case)
        alone = serialized(onnx, model, {name: array.shape for name, array in given.items()})
        evaluator = reference.ReferenceEvaluator(onnx.load_model_from_string(alone))
        expected[numbered("y", k)] = evaluator.run(["y"], given)[0]
        feeds |= {numbered(name, k): array for name, array in given.items()}
        shapes[numbered("y", k)] = (None,) * case.inputs[next(iter(given))].ndim
    data = serialized(onnx, whole, {**{n: a.shape for n, a in feeds.items()}, **shapes})
    found = reference.ReferenceEvaluator(onnx.load_model_from_string(data)).run(None, feeds)
    for name, array in zip(whole.outputs, found, strict=True):
        assert np.array_equal(array, expected[name]), name


def test_no_name_is_shared() -> None:
    model = model_of(sample("qlinear_matmul", "u8_i8"), style="pairs")
    whole = joint([model, model])
    made = [name for node in whole.nodes for name in node.outputs]
    assert len(set(made)) == len(made), "two nodes make the same tensor"
    assert len(whole.constants) == 2 * len(model.constants), "constants are not shared"
