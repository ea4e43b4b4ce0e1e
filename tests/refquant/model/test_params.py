import numpy as np
import pytest

from refquant.model.graph import Graph, Quant, Value
from refquant.model.params import qparams_of


def graph(quant: Quant | None, **constants: np.ndarray) -> Graph:
    values = {"w": Value("int8", (3, 5), quant)}
    return Graph("g", (), (), values, (), constants, {}, {})


def test_numbers_are_scalars() -> None:
    qparams = qparams_of(graph(Quant(0.5, -3)), "w")
    assert (float(qparams.scale), int(qparams.zero_point)) == (0.5, -3), "as they are"
    assert (qparams.block_shape, qparams.dtype) == (None, "int8"), "one block"


def test_tensors_are_taken_by_name_and_numbers_beside_them_repeated() -> None:
    scale = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    qparams = qparams_of(graph(Quant("s", 7, (2, 2)), s=scale), "w")
    assert np.asarray(qparams.scale).tolist() == scale.tolist(), "one element a block"
    assert np.asarray(qparams.zero_point).tolist() == [[7] * 3] * 2, "the same for all blocks"
    zero = np.arange(6, dtype=np.int32).reshape(2, 3)
    qparams = qparams_of(graph(Quant(0.25, "z", (2, 2)), z=zero), "w")
    assert np.asarray(qparams.scale).tolist() == [[0.25] * 3] * 2, "the same for all blocks"
    assert np.asarray(qparams.zero_point).tolist() == zero.tolist(), "one element a block"


def test_plain_values_have_none() -> None:
    with pytest.raises(ValueError, match="'w' has no quant"):
        qparams_of(graph(None), "w")
