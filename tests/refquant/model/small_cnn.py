"""A network with one of everything that a quantizer must get right, and data for it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.recipe import Override, Recipe
from refquant.model.recipe_algorithms import AdaRound

Array = NDArray[Any]


def _weight(rng: np.random.Generator, *shape: int) -> Array:
    """He-like weights whose channels differ in range by up to 8: one scale for all hurts."""
    spread = np.exp2(rng.uniform(-3, 0, (shape[0], *[1] * (len(shape) - 1))))
    fan_in = int(np.prod(shape[1:]))
    return np.asarray(rng.standard_normal(shape) * spread * np.sqrt(4 / fan_in), np.float32)


def small_cnn(*, softmax: bool = True) -> Graph:
    """Build it: 2x8x8 in, the softmax of five scores out, or these; weights by a fixed seed."""
    rng = np.random.default_rng(7)
    b = Builder("small_cnn")

    def constant(name: str, *shape: int) -> str:
        return b.constant(name, _weight(rng, *shape))

    def conv(name: str, x: str, out: int, fan: int, kernel: int, **attributes: Any) -> str:
        pads = [kernel // 2] * 4
        operands = [x, constant(f"{name}.w", out, fan, kernel, kernel), constant(f"{name}.b", out)]
        return b.node("Conv", operands, name=name, attributes={"pads": pads, **attributes})

    x = b.input("x", ("N", 2, 8, 8))
    h = conv("stem", x, 8, 2, 3)
    norm = [b.constant(f"norm.{p}", np.abs(_weight(rng, 8)) + np.float32(0.5)) for p in "gbmv"]
    h = b.node("BatchNormalization", [h, *norm], name="norm")
    stem = b.node("Relu", [h], name="stem.relu")
    h = b.node("Clip", [conv("dw", stem, 8, 1, 3, group=8)], name="dw.clip",
               attributes={"min": 0.0, "max": 0.75})  # fmt: skip
    h = b.node("Add", [conv("pw", h, 8, 8, 1), stem], name="residual")
    h = b.node("Relu", [b.node("Identity", [h], name="same")], name="residual.relu")
    gate = b.node("Sigmoid", [b.node("GlobalAveragePool", [h], name="squeeze")], name="gate")
    h = b.node("Mul", [h, gate], name="excite")
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    left = b.node("MaxPool", [h], name="max", attributes=window)
    right = b.node("AveragePool", [h], name="mean", attributes=window)
    right = b.node("LeakyRelu", [conv("side", right, 4, 8, 1)], name="leaky")
    h = b.node("Concat", [left, right, left], name="join", attributes={"axis": 1})
    h = b.node("Pad", [h], name="pad", attributes={"pads": [0, 0, 1, 0, 0, 0, 0, 1]})
    h = b.node("Transpose", [h], name="turn", attributes={"perm": [0, 2, 3, 1]})
    h = b.node("Flatten", [h], name="flat")
    h = b.node("MatMul", [h, b.constant("fc.w", _weight(rng, 6, 500).T.copy())], name="fc")
    h = b.node("Relu", [b.node("Add", [h, constant("fc.b", 6)], name="fc.bias")], name="fc.relu")
    h = b.node("Gemm", [h, constant("head.w", 5, 6), constant("head.b", 5)],
               name="head", attributes={"transB": 1})  # fmt: skip
    return b.graph([b.node("Softmax", [h], name="y") if softmax else h])


def samples(count: int, *, seed: int = 1) -> dict[str, Array]:
    """Draw inputs for it."""
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((count, 2, 8, 8)).astype(np.float32)}


def fitted(rules: Recipe) -> Recipe:
    """Return ``rules`` for this network and few samples: 500 inputs are no groups of 64."""
    weights = rules.weights
    if weights is None or weights.algorithm == "rtn":
        return rules
    if weights.adaround is not None:
        rules = replace(rules, weights=replace(weights, adaround=AdaRound(iterations=20)))
    few = {"gptq": {"few_tokens": True}} if weights.algorithm == "gptq" else {}
    size = {"group_size": 50} if weights.granularity == "group" else {}
    more = [Override(n, weights=own) for n, own in (("fc", {**size, **few}), ("head", few)) if own]
    return replace(rules, overrides=(*rules.overrides, *more))
