"""Which arithmetic computes which operator: TFLite has three, and mixes them in one model.

LiteRT runs a graph by its XNNPACK delegate as far as that goes, and gives back to its own kernels
what XNNPACK does not take; with the reference resolver everything runs by the reference kernels.
Measured with LiteRT 2.3.0 on x86, each operator by itself (``tests/outsiders/test_litert.py``)::

                          tool "xnnpack"       tool "tflite_reference"
    CONV_2D, DEPTHWISE    xnnpack              tflite_reference
    FULLY_CONNECTED       xnnpack              tflite_reference_fc
    ADD, SUB              xnnpack *            tflite_reference
    MUL                   xnnpack *            tflite_mul
    MEAN, QUANTIZE        xnnpack              tflite_reference
    LOGISTIC, TANH, ELU   xnnpack              tflite_reference
    LEAKY_RELU            xnnpack              tflite_reference
    AVERAGE_POOL_2D       tflite_builtin       tflite_reference
    SOFTMAX, RELU...      tflite_builtin       tflite_reference
    HARD_SWISH, GELU      tflite_builtin       tflite_reference
    EXP, ABS, NEG, LOG    tflite_builtin       tflite_reference
    SQRT, RSQRT           tflite_builtin       tflite_reference

    * refused where the ratio of the scales is outside of what XNNPACK takes: LiteRT's optimized
      ADD, MUL and QUANTIZE of codes are in places something else than `tflite_builtin` says

A layer whose weights have a zero point that is not 0 goes back to LiteRT, too, and a LEAKY_RELU of
steep or flat slopes: tflite_builtin.
MAX_POOL_2D, PAD, RESHAPE, CONCATENATION and DEQUANTIZE give the same codes everywhere.

References: LiteRT ``delegates/xnnpack/xnnpack_delegate.cc`` (what it takes); the contracts:
``refquant.contracts.presets_tflite``.
"""

import numpy as np

from refquant.contracts import Contract, preset
from refquant.model.importers.tflite_model import UnsupportedError

__all__ = ["TOOLS", "contract_of"]

TOOLS = ("xnnpack", "tflite_reference")
"""The tools whose arithmetic a model may be imported for."""

_NOT_DELEGATED = frozenset(
    {
        *("AVERAGE_POOL_2D", "SOFTMAX", "RELU", "RELU6", "RELU_N1_TO_1"),
        *("HARD_SWISH", "GELU", "EXP", "ABS", "NEG", "LOG", "SQRT", "RSQRT"),
    }
)
_RATIOS = {
    "ADD": (2.0**-10, 2.0**8),
    "MUL": (2.0**-16, 2.0**8),
    "QUANTIZE": (2.0**-8, 2.0**7 + 2.0**-16),
}


def contract_of(
    tool: str,
    op: str,
    *,
    ratios: tuple[np.float32, ...] = (),
    given_back: bool = False,
) -> Contract:
    """Return the contract in which ``tool`` computes ``op`` on int8.

    ``ratios``: input scales over the output's (``MUL``: the one of their product);
    ``given_back``: whether XNNPACK gives this operator back, whose weights have a zero point that
    is not 0, say.

    >>> contract_of("xnnpack", "SOFTMAX").name, contract_of("xnnpack", "CONV_2D").name
    ('tflite_builtin', 'xnnpack')
    """
    if tool == "tflite_reference":
        own = {"FULLY_CONNECTED": "tflite_reference_fc", "MUL": "tflite_mul"}
        return preset(own.get(op, "tflite_reference"))
    low, high = _RATIOS.get(op, (0.0, np.inf))
    if not all(low <= float(ratio) < high for ratio in ratios):
        raise UnsupportedError(
            f"has input scales {[float(r) for r in ratios]} times the output's, beyond XNNPACK; "
            "import it for tflite_reference"
        )
    return preset("tflite_builtin" if op in _NOT_DELEGATED or given_back else "xnnpack")
