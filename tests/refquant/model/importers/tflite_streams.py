"""Small ``.tflite`` files with variables: what streams are made of."""

from typing import Any

import numpy as np

from tests.refquant.model.importers.tflite_bytes import Model

FRAME, FRAMES, WORDS = 4, 3, 2
CODES: dict[str, Any] = {"scale": 0.5, "zero_point": 3}


def handle(m: Model, name: str) -> int:
    made = m.tensor((), "resource", name=f"{name}/handle")
    m.op("VAR_HANDLE", [], [made], Container="", SharedName=name)
    return made


def first(m: Model, **variables: tuple[tuple[int, ...], str, Any, dict[str, Any]]) -> Model:
    """The subgraph that says what variables are at first; ``m`` calls it."""
    once = Model()
    for name, (shape, dtype, values, quant) in variables.items():
        value = once.tensor(shape, dtype, values=values, **quant)
        once.op("ASSIGN_VARIABLE", [handle(once, name), value], [])
    m.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    return once


def running_sum(
    dtype: str = "float32", *, begins: bool = True, assigned: bool = True, again: bool = False
) -> bytes:
    """y = v + x, v becomes y; ``again``: z = v + x, v read once more."""
    m, quant = Model(), CODES if dtype == "int8" else {}
    others = [first(m, v=((1, FRAME), dtype, [1, 2, 3, 4], quant))] if begins else []
    x, v = m.tensor((1, FRAME), dtype, name="x", **quant), handle(m, "v")
    old, y = (m.tensor((1, FRAME), dtype, name=name, **quant) for name in ("old", "y"))
    m.op("READ_VARIABLE", [v], [old])
    m.op("ADD", [old, x], [y])
    outputs = [y]
    if assigned:
        m.op("ASSIGN_VARIABLE", [v, y], [])
    if again:
        new, z = (m.tensor((1, FRAME), dtype, name=name, **quant) for name in ("new", "z"))
        m.op("READ_VARIABLE", [v], [new])
        m.op("ADD", [new, x], [z])
        outputs.append(z)
    return m.data([x], outputs, others=others)


def spotter(dtype: str = "int8") -> bytes:
    """Hear a frame, keep the last three, and say how much each word is in them."""
    m, rng = Model(), np.random.default_rng(1)
    quant: dict[str, Any] = CODES if dtype == "int8" else {}
    quiet = np.full((1, FRAMES, FRAME), quant.get("zero_point", 0))
    once = first(m, heard=((1, FRAMES, FRAME), dtype, quiet, quant))
    x, heard = m.tensor((1, 1, FRAME), dtype, name="x", **quant), handle(m, "heard")
    old = m.tensor((1, FRAMES, FRAME), dtype, name="old", **quant)
    m.op("READ_VARIABLE", [heard], [old])
    both = m.tensor((1, FRAMES + 1, FRAME), dtype, name="both", **quant)
    m.op("CONCATENATION", [old, x], [both], Axis=1)
    begin, end, step = (m.tensor((3,), "int32", values=v) for v in ([0, 1, 0], [1, 4, 4], [1] * 3))
    new = m.tensor((1, FRAMES, FRAME), dtype, name="new", **quant)
    m.op("STRIDED_SLICE", [both, begin, end, step], [new])
    m.op("ASSIGN_VARIABLE", [heard, new], [])
    shape = m.tensor((2,), "int32", values=[1, FRAMES * FRAME])
    flat = m.tensor((1, FRAMES * FRAME), dtype, **quant)
    m.op("RESHAPE", [new, shape], [flat])
    weights = rng.integers(-99, 99, (WORDS, FRAMES * FRAME))
    w_quant: dict[str, Any] = {"scale": 0.02, "zero_point": 0} if quant else {}
    w = m.tensor((WORDS, FRAMES * FRAME), dtype, values=weights, **w_quant)
    y_quant: dict[str, Any] = {"scale": 1.5, "zero_point": 0} if quant else {}
    y = m.tensor((1, WORDS), dtype, name="y", **y_quant)
    m.op("FULLY_CONNECTED", [flat, w, -1], [y])
    return m.data([x], [y], others=[once])
