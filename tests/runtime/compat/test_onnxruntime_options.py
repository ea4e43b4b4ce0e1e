"""The options have the names and defaults that onnxruntime's have."""

import onnxruntime as real
import pytest

from refquant_runtime.compat import onnxruntime as ours


def test_defaults_are_onnxruntime_s() -> None:
    mine, theirs = ours.SessionOptions(), real.SessionOptions()
    for name in mine.__dataclass_fields__:
        if not name.startswith("_"):
            assert getattr(mine, name) == getattr(theirs, name), name


@pytest.mark.parametrize("name", ["GraphOptimizationLevel", "ExecutionMode"])
def test_enumerations_have_the_same_members(name: str) -> None:
    for member in getattr(ours, name):
        assert int(getattr(getattr(real, name), member.name)) == int(member), member


def test_unknown_options_are_an_attribute_error() -> None:
    for module in (ours, real):
        with pytest.raises(AttributeError):
            module.SessionOptions().number_of_threads = 1


def test_entries_are_kept() -> None:
    for module in (ours, real):
        options = module.SessionOptions()
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        got = options.get_session_config_entry("session.qdqisint8allowed")
        assert got == "1", module.__name__
        with pytest.raises(RuntimeError, match="does not have configuration"):
            options.get_session_config_entry("nothing")


def test_errors_have_their_names() -> None:
    state = real.capi.onnxruntime_pybind11_state
    for name in ("InvalidArgument", "NoSuchFile"):
        assert issubclass(getattr(state, name), Exception), name
        assert issubclass(getattr(ours, name), ValueError), name
