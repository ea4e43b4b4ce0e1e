"""FakeQuantize nodes that mean nothing are refused, and what refuses them says why."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Node
from refquant.model.validate import GraphError, validate
from refquant.model.validate_simulated import mixes_samples, needs_contract

F = np.float32
INT8 = {"format": "int8", "granularity": "token"}
FP8 = {"format": "fp8_e4m3", "granularity": "tensor"}


def graph(
    attributes: dict[str, Any], *, scale: Any = None, contract: str | None = None,
    shape: tuple[int | str, ...] = ("N", 4, 6),
) -> Graph:  # fmt: skip
    b = Builder("g")
    inputs = [b.input("x", shape)]
    if scale is not None:
        inputs.append(b.constant("s", np.asarray(scale, F)))
    lopsided = replace(preset("ort"), symmetric_scale="none", name="lopsided")
    own = lopsided if contract == "lopsided" else None if contract is None else preset(contract)
    return b.graph([b.node("FakeQuantize", inputs, name="y", attributes=attributes, contract=own)])


@pytest.mark.parametrize(
    ("attributes", "scale", "contract"),
    [
        (INT8, None, "ort"),
        ({**INT8, "axis": 1, "threshold": 6, "clip_ratio": 1}, None, "bitsandbytes"),
        (FP8, None, None),
        (FP8, 2.0**-126, None),
        ({"format": "int4", "granularity": "tensor"}, 0.5, "torch"),
        ({"format": "nvfp4", "granularity": "block", "axis": -2}, 0.5, None),
        ({"format": "mxint8", "granularity": "block"}, None, None),
    ],
)
def test_what_means_something(attributes: dict[str, Any], scale: Any, contract: str | None) -> None:
    validate(graph(attributes, scale=scale, contract=contract))


@pytest.mark.parametrize(
    ("attributes", "scale", "contract", "message"),
    [
        ({"format": "int8"}, None, "ort", "needs the attribute 'granularity'"),
        ({**INT8, "format": "int5"}, None, "ort", "attribute format is one of"),
        ({**INT8, "granularity": "block"}, None, "ort", "granularity: int8 has 'tensor' or"),
        (INT8, None, None, "names its contract; add contract"),
        (FP8, None, "ort", "computes by no contract, got 'ort'; remove it"),
        (INT8, None, "lopsided", "symmetric must be False: contract 'lopsided'"),
        (INT8, 0.5, "ort", "a static scale is one number"),
        (FP8, [0.5], None, r"the scale \(input 1\) has shape \[\], got \[1\]"),
        (FP8, 0.0, None, "the scale 's' is a constant, finite and at least 2"),
        (FP8, 2.0**-127, None, "the scale 's' is a constant, finite and at least 2"),
        (FP8, np.inf, None, "the scale 's' is a constant, finite and at least 2"),
        (FP8, np.nan, None, "the scale 's' is a constant, finite and at least 2"),
        (FP8, -1.0, None, "the scale 's' is a constant, finite and at least 2"),
        ({**INT8, "axis": 3}, None, "ort", r"axis is in \[-3, 2\], got 3"),
        ({**INT8, "axis": 0}, None, "ort", "runs along the batch N"),
        ({**INT8, "axis": -3}, None, "ort", "runs along the batch N"),
        ({**INT8, "clip_ratio": 2}, None, "ort", "clip_ratio: a number above 0 and at most 1"),
        ({**FP8, "threshold": 6}, None, None, "threshold: only with granularity 'token'"),
        ({**INT8, "clamp_min": 0}, None, "ort", "no attribute 'clamp_min'"),
    ],
)
def test_what_means_nothing_is_refused(
    attributes: dict[str, Any], scale: Any, contract: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        graph(attributes, scale=scale, contract=contract)


def test_a_scale_is_a_constant_and_x_is_float32() -> None:
    b = Builder("g")
    x, s = b.input("x", (4,)), b.input("s", ())
    with pytest.raises(GraphError, match="the scale 's' is a constant"):
        b.graph([b.node("FakeQuantize", [x, s], attributes=FP8)])
    b = Builder("g")
    with pytest.raises(GraphError, match="input 'x' is float32 without quant, got int32"):
        b.graph([b.node("FakeQuantize", [b.input("x", (4,), dtype="int32")], attributes=FP8)])
    good = graph(FP8)
    values = {**good.values, "y": replace(good.values["y"], dtype="int32")}
    with pytest.raises(GraphError, match="the output is float32 without quant, got int32"):
        validate(replace(good, values=values))


def test_tokens_may_have_any_length() -> None:
    validate(graph(INT8, contract="ort", shape=("N", "T", 6)))
    validate(graph({"format": "mxfp4", "granularity": "block", "axis": 1}, shape=("N", "T", 6)))


def test_who_needs_a_contract_and_who_looks_at_neighbours() -> None:
    node = graph(INT8, contract="ort").nodes[0]
    assert needs_contract(node), "integers"
    assert not needs_contract(graph(FP8).nodes[0]), "floats say themselves how they round"
    assert not needs_contract(Node("r", "Relu", ("x",), ("y",))), "another operator"
    assert not mixes_samples(node), "tokens"
    assert mixes_samples(graph(FP8).nodes[0]), "a dynamic tensor"
    assert not mixes_samples(graph(FP8, scale=0.5).nodes[0]), "a static one"
    assert mixes_samples(graph({**INT8, "threshold": 6.0}, contract="ort").nodes[0]), "columns"
    assert not mixes_samples(Node("r", "Relu", ("x",), ("y",))), "another operator"
