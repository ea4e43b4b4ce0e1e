"""F-09 to F-11: files that are whole, and say what no kernel must be asked to compute.

Left out: formats whose files hold no quantization parameters or no graph of their own.

References
----------
``docs/spec/rq-format.md``; ``docs/spec/operators.md`` section 3; ONNX IR, "Graphs".
"""

import struct
from collections.abc import Callable
from typing import Any

from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.properties.files import file_case
from refquant_conformance.properties.registry import prop
from refquant_conformance.properties.rq_files import edited, long_row, seed_of
from refquant_conformance.trial import Trial

__all__ = ["bad_graphs", "bad_parameters"]

_LOAD = ("load",)
_CLAUSE = "docs/spec/rq-format.md: a file that breaks a rule is refused before anything runs"
Graph = dict[str, Any]


def _refused(trial: Trial, files: dict[str, bytes]) -> None:
    """Fail at the first file that is taken."""
    cases = [file_case(trial.scheme, data) for data in files.values()]
    for what, case, answer in zip(files, cases, trial.ask_all(cases), strict=True):
        if answer.result is not None:
            trial.fail(case, f"{what}: taken")


def _set(*path: str | int) -> Callable[[object], Callable[[Graph], None]]:
    """Return what writes a value at a place of the graph; None removes what is there."""

    def to(value: object) -> Callable[[Graph], None]:
        def change(graph: Graph) -> None:
            at: Any = graph
            for step in path[:-1]:
                at = at[step]
            if value is None:
                del at[path[-1]]
            else:
                at[path[-1]] = value

        return change

    return to


def _rq_parameters() -> dict[str, bytes]:
    scale, zero = (_set("values", "a", "quant", name) for name in ("scale", "zero_point"))
    wrong = {
        **{f"scale {v}": scale(v) for v in (0.0, -1.0, float("nan"), float("inf"), 1e39)},
        **{f"zero point {v}": zero(v) for v in (-1, 256, 2**31, 0.5)},
        "codes without parameters": _set("values", "a", "quant")(None),
        "weights without parameters": _set("values", "b", "quant")(None),
        "a zero point of int8 beyond it": _set("values", "b", "quant", "zero_point")(128),
        "a scale that is a missing tensor": _set("values", "b", "quant", "scale")("nowhere"),
        "blocks without scales of blocks": _set("values", "b", "quant", "block_shape")([4, 1]),
    }
    return {what: edited(seed_of("qlinear_matmul"), change) for what, change in wrong.items()}


def _tflite_parameters() -> dict[str, bytes]:
    seed, files = seed_file("tflite"), {}
    for scale in (0.37109375, 0.205078125, 0.61328125):  # of x, of the constant, of y
        at = seed.index(struct.pack("<f", scale))
        for value in (0.0, -1.0, float("nan"), float("inf")):
            changed = seed[:at] + struct.pack("<f", value) + seed[at + 4 :]
            files[f"scale {value} for {scale}"] = changed
    for zero in (5, -7):
        at = seed.index(struct.pack("<q", zero))
        for value in (128, -129, 2**40):
            changed = seed[:at] + struct.pack("<q", value) + seed[at + 8 :]
            files[f"zero point {value} for {zero}"] = changed
    return files


def bad_parameters(scheme: str) -> dict[str, bytes]:
    """Return files with a scale or a zero point that means nothing, by what is wrong with it."""
    return {"rq": _rq_parameters, "tflite": _tflite_parameters}.get(scheme, dict)()


@prop("F-09", "qparams_validated", ops=_LOAD, clause=_CLAUSE, catches="3.4 (CVE-2021-37682)")
def parameters(trial: Trial) -> None:
    """Scales that are no positive numbers, and zero points that are no codes, are refused."""
    files = bad_parameters(trial.scheme)
    if not files:
        trial.skip("the format has no quantization parameters that a loader could refuse")
    _refused(trial, files)


@prop("F-10", "acc_proof", ops=_LOAD, catches="2.9",
      clause="docs/spec/operators.md section 3: no accumulator can leave int32")  # fmt: skip
def accumulators(trial: Trial) -> None:
    """A sum that could leave int32 is refused when the file is loaded; one that cannot is taken."""
    if trial.scheme != "rq":
        trial.skip("a file of this format does not promise that sums fit")
    count = (2**31 - 1) // (255 * 127)
    case = file_case("rq", long_row(count))
    (answer,) = trial.ask_all([case])
    if answer.result is None:
        trial.fail(case, f"{count} products fit int32, and are refused: {answer.reason}")
    _refused(trial, {f"{n} products of 255 and 127": long_row(n) for n in (count + 1, 2 * count)})


def _rq_graphs() -> dict[str, bytes]:
    node = ("nodes", 0)
    wrong = {
        "a node that reads its own output": _set(*node, "inputs", 0)("y"),
        "an input that nothing makes": _set(*node, "inputs", 0)("nowhere"),
        "an output that nothing makes": _set("outputs", 0)("nowhere"),
        "a graph without outputs": _set("outputs")([]),
        "a value that is made twice": lambda g: g["nodes"].append(dict(g["nodes"][0], name="z")),
        "a node with an input more": lambda g: g["nodes"][0]["inputs"].extend(["a", "a"]),
        "an operator that nobody has": _set(*node, "op")("Exec"),
        "a contract that is not there": _set(*node, "contract")("other"),
        "a shape that is negative": _set("values", "a", "shape")([2, -4]),
        "a shape that does not fit": _set("values", "a", "shape")([2, 5]),
        "an output of 2^62 elements": _set("values", "y", "shape")([2**31, 2**31]),
    }
    files = {what: edited(seed_of("qlinear_matmul"), change) for what, change in wrong.items()}
    divisors: dict[str, object] = {"strides": [0, 1], "dilations": [1, 0], "group": 0}
    for name, value in divisors.items():
        change = _set(*node, "attributes", name)(value)
        files[f"{name} of 0"] = edited(seed_of("qlinear_conv"), change)
    return files


def _onnx_graphs() -> dict[str, bytes]:
    """Return models with a cycle, an input from nowhere, a value that is made twice."""
    try:
        from onnx import TensorProto, helper
    except ModuleNotFoundError:
        return {}
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("x", "y"))
    add = helper.make_node
    graphs = {
        "a cycle": [add("Add", ["x", "b"], ["a"]), add("Add", ["a", "a"], ["b"]),
                    add("Add", ["a", "b"], ["y"])],
        "an input that nothing makes": [add("Add", ["x", "nowhere"], ["y"])],
        "a value that is made twice": [add("Add", ["x", "x"], ["y"]), add("Mul", ["x"] * 2, ["y"])],
        "an output that nothing makes": [add("Add", ["x", "x"], ["z"])],
    }  # fmt: skip
    opset = helper.make_opsetid("", 21)
    return {
        what: helper.make_model(
            helper.make_graph(nodes, "g", [x], [y]), opset_imports=[opset], ir_version=10
        ).SerializeToString()
        for what, nodes in graphs.items()
    }


def bad_graphs(scheme: str) -> dict[str, bytes]:
    """Return files whose graph cannot be computed, by what is wrong with it."""
    return {"rq": _rq_graphs, "onnx": _onnx_graphs}.get(scheme, dict)()


@prop("F-11", "graph_wellformed", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def graphs(trial: Trial) -> None:
    """Cycles, names that nothing makes, values made twice, and divisors of 0 are refused."""
    files = bad_graphs(trial.scheme)
    if not files:
        trial.skip("the format has no graph, or its package is not here to write one")
    _refused(trial, files)
