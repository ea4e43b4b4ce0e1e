"""A ``.tflite`` file as a `Graph` that computes what LiteRT computes, code for code.

An int8 model keeps its own quantization: nothing is calibrated or rounded again. What its codes
become on the way depends on who runs it, so the importer asks for a tool, ``xnnpack`` (what LiteRT
does by default) or ``tflite_reference``, and each node names the contract in which that tool
computes it; `refquant.model.importers.tflite_kernels` has the table.

Inputs and outputs keep TFLite's order, N H W C; inside, images are N C H W. A first dimension of 1
is the batch: the graph is a function of one sample. float16 weights become float32.

::

    bytes -> tflite_read -> TfliteModel -> one function an operator -> Builder -> Graph

Left out, and refused by name: uint8, int4, sparse weights, control flow, custom operators; of
int16 activations (16x8) all that `refquant.model.importers.tflite_int16` does not list.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.importers import (
    tflite_composed,
    tflite_fold,
    tflite_moves,
    tflite_pixels,
    tflite_pointwise,
    tflite_reductions,
    tflite_resize,
    tflite_truths,
    tflite_variables,
    tflite_vectors,
)
from refquant.model.importers.tflite_int16 import ALIKE, INT16, unknown
from refquant.model.importers.tflite_kernels import TOOLS
from refquant.model.importers.tflite_model import TfliteModel, TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_read import read_tflite
from refquant.model.importers.tflite_scope import AS_IS, Scope
from refquant.model.importers.tflite_tables import OPERATORS
from refquant.model.loaders.tensors import ModelFileError

__all__ = ["import_tflite", "tflite_graph"]

_LOWER: Mapping[str, Callable[[Scope, TfliteOperator], None]] = {
    **ALIKE,
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), tflite_pointwise.binary),
    **dict.fromkeys(OPERATORS, tflite_pointwise.unary),
    "QUANTIZE": tflite_pointwise.quantize,
    "DEQUANTIZE": tflite_pointwise.dequantize,
    "SOFTMAX": tflite_pointwise.softmax,
    "VAR_HANDLE": tflite_variables.var_handle,
    "READ_VARIABLE": tflite_variables.read_variable,
    "ASSIGN_VARIABLE": tflite_variables.assign_variable,
    "CALL_ONCE": tflite_variables.call_once,
    "SHAPE": tflite_fold.shape,
    "RESIZE_NEAREST_NEIGHBOR": tflite_pixels.resize_nearest,
    "SPACE_TO_BATCH_ND": tflite_pixels.space_to_batch,
    "BATCH_TO_SPACE_ND": tflite_pixels.batch_to_space,
    "RESIZE_BILINEAR": tflite_resize.resize_bilinear,
    "SPACE_TO_DEPTH": tflite_pixels.space_to_depth,
    "DEPTH_TO_SPACE": tflite_pixels.depth_to_space,
    "PRELU": tflite_composed.prelu,
    "SQUARED_DIFFERENCE": tflite_composed.squared_difference,
    "SUM": tflite_reductions.reduce_sum,
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), tflite_reductions.arg_extreme),
    "BATCH_MATMUL": tflite_reductions.batch_matmul,
    "PADV2": tflite_moves.pad_with,
    **dict.fromkeys(tflite_truths.CONNECT, tflite_truths.connect),
    "L2_NORMALIZATION": tflite_vectors.l2_normalization,
    "LOG_SOFTMAX": tflite_vectors.log_softmax,
}
_INPUTS: Mapping[str, int] = {  # at least; one, where nothing is said
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), 2),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MEAN", "EXPAND_DIMS", "TRANSPOSE", "PAD"), 2),
    **dict.fromkeys(("MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE"), 2),
    **dict.fromkeys(("SUM", "REDUCE_MAX", "REDUCE_MIN", "ARG_MAX", "ARG_MIN"), 2),
    **dict.fromkeys(("BATCH_MATMUL", "RESIZE_BILINEAR", "LOGICAL_AND", "LOGICAL_OR"), 2),
    **dict.fromkeys(tflite_truths.COMPARE, 2),
    **dict.fromkeys(("SELECT", "SELECT_V2"), 3),
    **dict.fromkeys(("SPLIT", "GATHER", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR"), 2),
    **dict.fromkeys(("SLICE", "SPLIT_V", "TRANSPOSE_CONV", "PADV2"), 3),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), 3),
    "STRIDED_SLICE": 4,
    "ASSIGN_VARIABLE": 2,
    **dict.fromkeys(("VAR_HANDLE", "CALL_ONCE"), 0),
}
_PARTS = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})  # what has several outputs


def import_tflite(path: str | os.PathLike[str], *, contract: str = "xnnpack") -> Graph:
    """Return the graph of the file ``path``, computing as the tool ``contract`` does.

    `ModelFileError` says what is wrong with the file, or lists every operator that is not known.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{path}: cannot read: {reason}; give the path of a file") from error
    return tflite_graph(data, path=str(path), contract=contract)


