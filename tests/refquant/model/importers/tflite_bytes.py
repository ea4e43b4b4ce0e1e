"""Small ``.tflite`` files, made by hand with flatbuffers: what the tests of the importer read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "SUB": "SubOptions",
    "SOFTMAX": "SoftmaxOptions",
    "CONCATENATION": "ConcatenationOptions",
    "MEAN": "ReducerOptions",
    "PACK": "PackOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "GELU": "GeluOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "UNPACK": "UnpackOptions",
    "GATHER": "GatherOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    **dict.fromkeys(("SUM", "REDUCE_MAX", "REDUCE_MIN"), "ReducerOptions"),
    **{
        op: f"{name}Options"
        for op, name in (
            ("BATCH_MATMUL", "BatchMatMul"),
            ("RESIZE_BILINEAR", "ResizeBilinear"),
            ("ARG_MAX", "ArgMax"),
            ("ARG_MIN", "ArgMin"),
            ("DIV", "Div"),
            ("CAST", "Cast"),
            ("L2_NORMALIZATION", "L2Norm"),
            ("LOG_SOFTMAX", "LogSoftmax"),
        )
    },
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
    "CALL_ONCE": "CallOnceOptions",
}
KINDS: dict[str, tuple[int, Any]] = {
    "float32": (0, np.float32), "float16": (1, np.float16), "int32": (2, np.int32),
    "int64": (4, np.int64), "bool": (6, np.bool_),
    "resource": (13, np.int32),
    "uint8": (3, np.uint8), "int16": (7, np.int16), "int8": (9, np.int8),
}  # fmt: skip


@dataclass
class Model:
    """Tensors and operators by number; `data` writes the file."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    operators: list[tuple[str, Sequence[int], Sequence[int], Mapping[str, Any]]] = field(
        default_factory=list
    )

    def tensor(
        self, shape: Sequence[int], dtype: str = "int8", *, values: Any = None,
        scale: Any = None, zero_point: Any = 0, axis: int = 0, name: str | None = None,
    ) -> int:  # fmt: skip
        array = None if values is None else np.asarray(values, KINDS[dtype][1]).reshape(shape)
        self.tensors.append({
            "shape": tuple(shape), "dtype": dtype, "array": array, "axis": axis,
            "scale": None if scale is None else np.atleast_1d(np.asarray(scale, np.float32)),
            "zero_point": np.atleast_1d(np.asarray(zero_point, np.int64)),
            "name": f"t{len(self.tensors)}" if name is None else name,
        })  # fmt: skip
        return len(self.tensors) - 1

    def op(self, code: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        self.operators.append((code, inputs, outputs, options))

    def data(
        self, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 3,
        others: Sequence["Model"] = (),
    ) -> bytes:  # fmt: skip
        """Write the file; ``others`` are further subgraphs, without ends."""
        b = flatbuffers.Builder(1024)
        models = [self, *others]
        codes = list(dict.fromkeys(code for m in models for code, *_ in m.operators))
        buffers = [_buffer(b, None)]
        graphs = []
        for m, ends in zip(models, [(inputs, outputs), *[([], [])] * len(others)], strict=True):
            tensors = [_tensor(b, len(buffers) + i, t) for i, t in enumerate(m.tensors)]
            buffers += [_buffer(b, t["array"]) for t in m.tensors]
            operators = [
                _operator(b, codes.index(code), code, ins, outs, options)
                for code, ins, outs, options in m.operators
            ]
            graphs.append(_graph(b, tensors, operators, *ends))
        code_offsets = [_code(b, code) for code in codes]
        description = b.CreateString("made by a test")
        parts = [_offsets(b, v) for v in (code_offsets, graphs, buffers)]
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, version)
        tflite.ModelAddOperatorCodes(b, parts[0])
        tflite.ModelAddSubgraphs(b, parts[1])
        tflite.ModelAddDescription(b, description)
        tflite.ModelAddBuffers(b, parts[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _numbers(b: Any, values: Sequence[int] | NDArray[Any], dtype: Any = np.int32) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, dtype)))


