"""Any bytes are a model or one typed error: bit flips, edited fields, edited headers.

Three laws over mutants of valid files. The error is one sentence that begins with the file and has
a remedy. What loads runs, and gives the reference's bits. And both readers, written apart from one
text, agree: what we refuse as wrong the reference refuses, and what we load it loads.
"""

import copy
import faulthandler
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.rq import RqFormatError, parse_rq
from refquant.model.shapes import infer_shapes
from refquant_runtime import FormatError, InputError, Session, UnsupportedError
from tests.runtime.test_equivalence import same_bits
from tests.runtime.zoo import ZOO, file_of, graph_of, parts, signed, whole, with_graph

Tree = dict[str, Any]
NAMES = st.sampled_from(sorted(ZOO))
RANDOM = st.randoms(use_true_random=False)
SECONDS = 300  # a hang ends the process, with a traceback
# Of an example most is compiling, if the cache is empty: half a minute for `codes_xnnpack` on one
# core of two, and more where every worker of xdist and somebody else does the same.
EDGES: list[Any] = [
    *(None, True, 0, 1, -1, 2, 3, 5, 256, 2**20, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 0.1, 0.25, 0.5, 1e-320, 1e300, 3e38, -1.0, 1.0, "", "N", "x", "w", "\0", "y"),
    *("float32", "int32", "int16", "uint16", "int8", "uint8", "int4", "uint2", "ort", "xnnpack"),
    *([], [0], [1], [1, 1], [2, 2], [0, -1], ["N"], ["N", 2], [0, 2**62], [2**62] * 2, {}, ["y"]),
    *("Conv", "MatMul", "Gemm", "Add", "Sub", "Relu", "Softmax", "Identity", "Concat", "Pad"),
    *({"scale": 0.5, "zero_point": 0}, {"scale": 1e30, "zero_point": 0}, {"axis": 0}),
    *(
        "int3",
        "uint3",
        "uint6",
        "uint2",
        "marks",
        "powers",
        "t/scale",
        "f/zero",
        "g/idx",
        "g/scale",
    ),
]
OPS = [
    *("Add", "AveragePool", "Clip", "Concat", "Conv", "ConvInteger", "Div", "Exp", "Flatten"),
    *("Gemm", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MatMul", "MaxPool"),
    *("MatMulInteger", "Mul", "Relu", "Requantize", "Sigmoid", "Softmax", "Sub", "Tanh"),
]
QUANTS: list[Tree] = [
    {"scale": s, "zero_point": z}
    for s, z in ((0.5, 0), (0.25, 3), (9, 3), (1e30, 0), (2.0**-120, 1), (2.0**100, -5))
]
ATTRIBUTES: list[Tree] = [
    *({"axis": -1}, {"axis": 1}, {"kernel_shape": [2, 1]}, {"strides": [3, 2]}, {"group": 2}),
    *({"pads": [1, 0, 2, 1]}, {"dilations": [1, 2]}, {"clamp_min": 9}, {"clamp_max": 20}),
    *({"min": 0.0}, {"max": 0.0}, {"alpha": 0.3}, {"count_include_pad": 1}, {"transB": 1}),
]


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    )
    return [at] * bool(at) + [path for key in inside for path in paths(tree[key], (*at, key))]


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def one_of(random: Random, things: Any) -> Any:
    """One of these; of none, an error before hypothesis draws: its replay would not be the same."""
    if len(things) == 0:
        raise IndexError("nothing to choose from")
    return random.choice(things)


def edit_anything(tree: Tree, random: Random) -> None:
    """An edge, a deletion, or a copy of another place: of a field of the same name, mostly."""
    places = paths(tree)
    if not places:
        return
    path = one_of(random, places)
    parent, key, kind = at(tree, path[:-1]), path[-1], random.random()
    if kind < 0.5:
        parent[key] = copy.deepcopy(one_of(random, EDGES))
    elif kind < 0.6:
        del parent[key]
    else:
        same = [other for other in places if other[-1] == key]
        parent[key] = copy.deepcopy(at(tree, one_of(random, same if kind < 0.9 else places)))


def edit_number(tree: Tree, random: Random) -> None:
    places = [path for path in paths(tree) if type(at(tree, path)) is int]
    if places:
        path = one_of(random, places)
        at(tree, path[:-1])[path[-1]] += one_of(random, [-2, -1, 1, 2, 7])


def edit_meaning(tree: Tree, random: Random) -> None:
    """Another operator, operand, dtype, scale or attribute: what may well be valid."""
    values, name = tree["values"], one_of(random, sorted(tree["values"]))
    node: Tree = (
        one_of(random, tree["nodes"]) if tree["nodes"] else {"inputs": [""], "attributes": {}}
    )
    kind = random.randrange(8)
    if kind == 0:
        node["op"] = one_of(random, OPS)
    elif kind == 1:
        node["inputs"][random.randrange(len(node["inputs"]))] = name
    elif kind == 2:
        node["inputs"].append(one_of(random, [name, ""]))
    elif kind == 3:
        values[name]["dtype"] = one_of(random, ["int8", "uint8", "float32", "int32", "int16"])
    elif kind == 4:
        values[name]["quant"] = dict(one_of(random, QUANTS))
    elif kind == 5:
        values[name].pop("quant", None)
    elif kind == 6:
        node["attributes"].update(copy.deepcopy(one_of(random, ATTRIBUTES)))
    else:
        shape = values[one_of(random, tree["inputs"])]["shape"]
        shape[random.randrange(len(shape))] = one_of(random, [0, 1, 2, 3, 5, "N"])


