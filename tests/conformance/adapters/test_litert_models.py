"""Models of LiteRT as data: keys, orders of axes. The files are tried in ``tests/outsiders``."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.adapters.litert_models import Tensor
from refquant_conformance.adapters.litert_nodes import model_of
from refquant_conformance.adapters.samples import sample


def test_images_are_turned_on_their_way_in_and_back_on_their_way_out() -> None:
    case = sample("qlinear_conv", "i8_i8")
    model = model_of(case)
    (fed,) = model.fed(case.inputs).values()
    assert fed.shape == (1, 4, 4, 2), "not (n, rows, columns, channels)"
    assert np.array_equal(fed[0, 1, 2], case.inputs["x"][0, :, 1, 2]), "another pixel"
    y = np.arange(12).reshape(1, 2, 2, 3)
    assert np.array_equal(model.turned_back(y), y.transpose(0, 3, 1, 2)), "not turned back"


def test_keys_tell_weights_and_parameters_apart_and_not_activations() -> None:
    case = sample("qlinear_matmul", "i8_i8")
    key = model_of(case).key
    for name, other in (("a", False), ("b", True), ("y_zero_point", True), ("a_scale", True)):
        changed = {**case.inputs, name: case.inputs[name] + case.inputs[name].dtype.type(1)}
        assert (model_of(replace(case, inputs=changed)).key != key) == other, name
    rows = {**case.inputs, "a": case.inputs["a"][:1]}
    one = model_of(replace(case, inputs=rows))
    assert one.key == key, "the rows are no part of it"
    assert one.shapes != model_of(case).shapes, "they are told apart by shapes"


def test_a_type_that_litert_has_not_has_no_kind() -> None:
    with pytest.raises(KeyError):
        _ = Tensor("t", (1,), "float8_e5m2").kind
