"""The module's functions take what onnxruntime's take."""

from types import ModuleType

import onnxruntime as real
import pytest

import refquant_runtime
from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat import onnxruntime_functions as functions


@pytest.mark.parametrize("module", [real, ours], ids=["theirs", "ours"])
def test_a_script_s_first_lines(module: ModuleType) -> None:
    assert [module.set_default_logger_severity(level) for level in (0, 2, 4)] == [None] * 3, "taken"
    module.set_default_logger_severity(2)
    module.set_default_logger_verbosity(0)
    module.set_seed(1)
    module.disable_telemetry_events()
    module.preload_dlls()
    major, minor = map(int, module.__version__.split(".")[:2])
    assert (major, minor) >= (1, 20), "scripts compare it"
    assert module.get_version_string() == module.__version__, "twice the same"
    assert "CPUExecutionProvider" in module.get_available_providers(), "the one"
    assert "CPUExecutionProvider" in module.get_all_providers(), "the one"
    assert module.get_device().startswith("CPU"), "where"
    assert module.has_collective_ops() is False, "one machine"


def test_the_version_is_that_of_the_api() -> None:
    assert functions.__version__ == real.__version__, "tests compare with this one"
    assert refquant_runtime.__version__ in ours.get_build_info(), "who answers"


@pytest.mark.parametrize("level", [-1, 5])
def test_levels_that_do_not_exist(level: int) -> None:
    for module in (real, ours):
        with pytest.raises(RuntimeError, match="Invalid logging severity"):
            module.set_default_logger_severity(level)


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    functions.print_debug_info()
    functions.enable_telemetry_events()
    assert "refquant_runtime" in capsys.readouterr().out, "who answers"
