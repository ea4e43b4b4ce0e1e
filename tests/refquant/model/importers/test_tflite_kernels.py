"""Whose arithmetic computes what."""

import numpy as np
import pytest

from refquant.model.importers.tflite_kernels import TOOLS, contract_of
from refquant.model.importers.tflite_model import UnsupportedError

TABLE = {  # operator: by XNNPACK's delegate, by the reference resolver
    "CONV_2D": ("xnnpack", "tflite_reference"),
    "FULLY_CONNECTED": ("xnnpack", "tflite_reference_fc"),
    "ADD": ("xnnpack", "tflite_reference"),
    "MUL": ("xnnpack", "tflite_mul"),
    "MEAN": ("xnnpack", "tflite_reference"),
    "QUANTIZE": ("xnnpack", "tflite_reference"),
    "LOGISTIC": ("xnnpack", "tflite_reference"),
    "AVERAGE_POOL_2D": ("tflite_builtin", "tflite_reference"),
    "SOFTMAX": ("tflite_builtin", "tflite_reference"),
    "RELU6": ("tflite_builtin", "tflite_reference"),
}


@pytest.mark.parametrize("op", TABLE)
def test_the_table_is_what_was_measured(op: str) -> None:
    assert tuple(contract_of(tool, op).name for tool in TOOLS) == TABLE[op], op


def test_beyond_xnnpacks_scales_it_is_another_kernel() -> None:
    far = np.float32(300)
    with pytest.raises(UnsupportedError, match="import it for tflite_reference"):
        contract_of("xnnpack", "ADD", ratios=(np.float32(1), far))
    assert contract_of("tflite_reference", "ADD", ratios=(far,)).name == "tflite_reference", "any"
    assert contract_of("xnnpack", "CONV_2D", given_back=True).name == "tflite_builtin", "back"
