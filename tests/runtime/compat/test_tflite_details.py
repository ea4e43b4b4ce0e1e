"""Details have the keys and types that LiteRT 2.3's have."""

import numpy as np

from refquant_runtime.compat.tflite_details import described, letters, shape_of
from refquant_runtime.graph import Quant, Value

CODES = Quant(np.float32(0.5), np.int32(-3), None)  # type: ignore[arg-type]  # as the reader makes it


def test_codes_have_a_scale_and_a_zero_point() -> None:
    told = described(2, Value("y", "int8", (0, 4), True, CODES, None), (3, 4))
    assert list(told) == [
        *("name", "index", "shape", "shape_signature", "dtype", "quantization"),
        *("quantization_parameters", "sparsity_parameters"),
    ], f"{list(told)}"
    assert (told["name"], told["index"], told["dtype"]) == ("y", 2, np.int8), f"{told}"
    assert (told["shape"].dtype, told["shape"].tolist()) == (np.int32, [3, 4]), f"{told}"
    assert told["shape_signature"].tolist() == [-1, 4], "the batch is free"
    assert told["quantization"] == (0.5, -3), f"{told}"
    parameters = told["quantization_parameters"]
    assert (parameters["scales"].dtype, parameters["zero_points"].dtype) == (np.float32, np.int32)


def test_reals_have_none() -> None:
    told = described(0, Value("x", "float32", (2,), False, None, None), (2,))
    assert told["quantization"] == (0.0, 0), "as LiteRT says it"
    assert told["quantization_parameters"]["scales"].size == 0, f"{told}"
    assert told["shape_signature"].tolist() == [2], "nothing is free"


def test_both_letters_are_free() -> None:
    value = Value("x", "float32", (0, 1, 4), True, None, None, (1,))
    assert letters(value) == [(0, "N"), (1, "T")], "batch and length"
    assert shape_of(value, {"N": 2}) == (2, 1, 4), "what is not said is 1"
