"""Models and providers are taken or refused as onnxruntime does it."""

import warnings
from pathlib import Path

import pytest

from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat.onnxruntime_errors import InvalidProtobuf, NoSuchFile
from refquant_runtime.compat.onnxruntime_open import check_providers, opened


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "junk.rq").write_bytes(b"hello")
    with pytest.raises(InvalidProtobuf, match=r"junk\.rq"):
        opened(tmp_path / "junk.rq", 1)
    with pytest.raises(NoSuchFile, match=r"Load model from .*no\.rq failed"):
        opened(tmp_path / "no.rq", 0)
    with pytest.raises(TypeError, match="Unable to load from type '<class 'int'>'"):
        opened(3, 0)
    assert InvalidProtobuf is ours.capi.onnxruntime_pybind11_state.InvalidProtobuf, "caught so"


@pytest.mark.parametrize("threads", [-1, 1.5, None])
def test_threads_are_a_number(threads: object) -> None:
    with pytest.raises(ours.InvalidArgument, match="intra_op_num_threads"):
        opened("m.rq", threads)


def test_providers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_providers(None, None)
        check_providers(["CPUExecutionProvider"], [{}])
    with pytest.warns(UserWarning, match="'QNNExecutionProvider' is not in available"):
        check_providers(["QNNExecutionProvider", ("CPUExecutionProvider", {})], None)
    with pytest.raises(ValueError, match="same length"):
        check_providers(["CPUExecutionProvider"], [{}, {}])


def test_the_file_that_onnxruntime_would_write() -> None:
    options = ours.SessionOptions()
    options.optimized_model_filepath = "opt.onnx"
    with pytest.raises(NotImplementedError, match=r"optimized_model_filepath 'opt\.onnx'"):
        ours.InferenceSession(b"never read", options)
