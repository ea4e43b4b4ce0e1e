"""Six small layers of dynamic range, and what LiteRT 2.3.0 on x86 made of ``IMAGE``."""

from typing import Any

import numpy as np

from tests.refquant.model.importers.tflite_bytes import Model

IMAGE = np.array([[[[0.3, -1.25], [2.5, 0.0]], [[-0.7, 0.9], [1.1, -2.0]]]], np.float32)
_SCALES = np.array([0.011, 0.02, 0.0317, 0.04, 0.007], np.float32)
_BIAS = np.array([0.1, -0.2, 0.3, 1 / 3, 5], np.float32)

GOLDEN: dict[tuple[str, str], list[float]] = {  # the first five reals
    ("FULLY_CONNECTED", "xnnpack"):
        [4.3698115, 0.8942941, -1.1377234, 1.6870921, 6.805241],
    ("FULLY_CONNECTED", "tflite_reference"):
        [4.4253154, 0.9116536, -1.1494489, 1.6737665, 6.781102],
    ("FULLY_CONNECTED, asymmetric", "xnnpack"):
        [3.7129176, 1.4835293, -3.2058332, 4.4987445, 5.972053],
    ("FULLY_CONNECTED, asymmetric", "tflite_reference"):
        [3.7129178, 1.4835294, -3.2058337, 4.4987454, 5.972053],
    ("CONV_2D", "xnnpack"):
        [3.7129176, 1.4835293, -3.2058332, 4.4987445, 5.972053],
    ("CONV_2D", "tflite_reference"):
        [3.7129176, 1.4835294, -3.2058337, 4.4987454, 5.972053],
    ("CONV_2D, one scale", "xnnpack"):
        [4.3698115, 0.8942941, -1.1377234, 1.6870921, 6.805241],
    ("CONV_2D, one scale", "tflite_reference"):
        [4.4253154, 0.9116536, -1.1494489, 1.6737665, 6.781102],
    ("CONV_2D, pixels", "xnnpack"):
        [0.92354846, -0.11502353, -1.8039414, 7.625749, 5.2501884],
    ("CONV_2D, pixels", "tflite_reference"):
        [0.92131186, -0.11705883, -1.8039479, 7.637804, 5.249159],
    ("DEPTHWISE_CONV_2D", "xnnpack"):
        [1.6737119, 5.0249414, 9.585117, 8.575921],
    ("DEPTHWISE_CONV_2D", "tflite_reference"):
        [1.6737119, 5.0249414, 9.585116, 8.575922],
}  # fmt: skip
for _key in GOLDEN:
    GOLDEN[_key] = [float(np.float32(v)) for v in GOLDEN[_key]]

CASES: dict[str, tuple[Any, ...]] = {
    "FULLY_CONNECTED": ("FULLY_CONNECTED", False, 0),
    "FULLY_CONNECTED, asymmetric": ("FULLY_CONNECTED", True, 0, True),
    "CONV_2D": ("CONV_2D", True, 2),
    "CONV_2D, one scale": ("CONV_2D", False, 2),
    "CONV_2D, pixels": ("CONV_2D", True, 1),
    "DEPTHWISE_CONV_2D": ("DEPTHWISE_CONV_2D", True, 2),
}


def net(
    op: str, several: bool, kernel: int, asymmetric: bool = False, *, zero_point: int = 0,
    bias: Any = None, scale: Any = None,
) -> bytes:  # fmt: skip
    """One layer: ``several`` scales, a square ``kernel``; weights count up by 37."""
    m, depthwise = Model(), op == "DEPTHWISE_CONV_2D"
    o = 4 if depthwise else 5
    sw = _SCALES[:o] if several else np.array([0.013], np.float32)
    sw = sw if scale is None else np.asarray(scale, np.float32)
    shape = {"CONV_2D": (o, kernel, kernel, 2), "DEPTHWISE_CONV_2D": (1, kernel, kernel, o)}.get(
        op, (o, 8)
    )
    w = np.arange(np.prod(shape)) * 37 % 255 - 127
    flat = op == "FULLY_CONNECTED"
    x = m.tensor((1, 8) if flat else (1, 2, 2, 2), "float32", name="x")
    held = m.tensor(shape, values=w, scale=sw, zero_point=np.full(sw.size, zero_point),
                    axis=3 if depthwise else 0, name="w")  # fmt: skip
    b = m.tensor((o,), "float32", values=_BIAS[:o] if bias is None else bias)
    size = 3 - kernel
    y = m.tensor((1, o) if flat else (1, size, size, o), "float32", name="y")
    if flat:
        m.op(op, [x, held, b], [y], FusedActivationFunction=0, AsymmetricQuantizeInputs=asymmetric)
    else:
        own = {"DepthMultiplier": 2} if depthwise else {}
        m.op(op, [x, held, b], [y], Padding=1, StrideW=1, StrideH=1, DilationWFactor=1,
             DilationHFactor=1, FusedActivationFunction=0, **own)  # fmt: skip
    return m.data([x], [y])
