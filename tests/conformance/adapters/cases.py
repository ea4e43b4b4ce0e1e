"""Cases of every operator that lie on ties, edges and extremes: what adapters are tried with."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_conformance.operators import OPERATORS, types_of
from refquant_conformance.protocol import Case
from refquant_conformance.types import INTEGERS, code_range, storage

Rng = np.random.Generator
Array = NDArray[Any]

AXES = {
    **{"qlinear_matmul": ("b", 1), "qlinear_conv": ("w", 0)},
    "qlinear_depthwise_conv": ("w", 0),
}
ONLY = {  # the output scale and zero point that TFLite wants, by operator and type
    ("qlinear_softmax", "int8"): (1 / 256, -128),
    ("qlinear_softmax", "uint8"): (1 / 256, 0),
    ("qlinear_sigmoid", "int8"): (1 / 256, -128),
    ("qlinear_sigmoid", "uint8"): (1 / 256, 0),
    ("qlinear_tanh", "int8"): (1 / 128, 0),
    ("qlinear_tanh", "uint8"): (1 / 128, 128),
}


def codes(rng: Rng, logical: str, *shape: int) -> Array:
    """Half of them anything, half of them ends of the range: sums that saturate."""
    qmin, qmax = code_range(logical)
    some = rng.integers(qmin, qmax, shape, endpoint=True)
    ends = rng.choice([qmin, qmax, qmax, qmax - 1], shape)
    return np.where(rng.random(shape) < 0.5, some, ends).astype(storage(logical))


def scale(rng: Rng, low: float = -3, high: float = 0) -> np.float32:
    """Every third a power of two: those make ties."""
    if rng.random() < 0.4:
        return np.float32(2.0 ** rng.integers(-6, 1))
    return np.float32(10.0 ** rng.uniform(low, high))


def zero_point(rng: Rng, logical: str) -> int:
    qmin, qmax = code_range(logical)
    some = int(rng.integers(qmin, qmax))
    return int(rng.choice([qmin, qmax, (qmin + qmax + 1) // 2, some]))


def matrices(rng: Rng) -> dict[str, tuple[int, ...]]:
    m, k, n = (int(rng.integers(1, high)) for high in (9, 40, 20))
    return {"a": (m, k), "b": (k, n), "bias": (n,)}


def images(rng: Rng, *, group: int) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    c, o = (int(v) for v in rng.choice([1, 3, 8], 2))
    if group > 1:
        c, group = (8, 8) if rng.random() < 0.5 else (4, 2)
        o = 8
    kh, kw, h, w = (int(v) for v in (*rng.integers(1, 4, 2), *rng.integers(4, 10, 2)))
    shapes = {"x": (int(rng.integers(1, 3)), c, h, w), "w": (o, c // group, kh, kw), "bias": (o,)}
    pads = tuple(int(rng.integers(0, k)) for k in (kh, kw, kh, kw))
    return shapes, {
        "strides": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "pads": pads if rng.random() < 0.5 else (0, 0, 0, 0),
        "dilations": (1, 1),
        "group": group,
    }


def product(op: str, scheme: str, rng: Rng, **params: Any) -> Case:
    """A matrix product or a convolution: with a bias or without, zero points of all kinds."""
    types = types_of(op, scheme)
    more: dict[str, Any] = {}
    if op == "qlinear_depthwise_conv":
        shapes, more = images(rng, group=8)
        shapes |= {"x": (shapes["x"][0], 8, *shapes["x"][2:]), "w": (8, 1, *shapes["w"][2:])}
        more["group"] = 8
    elif op == "qlinear_conv":
        shapes, more = images(rng, group=2 if rng.random() < 0.4 else 1)
    else:
        shapes = matrices(rng)
    (x, w) = ("a", "b") if op == "qlinear_matmul" else ("x", "w")
    _, axis = AXES[op]
    count = shapes[w][axis]
    fine = (count,) if scheme.endswith("_channel") else ()
    sx, sw = scale(rng), np.asarray([scale(rng) for _ in range(count)], np.float32)
    sw = sw if fine else sw[0]
    terms = int(np.prod(shapes[w])) // count
    inputs = {
        x: codes(rng, types[x], *shapes[x]),
        f"{x}_scale": sx,
        f"{x}_zero_point": zero_point(rng, types[x]),
        w: codes(rng, types[w], *shapes[w]),
        f"{w}_scale": sw,
        f"{w}_zero_point": np.full(fine, 0 if types[w] == "int8" else 128),
        "y_scale": np.float32(sx * np.mean(sw) * terms * 2.0 ** rng.integers(0, 6)),
        "y_zero_point": zero_point(rng, types["y"]),
    }
    if rng.random() < 0.5:
        inputs["bias"] = rng.integers(-3000, 3000, shapes["bias"])
    return made(op, scheme, inputs, {**more, **params})


def made(op: str, scheme: str, inputs: dict[str, Any], params: dict[str, Any]) -> Case:
    types = types_of(op, scheme)
    ordered = {
        name: np.asarray(inputs[name]).astype(storage(types[name]))
        for name in OPERATORS[op].inputs
        if name in inputs
    }
    return Case(op, scheme, ordered, params, types=types)


def pointwise(op: str, scheme: str, rng: Rng) -> Case:
    """An operator of one or two operands; TFLite's own output scale where it has one."""
    types = types_of(op, scheme)
    names = [name for name in ("a", "b", "x") if name in OPERATORS[op].inputs]
    shape: tuple[int, ...] = (4, 64)
    params: dict[str, Any] = {}
    if op in ("qlinear_average_pool", "qlinear_mean"):
        sizes = (rng.integers(1, 3), rng.choice([1, 3, 16]), *rng.integers(3, 9, 2))
        shape = tuple(int(size) for size in sizes)
    if op == "qlinear_average_pool":
        kernel = tuple(int(v) for v in rng.integers(1, 4, 2))
        params = {"kernel": kernel, "strides": (1, 2), "pads": (0, 0, 0, 0)}
    if op == "qlinear_leaky_relu":
        params = {"alpha": float(rng.choice([0.25, 0.1, 0.01]))}
    inputs: dict[str, Any] = {}
    for name in names:
        inputs |= {
            name: codes(rng, types[name], *shape),
            f"{name}_scale": scale(rng),
            f"{name}_zero_point": zero_point(rng, types[name]),
        }
    near = inputs[f"{names[0]}_scale"] * np.float32(2.0 ** rng.integers(-1, 3))
    inputs |= {"y_scale": near, "y_zero_point": zero_point(rng, types["y"])}
    if (op, types["y"]) in ONLY:
        inputs["y_scale"], inputs["y_zero_point"] = ONLY[op, types["y"]]
    if op == "qlinear_mul":
        inputs["y_scale"] = inputs["a_scale"] * inputs["b_scale"] * np.float32(128)
    if op in ("qlinear_average_pool", "qlinear_mean") and rng.random() < 0.5:
        inputs |= {"y_scale": inputs["x_scale"], "y_zero_point": inputs["x_zero_point"]}
    return made(op, scheme, inputs, dict(params))


