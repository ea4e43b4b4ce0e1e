"""The options have the names and defaults that onnxruntime's have."""

from collections.abc import Callable

import onnxruntime as real
import pytest

from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat.onnxruntime_errors import Absent


def test_defaults_are_onnxruntime_s() -> None:
    mine, theirs = ours.SessionOptions(), real.SessionOptions()
    for name in mine.__dataclass_fields__:
        if not name.startswith("_"):
            a, b = getattr(mine, name), getattr(theirs, name)
            assert a == (int(b) if isinstance(a, int) else b), f"{name}: {a} {b}"


@pytest.mark.parametrize("name", ["GraphOptimizationLevel", "ExecutionMode", "ExecutionOrder"])
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


def test_options_of_a_run_are_onnxruntime_s() -> None:
    mine, theirs = ours.RunOptions(), real.RunOptions()
    for name in mine.__dataclass_fields__:
        if not name.startswith("_"):
            assert getattr(mine, name) == getattr(theirs, name), name
    for options in (mine, theirs):
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        got = options.get_run_config_entry("memory.enable_memory_arena_shrinkage")
        assert got == "cpu:0", f"{options}"
        with pytest.raises(RuntimeError, match="RunOptions does not have configuration"):
            options.get_run_config_entry("nothing")


def test_no_method_of_theirs_is_unknown() -> None:
    """Each is there, or an error that says why not; `hasattr` is False then."""
    for name in ("SessionOptions", "RunOptions"):
        mine = getattr(ours, name)()
        for attribute in dir(getattr(real, name)):
            if not attribute.startswith("_") and not hasattr(mine, attribute):
                with pytest.raises(Absent, match=f"{name}.{attribute} is not in refquant_runtime"):
                    getattr(mine, attribute)


def test_what_cannot_be_given_is_refused_with_what_to_do() -> None:
    options = ours.SessionOptions()
    calls: list[Callable[[], object]] = [
        lambda: options.add_initializer("w", None),
        lambda: options.add_external_initializers(["w"], [None]),
        lambda: ours.RunOptions().add_active_adapter(None),
    ]
    for call in calls:
        with pytest.raises(Absent, match=r"\.rq file"):
            call()
    with pytest.raises(Absent, match="CPUExecutionProvider only"):
        options.add_provider("CUDAExecutionProvider", {})
    options.add_provider("CPUExecutionProvider", {})
    assert not options.has_providers(), "nothing to choose"
    options.add_free_dimension_override_by_denotation("DATA_BATCH", 3)


def test_a_library_cannot_be_loaded() -> None:
    for module in (ours, real):
        with pytest.raises(Exception, match="Failed to load library /no/such") as caught:
            module.SessionOptions().register_custom_ops_library("/no/such.so")
        assert type(caught.value).__name__ == "Fail", module.__name__
