"""A GRU or LSTM of codes as a graph, of any ruler or none: what several tests build."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, State

WIDTH = 3
"""Elements of the input."""


def coded_walk(
    op: str = "LSTM",
    *,
    per: str = "row",
    direction: str = "forward",
    biased: bool = True,
    states: bool = True,
    x: tuple[str, Quant] = ("uint8", Quant(0.015625, 100)),
    y: tuple[str, Quant] = ("uint8", Quant(0.0078125, 128)),
    weight: tuple[str, int] = ("int8", 127),
    contract: Contract | str = "ort",
    after: int = 0,
    stream: bool = False,
    dynamic: bool = False,
    size: int = 5,
    **changed: Any,
) -> Graph:
    """Codes in, codes out, or reals where the layer is ``dynamic``; ``size``: of the state.

    ``weight``: dtype and largest code; ``changed``: names to arrays.
    """
    gates, d = 3 if op == "GRU" else 4, 2 if direction == "bidirectional" else 1
    rng, b = np.random.default_rng(len(op + direction + per)), Builder("walk")
    (x_dtype, x_quant), (y_dtype, y_quant) = (("float32", None),) * 2 if dynamic else (x, y)
    inputs = [b.input("x", ("N", "T", WIDTH), dtype=x_dtype, quant=x_quant)]
    for name, k in (("w", WIDTH), ("r", size)):
        shape = (d, gates * size, k)
        grid = {"tensor": (), "direction": (d, 1, 1), "row": (d, gates * size, 1), "all": shape}[
            per
        ]
        scale = rng.uniform(0.001, 0.02, grid).astype(np.float32)
        block = tuple(n if one == 1 else 1 for n, one in zip(shape, grid, strict=False))
        quant = Quant(float(scale), 0) if not grid else Quant(
            b.constant(f"{name}/scale", scale), 0, block)  # fmt: skip
        low = 0 if weight[0].startswith("u") else -weight[1]
        codes = rng.integers(low, weight[1] + 1, shape)
        array: NDArray[Any] = codes.astype("uint8" if low == 0 else "int8")
        inputs.append(b.constant(name, array, dtype=weight[0], quant=changed.get(name, quant)))
    bias = rng.normal(size=(d, 2 * gates * size)).astype(np.float32)
    inputs.append(b.constant("b", bias) if biased else "")
    names = ["h", "c"][: gates - 2]
    first = [b.input(name, ("N", d, size)) for name in names] if states else []
    inputs += ["", *first]
    while not inputs[-1]:
        inputs.pop()
    own: dict[str, Any] = {"hidden_size": size, "layout": 1, "direction": direction}
    own |= {"linear_before_reset": after} if op == "GRU" else {}
    outputs = ["y", *(f"{name}n" for name in names)]
    known = preset(contract) if isinstance(contract, str) else contract
    b.node_with(f"DynamicQuantize{op}" if dynamic else op, inputs, outputs, name="walk",
                attributes=own, contract=known, dtype=None if dynamic else y_dtype,
                quant=y_quant)  # fmt: skip
    bound = [State(name, name, f"{name}n") for name in names] if stream else []
    return b.graph(outputs, states=bound)


def feeds(graph: Graph, steps: int, *, samples: int = 2, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Draw codes for x, or reals, and reals for the states."""
    rng = np.random.default_rng(seed)
    dtype, many = graph.values["x"].dtype, (samples, steps, WIDTH)
    codes: NDArray[Any] = rng.integers(-128, 128, many).astype("int8")
    real = dtype == "float32"
    made = {"x": rng.normal(size=many).astype("f4") if real else codes.view(dtype)}
    for name in graph.inputs[1:]:
        shape = (samples, *(int(s) for s in graph.values[name].shape[1:]))
        made[name] = rng.normal(size=shape).astype(np.float32)
    return made