def dequantizer(scheme: str, rng: Rng) -> Case:
    types = types_of("dequantize_linear", scheme)
    fine = scheme.rpartition("_")[2]
    shape = {"channel": (3,), "block": (3, 4)}.get(fine, ())
    params = {"axis": {"channel": 0, "block": 1}.get(fine), "block_size": 4 * (fine == "block")}
    if types["x"] == "int32":
        x: Array = rng.integers(-(2**31), 2**31 - 1, (3, 16))
        zero: Any = np.zeros(shape)
    elif types["x"] in INTEGERS:
        x = codes(rng, types["x"], 3, 16)
        zero = np.asarray([zero_point(rng, types["x"]) for _ in range(12)])
        zero = zero[: int(np.prod(shape))].reshape(shape)
    else:
        x, zero = np.arange(48).reshape(3, 16) + 128 * int(rng.integers(0, 2)), np.zeros(shape)
    scales = np.asarray([scale(rng) for _ in range(12)])[: int(np.prod(shape))].reshape(shape)
    inputs = {"x": x, "scale": scales, "zero_point": zero}
    return made("dequantize_linear", scheme, inputs, params)


def cases(op: str, scheme: str, count: int, *, seed: int = 0) -> Iterator[Case]:
    """``count`` cases of a cell; the same seed, the same cases."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        if op in AXES:
            yield product(op, scheme, rng)
        elif op == "matmul_integer":
            types, shapes = types_of(op, scheme), matrices(rng)
            inputs = {name: codes(rng, types[name], *shapes[name]) for name in "ab"}
            points = {f"{n}_zero_point": zero_point(rng, types[n]) for n in "ab"}
            yield made(op, scheme, {**inputs, **points}, {})
        elif op == "dequantize_linear":
            yield dequantizer(scheme, rng)
        elif op == "dynamic_quantize_linear":
            steps = rng.integers(-300, 300, 40) + rng.choice([0, 0.5], 40)
            yield made(op, scheme, {"x": steps * scale(rng)}, {})
        else:
            yield pointwise(op, scheme, rng)
