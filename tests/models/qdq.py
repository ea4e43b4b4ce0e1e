"""What onnxruntime's own quantizer makes of a real model, beside what we make of the same file.

::

    float .onnx -- quantize_static --> QDQ .onnx -- import_onnx --> graph: each node gets
                                          |                            what onnxruntime computed
                                          '- onnxruntime, each pair -- before it: one difference
                                             an output of the session  is one

Three sessions, each with the codes of every pair as outputs:

* **fused**: all optimizations. Codes are ours, but for the operators that a test names. On x86-64
  onnxruntime leaves int8 activations in float32 unless ``session.qdqisint8allowed`` is set; here it
  is, so that signed codes are fused as on other machines.
* **as written**: no optimization. Every operator between a pair computes in float32, so sums and
  products round where ours do not: a code may be its neighbour.
* floats: what stays float32 in our graph, node by node, within `tests.models.qdq_bounds`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, version_converter
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process

from refquant.model.execute_node import execute_node
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from tests.models.qdq_bounds import bound_of
from tests.refquant.model.importers.test_onnx_qdq import quantized

ASSETS = Path(__file__).parents[2] / "assets"
U8, S8 = QuantType.QUInt8, QuantType.QInt8
FORMS: dict[str, dict[str, Any]] = {  # dtypes of activations and of weights, per tensor or channel
    "u8s8": {"activation_type": U8, "weight_type": S8, "per_channel": False},
    "u8s8_channel": {"activation_type": U8, "weight_type": S8, "per_channel": True},
    "s8s8_channel": {"activation_type": S8, "weight_type": S8, "per_channel": True},
    "u8u8": {"activation_type": U8, "weight_type": U8, "per_channel": False},
}

# operator -> (codes that differ, codes compared, tensors compared)
Found = dict[str, tuple[int, int, int]]
Feeds = Mapping[str, Any]


def plain(source: Path, folder: Path, *, opset: int = 17) -> Path:
    """The model as the quantizer wants it: constants folded; an axis of weights needs opset 13."""
    assert source.exists(), f"{source.name} is not there; run `make assets`"
    model, path = onnx.load(source), folder / "plain.onnx"
    if next(o.version for o in model.opset_import if not o.domain) < opset:
        model = version_converter.convert_version(model, opset)
    onnx.save(model, folder / "source.onnx")
    quant_pre_process(str(folder / "source.onnx"), str(path), skip_symbolic_shape=True)
    return path


@dataclass
class Pairs:
    """A model with pairs, our graph of it, and real inputs."""

    model: Any
    graph: Graph
    feeds: Feeds
    told: list[dict[str, str]] = field(default_factory=list)


def in_pairs(path: Path, folder: Path, form: str, batches: Sequence[Feeds], feeds: Feeds) -> Pairs:
    """Quantize the model at ``path`` by ``batches``; it will be asked about ``feeds``."""
    model = quantized(
        onnx.load(path), folder, [dict(b) for b in batches],
        quant_format=QuantFormat.QDQ, **FORMS[form],
    )  # fmt: skip
    return pairs_of(model, feeds)


def pairs_of(model: Any, feeds: Feeds) -> Pairs:
    """Import ``model`` with the sizes of ``feeds``."""
    sizes = {name: list(array.shape) for name, array in feeds.items()}
    graph = import_onnx(model.SerializeToString(), shapes=sizes, layout=False)  # names as they are
    return Pairs(model, graph, feeds, list(graph.meta["import"].get("unfused", [])))


def asked(p: Pairs, *, optimized: bool) -> dict[str, Any]:
    """What onnxruntime computes under the names that our graph has, inputs included."""
    model = type(p.model)()
    model.CopyFrom(p.model)
    # A mean that is an output is a mean that is not fused.
    names = [n for node in model.graph.node if node.op_type != "AveragePool" for n in node.output]
    ends = {value.name for value in model.graph.output}
    quantizers = {n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    for name in names:
        value = p.graph.values.get(name)
        wanted = name in quantizers or (value is not None and value.quant is None)
        if value is not None and wanted and name not in ends:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [value.name for value in model.graph.output]
    theirs = dict(zip(outputs, session.run(None, dict(p.feeds)), strict=True))
    return {name: _ours(array) for name, array in {**p.feeds, **theirs}.items()}


def _ours(array: Any) -> Any:
    """Integers and truths as our graph has them."""
    narrow = {np.dtype(np.int64): np.int32, np.dtype(bool): np.uint8}
    return array.astype(narrow.get(array.dtype, array.dtype))


def codes_found(p: Pairs, theirs: Mapping[str, Any], *, most: int = 1) -> Found:
    """Compare the codes of each node, given onnxruntime's inputs; each is ``most`` off, or less."""
    arrays, found = {**p.graph.constants, **theirs}, Found()
    for each in p.graph.nodes:
        operands = [arrays[name] if name else None for name in each.inputs]
        for name, array in zip(each.outputs, execute_node(p.graph, each, operands), strict=True):
            if name in theirs and array.dtype.kind in "iu":
                apart = np.abs(array.astype(np.int64) - theirs[name])
                assert apart.max() <= most, f"{name}: {apart.max()} apart"
                differ, total, tensors = found.get(each.op, (0, 0, 0))
                found[each.op] = (differ + int((apart > 0).sum()), total + array.size, tensors + 1)
            arrays.setdefault(name, array)
    return found


