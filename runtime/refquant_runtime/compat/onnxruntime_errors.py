"""The exceptions of onnxruntime, by their names, and the refusal of what is not there.

A script catches ``onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument`` and its like; ours
are of the same names, and ``ValueError`` s as all errors of this package. Of the names that nothing
here raises, a script may still say ``except``.

What onnxruntime has and this has not, is an :class:`Absent`: it names what, why, and what to do. It
is an ``AttributeError`` too, so that ``hasattr`` is False.

References: onnxruntime 1.32, Python API.
"""

from collections.abc import Mapping

from refquant_runtime.errors import InputError, RefquantRuntimeError, UnsupportedError

__all__ = [
    "ABSENT_FROM_MODULE",
    "ABSENT_FROM_SESSION",
    "Absent",
    "BindingError",
    "Fail",
    "InvalidArgument",
    "InvalidProtobuf",
    "NoSuchFile",
    "absent",
]


class InvalidArgument(InputError):  # noqa: N818  # its name there
    """A name, type or shape that the model has not."""


class NoSuchFile(RefquantRuntimeError):  # noqa: N818  # its name there
    """There is no file of that name."""


class Fail(RefquantRuntimeError):  # noqa: N818  # its name there
    """A run that was told to end, or a library that cannot be loaded."""


class InvalidProtobuf(RefquantRuntimeError):  # noqa: N818  # its name there
    """The file is no model: damaged, or of another format."""


class BindingError(InputError, RuntimeError):
    """A binding that cannot run; onnxruntime raises a bare ``RuntimeError``."""


class Absent(UnsupportedError, AttributeError, NotImplementedError):  # noqa: N818  # no error: a lack
    """Something of onnxruntime that this has not."""


_DEVICE = "it runs on the CPU only"
_ONE_PLAN = "a .rq file has one plan, and the bits of it"
_MAKE = "make the .rq file with `refquant import` or `refquant quantize`"

ABSENT_FROM_MODULE: Mapping[str, str] = {
    "SparseTensor": "there are dense tensors only; feed a numpy array",
    "OrtSparseFormat": "there are dense tensors only",
    "LoraAdapter": f"weights are in the file; {_MAKE} of the merged model",
    "AdapterFormat": "there are no adapters; merge them into the weights",
    "ModelCompiler": f"nothing is compiled at run time; {_MAKE}",
    "OrtCompileApiFlags": f"nothing is compiled at run time; {_MAKE}",
    "OrtExternalInitializerInfo": f"weights are in the file; {_MAKE}",
    "OrtArenaCfg": "memory is one block, sized when the session is made; leave it away",
    "OrtMemoryInfo": f"{_DEVICE}; leave it away",
    "OrtMemType": f"{_DEVICE}; leave it away",
    "OrtAllocatorType": "memory is one block, sized when the session is made; leave it away",
    "OrtEpDevice": f"{_DEVICE}; leave it away",
    "OrtHardwareDevice": f"{_DEVICE}; leave it away",
    "OrtSyncStream": f"{_DEVICE}; leave it away",
    "OrtDevice": f"{_DEVICE}; leave it away",
    "OrtDeviceMemoryType": f"{_DEVICE}; leave it away",
    "OrtDeviceVendorId": f"{_DEVICE}; leave it away",
    "copy_tensors": f"{_DEVICE}; copy numpy arrays",
    "create_and_register_allocator": "memory is one block, sized when the session is made",
    "create_and_register_allocator_v2": "memory is one block, sized when the session is made",
    "get_ep_devices": f"{_DEVICE}; see get_available_providers()",
    "register_execution_provider_library": f"{_DEVICE}; leave it away",
    "unregister_execution_provider_library": f"{_DEVICE}; leave it away",
    "set_global_thread_pool_sizes": "use SessionOptions.intra_op_num_threads",
    "set_default_logger_callback": "nothing is logged; leave it away",
}  # fmt: skip

ABSENT_FROM_SESSION: Mapping[str, str] = {
    "run_with_ortvaluevector": "use run_with_iobinding or run_with_ort_values",
    "get_input_memory_infos": f"{_DEVICE}; leave it away",
    "get_output_memory_infos": f"{_DEVICE}; leave it away",
    "get_input_epdevices": f"{_DEVICE}; leave it away",
    "get_provider_graph_assignment_info": f"{_DEVICE}: every node is there",
    "get_tuning_results": f"nothing is tuned: {_ONE_PLAN}",
    "set_tuning_results": f"nothing is tuned: {_ONE_PLAN}",
    "set_ep_dynamic_options": f"{_DEVICE}; leave it away",
    "create_ortvalue_from_shape_and_type": "use OrtValue.ortvalue_from_shape_and_type",
}


def absent(owner: str, name: str, reasons: Mapping[str, str]) -> AttributeError:
    """Return the error about ``owner.name``: with the reason, where onnxruntime has that name.

    >>> print(absent("onnxruntime", "LoraAdapter", ABSENT_FROM_MODULE))
    onnxruntime.LoraAdapter is not in refquant_runtime.compat: weights are in the file; make the \
.rq file with `refquant import` or `refquant quantize` of the merged model
    >>> print(absent("onnxruntime", "Lora", ABSENT_FROM_MODULE))
    onnxruntime has no attribute 'Lora'
    """
    if name in reasons:
        return Absent(f"{owner}.{name} is not in refquant_runtime.compat: {reasons[name]}")
    return AttributeError(f"{owner} has no attribute {name!r}")