def tflite_graph(data: bytes, *, path: str, contract: str = "xnnpack") -> Graph:
    """Return the graph whose file is ``data``; ``path`` is what errors and the graph call it.

    As `import_tflite`. `ValueError` names a ``contract`` that is not one of `TOOLS`.
    """
    if contract not in TOOLS:
        raise ValueError(f"contract must be one of {', '.join(TOOLS)}, got {contract!r}")
    model = read_tflite(data, path=path)
    if all(model.tensors[i].shape[:1] == (1,) for i in model.inputs):
        try:
            return _graph(model, contract, batched=True)
        except ModelFileError as error:
            if "not known" in str(error):  # nor is it with another batch
                raise
    return _graph(model, contract, batched=False)


def _graph(model: TfliteModel, tool: str, *, batched: bool) -> Graph:
    scope = Scope(model, tool, batched, Builder("tflite"))
    try:
        for i in model.inputs:
            tensor = model.tensors[i]
            held = None if tensor.quantized else tflite_truths.HELD.get(tensor.dtype)
            quant = None if held and not tensor.special else scope.quant(i)
            scope.names[i, AS_IS] = scope.builder.input(
                scope.free(tensor.name), scope.shape(i), dtype=held or tensor.dtype, quant=quant
            )
    except UnsupportedError as error:
        raise ModelFileError(f"{model.path}: an input {error}; it is not known here") from error
    except (ValueError, ArithmeticError) as error:
        raise ModelFileError(f"{model.path}: {error}") from error
    _lower_all(scope)
    try:
        outputs = [scope.read(i) for i in model.outputs]
        meta = {"imported_as": "tflite", "tool": tool, "description": model.description}
        return tflite_variables.streamed(scope, outputs, meta)
    except (ValueError, ArithmeticError) as error:
        raise ModelFileError(f"{model.path}: {error}") from error


def _lower_all(scope: Scope) -> None:
    """Lower every operator; those that cannot be, and what hangs on them, are collected."""
    model, lost, reasons = scope.model, set[int](), []
    for operator in model.operators:
        lower = _LOWER.get(operator.op)
        if lower is not None and scope.wide(operator):
            lower = INT16.get(operator.op, unknown)
        if lower is not None and lost.intersection(operator.inputs):
            lost.update(operator.outputs)
            continue
        try:
            if lower is None:
                raise UnsupportedError("is not known")
            several = len(operator.outputs) > 1 and operator.op not in _PARTS
            if len(operator.inputs) < _INPUTS.get(operator.op, 1) or several:
                raise ValueError(
                    f"has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs"
                )
            lower(scope, operator)
        except UnsupportedError as error:
            reasons.append(f"{model.label(operator)}: {error}")
            lost.update(operator.outputs)
        except ModelFileError:
            raise
        except (ValueError, ArithmeticError) as error:
            if not lost:  # else shapes may be missing that nobody could know
                raise ModelFileError(f"{model.path}: {model.label(operator)}: {error}") from error
    if reasons:
        raise ModelFileError(
            f"{model.path}: {len(reasons)} operators are not known here: {'; '.join(reasons)}; "
            "convert the model without them"
        )
