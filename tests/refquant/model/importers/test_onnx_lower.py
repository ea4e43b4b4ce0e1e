"""ONNX's own cases for the operators we claim: every one of them passes, or is refused by name.

A case is one node with inputs and outputs. Inputs that are parameters (axes, shapes, k) are made
constants, as in real models: first none, then all that are not float32, then all but the first, and
so on. The opset of a case is moved into 9 to 25, where its operator is the same.

How near: the case's own ``rtol`` and ``atol`` (ONNX's judgement, not ours); integers and truths
bit for bit.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from refquant.model.execute import run
from refquant.model.graph import DTYPES, Graph
from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from refquant.model.importers.onnx_lower import LOWER
from refquant.model.importers.onnx_wire import OnnxFormatError

STEPS_OF_16_BITS = (
    "Attention-24: Y = softmax(Q K^T) V, with no word of steps in 16 bits; the expected values are "
    "rounded at each of them: 0.505 in float16, where the exact one is 0.50437, and up to two "
    "steps of bfloat16 off"
)
CONTRADICTIONS = {
    # name -> the clause of the operator's text
    "test_resize_downsample_scales_linear_align_corners": (
        "Resize-19, align_corners: x_original = x_resized * (length_original - 1) / "
        "(length_resized - 1), and length_resized is a size: floor(4 * 0.6) = 2; the expected "
        "values are those of length_resized = 2.4"
    ),
    "test_attention_4d_gqa_with_past_and_present_fp16": STEPS_OF_16_BITS,
    **{
        f"test_attention_{kind}_bf16": STEPS_OF_16_BITS
        for kind in (
            *("3d_causal", "4d_causal", "4d_padded_kv", "4d_causal_padded_kv"),
            "4d_attn_mask_causal",
        )
    },
}


# What is not claimed of an operator that is: docs/how-to/import-an-onnx-model.md says the same.
UNCLAIMED = Counter(
    {
        "is string": 2,
        "no tensors": 2,  # sequences
        "which no constant here can be": 23,  # floats of 8 and 4 bits
        "(Cast): Cast from float32 to": 40,  # float64, floats of 8 and 4 bits, integers below 8
        "only float32 is computed with": 22,
        "; cast it to float32 before": 64,
        "has sizes without a number": 10,  # sizes that are 0
        "mixes samples": 1,  # a size that is 0
        "Split along N": 2,  # a size that is 0
        "the scale is one number": 9,  # activations with a scale a channel or block
        "is (K, N), got": 4,  # a weight of three axes
        "must be one constant": 7,  # powers
        "Expand to more axes": 1,
        "GatherND has known indices": 1,
        "3 spatial axes": 11,
        "those of a pool are 1": 2,  # dilations
        "the indices of MaxPool": 2,
        "mode 'cubic'": 11,
        "tf_crop_and_resize": 4,
        "antialias": 2,
        "keep_aspect_ratio_policy": 4,
        "training mode": 8,
        "angles without positions": 3,
        "peepholes": 1,
        "a softmax that is not in float32": 1,
    }
)


def as_array(given: Any) -> Any:
    """A tensor as an array; types that NumPy has not come as ml_dtypes'."""
    return numpy_helper.to_array(given) if isinstance(given, TensorProto) else given


def imported(case: Any) -> Iterator[tuple[Graph, dict[str, Any]] | str]:
    """The case as a graph and its inputs, or why not: no constants first, then more and more."""
    model = type(case.model)()
    model.CopyFrom(case.model)
    for entry in model.opset_import:
        entry.version = min(max(entry.version, 9), 25) if not entry.domain else entry.version
    arrays = [as_array(given) for given in case.data_sets[0][0]]
    names = [value.name for value in model.graph.input]
    if not all(isinstance(a, np.ndarray | np.generic | int | float) for a in arrays):
        yield "refused: no tensors"
        return
    feeds = dict(zip(names, map(np.asarray, arrays), strict=True))
    integers = [name for name in names if feeds[name].dtype.kind != "f"]
    data = model.SerializeToString()
    for fixed in ([], integers, names[1:], names[2:]):
        try:
            graph = import_onnx(data, fixed={name: feeds[name] for name in fixed})
        except (OnnxFormatError, OnnxUnsupportedError) as error:
            yield f"refused: {error}"
            continue
        yield (
            graph,
            {
                name: feeds[name].astype(DTYPES[graph.values[name].dtype].container)
                for name in graph.inputs
            },
        )


