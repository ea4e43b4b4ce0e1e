"""Backends by name: the adapters of this package, those that others registered, a class, a command.

====================  =======================================================================
``onnxruntime``       an adapter of this package, one file each in this folder
``litert:xnnpack``    the same with a setting, which the adapter explains in its docstring
``mybackend``         an entry point of the group ``refquant.backends``
``package.mod:Class`` any importable class with the methods of ``protocol.Backend``
``cmd:./program``     a program that speaks JSON lines on its standard input and output
====================  =======================================================================

An adapter imports its engine in its constructor or later, and says how to install it if it is not
there: this file is imported on any machine.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from refquant_conformance.protocol import PROTOCOL, Backend

__all__ = ["BUILT_IN", "PACKAGES", "BackendError", "MissingBackendError", "load_backend", "names"]

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "reference": "refquant_conformance.adapters.reference:Reference",
        "mutant": "refquant_conformance.mutants:load",
        "cmd": "refquant_conformance.adapters.command:Command",
        "runtime": "refquant_conformance.adapters.runtime:Runtime",
        "onnxruntime": "refquant_conformance.adapters.onnxruntime:OnnxRuntime",
        "onnx": "refquant_conformance.adapters.onnx:OnnxReference",
        "litert": "refquant_conformance.adapters.litert:LiteRt",
        "openvino": "refquant_conformance.adapters.openvino:OpenVino",
        "ml_dtypes": "refquant_conformance.adapters.mldtypes:MlDtypes",
        "gfloat": "refquant_conformance.adapters.gfloat:load",
        "gguf": "refquant_conformance.adapters.gguf_py:GgufPy",
        "libgguf": "refquant_conformance.adapters.libgguf:LibGguf",
        "torch": "refquant_conformance.adapters.torch:load",
        "torchao": "refquant_conformance.adapters.torchao:load",
        "compressed_tensors": "refquant_conformance.adapters.compressed_tensors:load",
        "bitsandbytes": "refquant_conformance.adapters.bitsandbytes:load",
        "ncnn": "refquant_conformance.adapters.ncnn:load",
        "quanto": "refquant_conformance.adapters.quanto:load",
        "qonnx": "refquant_conformance.adapters.qonnx:load",
        "mlx": "refquant_conformance.adapters.mlx:load",
    }
)
"""The adapters of this package: name, and the class that makes one, called with the setting."""

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "runtime": "refquant_runtime",
        "onnxruntime": "onnxruntime",
        "onnx": "onnx",
        "litert": "ai_edge_litert",
        "openvino": "openvino",
        "ml_dtypes": "ml_dtypes",
        "gfloat": "gfloat",
        "gguf": "gguf",
        "libgguf": "libgguf",
        "torch": "torch",
        "torchao": "torchao",
        "compressed_tensors": "compressed_tensors",
        "bitsandbytes": "bitsandbytes",
        "ncnn": "ncnn",
        "quanto": "optimum",
        "qonnx": "qonnx",
        "mlx": "mlx",
    }
)
"""What to look for to see whether the engine of an adapter is installed: name, and module."""

_REQUIRED = ("info", "capabilities", "run")


class BackendError(ValueError):
    """No such backend, or one that is not a backend. The message says what to do."""


class MissingBackendError(BackendError):
    """The backend is known, and the package it needs is not installed."""


def names() -> tuple[str, ...]:
    """Return what may be asked for by name: the built-in adapters, then entry points."""
    outside = sorted(entry.name for entry in entry_points(group="refquant.backends"))
    return (*BUILT_IN, *(name for name in outside if name not in BUILT_IN))


def load_backend(spec: str) -> Backend:
    """Make the backend that ``spec`` names; see the table on top.

    ``BackendError`` if there is none of that name, if it cannot be imported or made, if it lacks
    a method, or if it speaks another protocol; ``MissingBackendError`` if its package is not
    installed.

    >>> load_backend("reference:onnx").info().name
    'reference:onnx'
    >>> load_backend("nobody")
    Traceback (most recent call last):
    ...
    refquant_conformance.adapters.BackendError: no backend 'nobody'; 'refquant-conformance list' \
names them
    """
    name, _, setting = spec.partition(":")
    try:
        made = _make(name, setting, spec)
    except BackendError:
        raise
    except Exception as error:  # somebody's module and class run here: anything may come
        if name in BUILT_IN:  # it says itself which settings there are
            raise BackendError(f"{spec}: {error}") from error
        raise BackendError(
            f"{spec}: making the backend raised {type(error).__name__}: {error}; "
            f"a class or a function that is called with its setting, or with nothing, makes one"
        ) from error
    missing = [method for method in _REQUIRED if not callable(getattr(made, method, None))]
    if missing:
        raise BackendError(
            f"{spec}: {type(made).__name__} is no backend, it has no {' and no '.join(missing)}; "
            f"a backend has {', '.join(_REQUIRED)}"
        )
    if (spoken := getattr(made, "protocol", PROTOCOL)) != PROTOCOL:
        raise BackendError(
            f"{spec} speaks protocol {spoken!r}, this judge {PROTOCOL}; "
            f"install versions of both that agree"
        )
    backend: Backend = made
    return backend


def _make(name: str, setting: str, spec: str) -> Any:
    if name in BUILT_IN:
        return _call(BUILT_IN[name], setting)
    for entry in entry_points(group="refquant.backends"):
        if entry.name == name:
            return _instance(entry.load(), setting)
    if setting and "/" not in spec:
        try:
            return _call(spec, "")
        except ModuleNotFoundError as error:
            raise BackendError(f"{spec}: cannot import {error.name}") from None
    raise BackendError(f"no backend {spec!r}; 'refquant-conformance list' names them")


def _call(path: str, setting: str) -> Any:
    module_name, _, attribute = path.partition(":")
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise BackendError(f"{path}: module {module_name} has no {attribute}")
    return _instance(getattr(module, attribute), setting)


def _instance(factory: Any, setting: str) -> Any:
    return factory(setting) if setting else factory()