def mend_shapes(tree: Tree) -> None:
    """Declare the shapes that follow, as far as they do: then more edits are valid."""
    values = tree["values"]
    for node in tree["nodes"]:
        shapes = [tuple(values[name]["shape"]) if name else None for name in node["inputs"]]
        frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in node["attributes"].items()}
        for name, shape in zip(
            node["outputs"], infer_shapes(node["op"], shapes, frozen), strict=True
        ):
            values[name]["shape"] = list(shape)


# of edits on earlier edits; RuntimeError: an axis of 1e-320 lets a generator run dry
ODD = (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError)


def edited_graph(name: str, random: Random) -> bytes:
    tree = graph_of(file_of(name))
    for _ in range(one_of(random, [1, 1, 2, 3])):
        with suppress(*ODD):
            one_of(random, [edit_anything, edit_number, edit_meaning, edit_meaning])(tree, random)
    if random.random() < 0.8:
        with suppress(*ODD):
            mend_shapes(tree)
    return with_graph(file_of(name), tree)


def edited_header(name: str, random: Random) -> bytes:
    header, body = parts(file_of(name))
    original = json.loads(json.dumps(header))
    edit_anything(header, random)
    try:
        return signed(header, body)
    except ODD:
        return whole(header if paths(header) else original, body)


def flipped(name: str, random: Random) -> bytes:
    data = bytearray(file_of(name))
    for _ in range(one_of(random, [1, 1, 3])):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


@contextmanager
def time_limit(stderr: int | None = None) -> Iterator[None]:
    """End the process when this takes long; ``stderr`` is one that pytest does not hold back."""
    file = sys.stderr if stderr is None else stderr
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=file)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def reference_of(data: bytes) -> Graph | None:
    try:
        return parse_rq(data, name="m.rq")
    except RqFormatError:
        return None


def feeds_of(graph: Graph) -> dict[str, NDArray[Any]]:
    rng, feeds = np.random.default_rng(1), {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = tuple(int({"N": 2, "T": 3}.get(str(size), size)) for size in value.shape)
        size = 1 if value.dtype == "int32" else 50  # rows of a table, some beyond it
        feeds[name] = np.asarray(rng.standard_normal(shape) * size).astype(value.dtype)
    return feeds


def check(file: Path, data: bytes, stderr: int | None = None) -> None:
    """Load, and run what loads; compare with the reference."""
    file.write_bytes(data)
    reference = reference_of(data)
    with time_limit(stderr):
        try:
            session = Session(file, threads=1)
        except (FormatError, UnsupportedError) as error:
            message = str(error)
            assert message.startswith(f"{file}: "), f"the message names the file: {message}"
            assert "; " in message, f"and a remedy: {message}"
            assert "\n" not in message, f"in one sentence: {message}"
            assert len(message) < 2000, "of bounded length"
            valid = isinstance(error, FormatError) and reference is not None
            assert not valid, f"the reference reads what we call wrong: {message}"
            return
        assert reference is not None, "we read what the reference refuses"
        if session.plan.arena.size > 2**22 or sum(s.macs for s in session.plan.steps) > 2**22:
            return  # valid, but the reference would take long
        feeds = feeds_of(reference)
        try:
            with np.errstate(all="ignore"):
                expected = run(reference, feeds)
        except ValueError:  # an index that names no row
            with pytest.raises(InputError):
                session.run(feeds)
            return
        actual = session.run(feeds)
        for name in reference.outputs:
            assert same_bits(expected[name], actual[name]), f"output {name!r} differs"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad") / "m.rq"


fuzz = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@settings(parent=fuzz, max_examples=600)
@given(NAMES, RANDOM)
def test_edited_graphs(file: Path, true_stderr: int, name: str, random: Random) -> None:
    check(file, edited_graph(name, random), true_stderr)


@settings(parent=fuzz, max_examples=150)
@given(NAMES, RANDOM)
def test_edited_headers_with_the_digests_signed_again(
    file: Path, true_stderr: int, name: str, random: Random
) -> None:
    check(file, edited_header(name, random), true_stderr)


@settings(parent=fuzz, max_examples=200)
@given(NAMES, RANDOM)
def test_flipped_bits_anywhere(file: Path, true_stderr: int, name: str, random: Random) -> None:
    check(file, flipped(name, random), true_stderr)


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(FormatError):
        Session(file, threads=1)


@pytest.mark.parametrize("name", ZOO)
def test_the_files_that_are_edited_are_valid(file: Path, true_stderr: int, name: str) -> None:
    file.write_bytes(file_of(name))
    Session(file, threads=1)
    check(file, file_of(name), true_stderr)


def test_a_deep_graph_of_many_nodes_is_no_recursion(file: Path) -> None:
    tree = graph_of(file_of("float_cnn"))
    shape = tree["values"]["y"]["shape"]
    for i in range(3000):
        tree["values"][f"r{i}"] = {"dtype": "float32", "shape": shape}
        entry = {"op": "Identity", "inputs": [f"r{i - 1}" if i else "y"], "outputs": [f"r{i}"]}
        tree["nodes"].append({"name": f"r{i}", "attributes": {}, **entry})
    tree["outputs"] = ["r2999"]
    file.write_bytes(with_graph(file_of("float_cnn"), tree))
    assert list(Session(file, threads=1).outputs) == ["r2999"], "three thousand nodes are fine"