def outcome(case: Any) -> str:
    """Return ``"passes"``, ``"differs: ..."``, or why constants do not make it import."""
    reasons = []
    for found in imported(case):
        if isinstance(found, str):
            reasons.append(found)
            continue
        graph, given = found
        got = run(graph, given)
        names = [value.name for value in case.model.graph.output]
        return compare(case, [got[name] for name in names], case.data_sets[0][1])
    return reasons[min(2, len(reasons) - 1)]


def compare(case: Any, got: list[Any], expected: list[Any]) -> str:
    for ours, theirs in zip(got, map(as_array, expected), strict=True):
        if theirs.dtype.name == "bfloat16":  # ours are float32: what bfloat16 holds of them
            ours, theirs = (a.astype(theirs.dtype).astype(np.float32) for a in (ours, theirs))
        if ours.shape != theirs.shape:
            return f"differs: shape {ours.shape} for {theirs.shape}"
        if theirs.dtype.kind == "f":
            with np.errstate(all="ignore"):
                near = np.isclose(ours, theirs, case.rtol, case.atol, equal_nan=True)
        else:
            near = ours.astype(np.int64) == theirs.astype(np.int64)
        if not near.all():
            return f"differs: {ours[~near].ravel()[:3]} for {theirs[~near].ravel()[:3]}"
    return "passes"


def claimed() -> list[Any]:
    """ONNX's cases of one node whose operator is lowered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about its own casts
        from onnx.backend.test.case.node import collect_testcases

        every: list[Any] = list(collect_testcases(None))
    single = [(c, c.model.graph.node[0]) for c in every if len(c.model.graph.node) == 1]
    domains = ("", "com.microsoft")
    return [c for c, node in single if node.domain in domains and node.op_type in LOWER]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, str]]:
    """Operator -> case -> outcome."""
    result: dict[str, dict[str, str]] = {}
    for case in claimed():
        result.setdefault(case.model.graph.node[0].op_type, {})[case.name] = outcome(case)
    return result


# Not ONNX's: `com.microsoft`, asked in test_onnx_qoperator.py.
NO_CASES = {
    *("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits", "QGemm", "QLinearAdd"),
    *("QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu"),
    *("QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "DynamicQuantizeLSTM", "QAttention"),
}


@pytest.mark.parametrize("op", sorted(LOWER))
def test_the_cases_of_an_operator(op: str, outcomes: dict[str, dict[str, str]]) -> None:
    mine = outcomes.get(op, {})
    assert bool(mine) != (op in NO_CASES), f"{op} has {len(mine)} cases"
    wrong = {n: o for n, o in mine.items() if o.startswith("differs") and n not in CONTRADICTIONS}
    assert not wrong, f"{wrong}"
    for name, said in mine.items():
        if said.startswith("refused"):
            assert len(said.split("\n")[-1]) > 12, f"{name} is refused without a reason: {said}"


def test_the_contradictions_are_there_still(outcomes: dict[str, dict[str, str]]) -> None:
    assert len(CONTRADICTIONS) <= 10, "a named list, not a policy"
    every = {name: said for mine in outcomes.values() for name, said in mine.items()}
    for name, clause in CONTRADICTIONS.items():
        assert every[name].startswith("differs"), f"{name} passes now; remove it: {clause}"


def test_how_many_pass(outcomes: dict[str, dict[str, str]]) -> None:
    """A floor: importing less than before is a failure."""
    kinds = Counter(said.split(":")[0] for mine in outcomes.values() for said in mine.values())
    assert kinds["passes"] >= 663, f"{kinds}"


def test_what_is_refused_is_what_is_not_claimed(outcomes: dict[str, dict[str, str]]) -> None:
    refused = {n: o for mine in outcomes.values() for n, o in mine.items() if o.startswith("ref")}
    found = Counter(dict.fromkeys(UNCLAIMED, 0))
    for name, said in refused.items():
        words = [words for words in UNCLAIMED if words in said]
        assert words, f"{name} is refused for a reason that no page names: {said}"
        found[words[0]] += 1
    assert found == UNCLAIMED, f"{dict(found)}"