def _buffer(b: Any, array: NDArray[Any] | None) -> int:
    data = None
    if array is not None and array.size:
        raw = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        b.StartVector(1, raw.size, 16)  # kernels want constants aligned
        b.head = b.head - raw.size
        b.Bytes[b.head : b.head + raw.size] = raw.tobytes()
        data = b.EndVector()
    tflite.BufferStart(b)
    if data is not None:
        tflite.BufferAddData(b, data)
    return int(tflite.BufferEnd(b))


def _tensor(b: Any, buffer: int, t: dict[str, Any]) -> int:
    quantization = None
    if t["scale"] is not None:
        scale, zero = _numbers(b, t["scale"], np.float32), _numbers(b, t["zero_point"], np.int64)
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, t["axis"])
        quantization = tflite.QuantizationParametersEnd(b)
    name, shape = b.CreateString(t["name"]), _numbers(b, t["shape"])
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, KINDS[t["dtype"]][0])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return int(tflite.TensorEnd(b))


def _operator(
    b: Any, index: int, code: str, inputs: Sequence[int], outputs: Sequence[int],
    options: Mapping[str, Any],
) -> int:  # fmt: skip
    kind = OPTIONS.get(code)
    own = None
    if kind is not None:
        options = {k: b.CreateString(v) if isinstance(v, str) else v for k, v in options.items()}
        getattr(tflite, f"{kind}Start")(b)
        for name, value in options.items():
            getattr(tflite, f"{kind}Add{name}")(b, value)
        own = getattr(tflite, f"{kind}End")(b)
    ends = _numbers(b, inputs), _numbers(b, outputs)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, index)
    tflite.OperatorAddInputs(b, ends[0])
    tflite.OperatorAddOutputs(b, ends[1])
    if own is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, str(kind)))
        tflite.OperatorAddBuiltinOptions(b, own)
    return int(tflite.OperatorEnd(b))


def _code(b: Any, code: str) -> int:
    custom = b.CreateString(code[7:]) if code.startswith("CUSTOM ") else None
    number = 32 if custom is not None else getattr(tflite.BuiltinOperator, code)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    tflite.OperatorCodeAddVersion(b, VERSIONS.get(code, 2))
    if custom is not None:
        tflite.OperatorCodeAddCustomCode(b, custom)
    return int(tflite.OperatorCodeEnd(b))


VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 9, "SHAPE": 1, "RESHAPE": 1,
            **dict.fromkeys(("ELU", "HARD_SWISH", "RELU_N1_TO_1", "MIRROR_PAD"), 1),
            **{"TRANSPOSE_CONV": 3, "DEPTH_TO_SPACE": 1, "SPACE_TO_DEPTH": 1},
            **dict.fromkeys(("VAR_HANDLE", "READ_VARIABLE"), 1),
            **dict.fromkeys(("ASSIGN_VARIABLE", "CALL_ONCE"), 1),
            **dict.fromkeys(("NEG", "SQUARE", "PRELU", "FLOOR", "CEIL", "ROUND", "RESIZE_BILINEAR",
                             "SELECT_V2", "BROADCAST_TO", "REVERSE_V2", "TILE", "PADV2",
                             "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "DIV", "LOGICAL_AND",
                             "LOGICAL_OR", "LOGICAL_NOT"), 1)}  # fmt: skip


def _graph(
    b: Any, tensors: Sequence[int], operators: Sequence[int], inputs: Sequence[int],
    outputs: Sequence[int],
) -> int:  # fmt: skip
    parts = _offsets(b, tensors), _offsets(b, operators)
    ends = _numbers(b, inputs), _numbers(b, outputs)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, parts[0])
    tflite.SubGraphAddInputs(b, ends[0])
    tflite.SubGraphAddOutputs(b, ends[1])
    tflite.SubGraphAddOperators(b, parts[1])
    return int(tflite.SubGraphEnd(b))
