"""Options of an interpreter: taken, or refused in LiteRT's words, or by a name of ours."""

from pathlib import Path
from typing import Any

import pytest

from refquant.model.importers.tflite import tflite_graph
from refquant.model.rq import write_rq
from refquant_runtime.compat.tflite import Interpreter, OpResolverType, load_delegate
from refquant_runtime.compat.tflite_options import threads_of
from refquant_runtime.errors import UnsupportedError
from tests.refquant.model.importers.test_tflite import NET


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_rq(tmp_path / "m.rq", tflite_graph(NET, path="net.tflite", contract="xnnpack"))
    return tmp_path / "m.rq"


@pytest.mark.parametrize("resolver", OpResolverType)
def test_options_that_change_no_answer_are_taken(path: Path, resolver: OpResolverType) -> None:
    it = Interpreter(
        str(path), experimental_op_resolver_type=resolver, num_threads=-1,
        experimental_disable_delegate_clustering=True,
        experimental_default_delegate_latest_features=True,
    )  # fmt: skip
    it.allocate_tensors()
    assert it.num_subgraphs() == 1, "one graph"
    assert it.get_input_details(), "nothing goes in"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_threads": 0}, "num_threads should >= 1"),
        ({"num_threads": 1.5}, "type of num_threads should be int"),
        ({"experimental_op_resolver_type": 7}, "Unrecognized passed in op resolver type: 7"),
        ({"model_content": b"x"}, "Can't both provide `model_path` and `model_content`"),
        ({"model_path": None}, "`model_path` or `model_content` must be specified"),
        ({"model_path": "gone.tflite"}, "Could not open 'gone.tflite'"),
    ],
)
def test_what_litert_refuses_is_refused_in_its_words(
    path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Interpreter(**{"model_path": str(path), **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"experimental_delegates": ["x"]}, "experimental_delegates: there are none here"),
        ({"experimental_preserve_all_tensors": True}, "use `refquant compare`"),
    ],
)
def test_what_there_is_not_says_what_to_do(path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        Interpreter(str(path), **options)


def test_there_are_no_delegates() -> None:
    with pytest.raises(UnsupportedError, match=r"delegate 'lib\.so': it runs on the CPU"):
        load_delegate("lib.so", {"a": 1})


def test_threads() -> None:
    assert [threads_of(n) for n in (None, -1, 1, 3)] == [None, None, 1, 3], "as LiteRT has it"
