"""No name of onnxruntime's is a bare surprise: it is there, or an error says why not."""

from types import ModuleType
from typing import Any

import onnxruntime as real
import pytest

from refquant_runtime import RefquantRuntimeError
from refquant_runtime.compat import onnxruntime as ours
from refquant_runtime.compat import onnxruntime_errors as errors
from refquant_runtime.compat.onnxruntime_values import OrtValue

UNSAID = frozenset({
    # of the package's own making, or of 1.32 only: plugins, model packages, device memory
    "ModelPackage", "ModelPackageComponentContext", "ModelPackageContext", "ModelPackageOptions",
    "ModelPackageWriteMode", "OrtDeviceVendorId", "OrtEpAssignedNode", "OrtEpAssignedSubgraph",
    "OrtEpContextData", "OrtEpContextDataBuffer", "OrtExecutionProviderDevicePolicy",
    "OrtHardwareDeviceType", "OrtMemoryInfoDeviceType", "SessionIOBinding", "contextlib",
    "cuda_version", "import_capi_exception", "onnxruntime_validation", "package_name", "version",
})  # fmt: skip

# there once somebody has imported them, as another test of this run may have
PACKAGES = {
    f"onnxruntime.{name}"
    for name in ("backend", "datasets", "quantization", "tools", "transformers")
}


def names(thing: Any) -> set[str]:
    """Return the public names; not the subpackages that whoever imports them adds to a module."""
    return {
        name
        for name in dir(thing)
        if not name.startswith("_") and f"{thing.__name__}.{name}" not in PACKAGES
    }


def test_every_name_of_the_module_is_known() -> None:
    here = names(ours) | set(errors.ABSENT_FROM_MODULE)
    assert names(real) - here <= UNSAID, f"{sorted(names(real) - here - UNSAID)}"
    assert names(real) >= UNSAID, "a table of what is there"
    assert not set(errors.ABSENT_FROM_MODULE) & names(ours), "absent or not"


@pytest.mark.parametrize("name", errors.ABSENT_FROM_MODULE)
def test_the_absent_are_onnxruntime_s_and_say_so(name: str) -> None:
    assert hasattr(real, name), "else nobody asks"
    assert not hasattr(ours, name), "a script may look before"
    with pytest.raises(errors.Absent, match=f"^onnxruntime.{name} is not in refquant_runtime"):
        getattr(ours, name)


def test_every_name_of_a_session_is_known() -> None:
    here = names(ours.InferenceSession) | set(errors.ABSENT_FROM_SESSION)
    assert names(real.InferenceSession) <= here, f"{names(real.InferenceSession) - here}"
    assert set(errors.ABSENT_FROM_SESSION) <= names(real.InferenceSession), "theirs"
    assert not set(errors.ABSENT_FROM_SESSION) & names(ours.InferenceSession), "absent or not"


def test_names_of_nobody_are_attribute_errors() -> None:
    for module in (real, ours):
        with pytest.raises(AttributeError, match="has no attribute 'InferenceSesion'"):
            _ = module.InferenceSesion


def test_values_and_bindings_have_their_methods() -> None:
    assert names(real.OrtValue) <= names(OrtValue), "of a value"
    assert names(real.IOBinding) <= names(ours.IOBinding), "of bindings"


@pytest.mark.parametrize("module", [real, ours], ids=["theirs", "ours"])
def test_scripts_catch_by_the_same_name(module: ModuleType) -> None:
    state = module.capi.onnxruntime_pybind11_state
    with pytest.raises(state.NoSuchFile, match="File doesn't exist"):
        module.InferenceSession("/no/such/file")
    with pytest.raises((state.InvalidProtobuf, RefquantRuntimeError)):
        module.InferenceSession(b"nonsense")


def test_the_errors_are_values_and_what_is_raised_there() -> None:
    for name in ("InvalidArgument", "NoSuchFile", "Fail", "InvalidProtobuf"):
        assert issubclass(getattr(errors, name), ValueError), name
    assert issubclass(errors.BindingError, RuntimeError), "as there"
    assert issubclass(errors.Absent, NotImplementedError), "as one expects"
