"""Scales of weights: one for each output channel, wherever that axis has gone."""

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.importers.tflite_model import TfliteModel, TfliteTensor, UnsupportedError
from refquant.model.importers.tflite_scope import Scope
from refquant.model.importers.tflite_weights import check_weight, scales_of


def weight(*scale: float, axis: int = 0) -> TfliteTensor:
    scales, zeros = np.array(scale, np.float32), np.zeros(len(scale), np.int64)
    return TfliteTensor(0, "w", "int8", (3, 4), (3, 4), None, scales, zeros, axis, "")


def scope() -> Scope:
    return Scope(TfliteModel("m", 10, "", (), (), (), ()), "xnnpack", True, Builder("g"))


def test_a_scale_for_each_channel() -> None:
    s = scope()
    quant, grid = scales_of(s, weight(1, 2, 4), (4, 3), "w", channel=0, axis=1)
    assert (quant.block_shape, grid) == ((4, 1), (1, 3)), "a column each"
    assert s.builder.constants[str(quant.scale)].tolist() == [[1, 2, 4]], "as the file has them"


def test_what_is_no_scale_a_channel_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="2 scales along axis 0, not one an output channel"):
        scales_of(scope(), weight(1, 2), (3, 4), "w", channel=0, axis=0)
    with pytest.raises(UnsupportedError, match="3 scales along axis 1"):
        scales_of(scope(), weight(1, 2, 4, axis=1), (3, 4), "w", channel=0, axis=0)
    with pytest.raises(UnsupportedError, match="without scales"):
        check_weight(weight())
    with pytest.raises(ValueError, match="is not positive"):
        check_weight(weight(-1.0))