def check_codes(p: Pairs, differ: Mapping[str, str], *, tensors: int, rounded: set[str]) -> None:
    """Fused, only the operators in ``differ`` have other codes; as written, only ``rounded``."""
    fused = codes_found(p, asked(p, optimized=True))
    assert sum(n for _, _, n in fused.values()) == tensors, f"tensors of codes: {fused}"
    wrong = {op: n for op, n in fused.items() if n[0] and op not in differ}
    assert not wrong, f"operator: (codes that differ, of, tensors): {wrong}"
    for op, why in differ.items():
        assert fused[op][0], f"{op} agrees now; remove it: {why}"
    written = codes_found(p, asked(p, optimized=False))
    wrong = {op: n for op, n in written.items() if n[0] and op not in rounded}
    assert not wrong, f"as written, operator: (codes that differ, of, tensors): {wrong}"


def check_floats(p: Pairs, *, relative: Mapping[str, float] | None = None) -> set[str]:
    """Check what stays float32: the same bits, or near; return the operators with other bits.

    ``relative`` has the error of operators without a bound, of the largest number that they give.
    """
    theirs, other, known = asked(p, optimized=True), set[str](), dict(relative or {})
    arrays = {**p.graph.constants, **theirs}
    for each in p.graph.nodes:
        operands = [arrays[name] if name else None for name in each.inputs]
        for name, array in zip(each.outputs, execute_node(p.graph, each, operands), strict=True):
            same = name not in theirs or np.array_equal(array, theirs[name], equal_nan=True)
            if not same and array.dtype == np.float32:
                other.add(each.op)
                bound = (
                    known[each.op] * np.abs(theirs[name]).max()
                    if each.op in known
                    else bound_of(p.graph, each, operands)
                )
                apart = np.abs(array.astype(np.float64) - theirs[name])
                assert (apart <= bound).all(), f"{each.op} {name}: {apart.max()} apart"
            arrays.setdefault(name, array)
    return other


def reasons(p: Pairs) -> dict[str, int]:
    """Say how often each operator keeps a pair from being fused, and why."""
    found: dict[str, int] = {}
    for entry in p.told:
        words = entry["reason"].split("'")
        short = f"{words[0]}{words[-1] if words[1:] else ''}".replace("  ", " ").strip()
        found[short] = found.get(short, 0) + 1
    return found


def check_list(p: Pairs, *, dead: int = 0) -> None:
    """Every pair that our graph still has is in the list, but for the doors of the model.

    ``dead`` ends of pairs are in the list, and in no graph: nothing but a Shape reads them.
    """
    left = [n for n in p.graph.nodes if n.op in ("QuantizeLinear", "DequantizeLinear")]
    doors = sum(n.inputs[0] in p.graph.inputs or n.outputs[0] in p.graph.outputs for n in left)
    told = len(p.told) - dead
    assert told == len(left) - doors, f"{told} told, {len(left)} left, {doors} doors"
    names = {n.name for n in p.model.graph.node}
    assert all(entry["node"] in names for entry in p.told), "nodes of the file"
