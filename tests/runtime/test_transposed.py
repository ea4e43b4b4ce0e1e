"""Kernels of phases: eq. (1) element by element, in integers; parameters, biases, decoded codes."""

import itertools

import numpy as np
import pytest

from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.transposed import channel_weights, decoded, mirrored, phased, repeated


def ramp(*shape: int, dtype: str = "int8", quant: Quant | None = None) -> Value:
    data = (np.arange(np.prod(shape)) % 120 + 1).reshape(shape).astype(dtype)
    return Value("w", dtype, shape, False, quant, data)


def ruler(shape: tuple[int, ...], zero: int = 0) -> Quant:
    grid = np.arange(1, np.prod(shape) + 1).reshape(shape)
    return Quant(grid.astype(np.float32), (grid + zero).astype(np.int32), (1,) * len(shape))


@pytest.mark.parametrize(
    ("kernel", "stride", "apart"), list(itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2)))
)
@pytest.mark.parametrize("group", [1, 2])
def test_each_phase_is_a_convolution(kernel: int, stride: int, apart: int, group: int) -> None:
    w = ramp(4, 3, kernel, dtype="float32")
    x = np.arange(1.0, 4 * 6 + 1).reshape(4, 6)
    made = phased(w, group, (stride,), (apart,))
    assert made.data is not None, "constants"
    assert w.data is not None, "constants"
    taps = made.shape[2]
    wide = np.pad(x, ((0, 0), (taps - 1, taps)))
    inside = 4 // group
    expected = np.zeros((3 * group, stride * 6 + stride + apart * kernel))
    for c, m, i, k in itertools.product(range(4), range(3), range(6), range(kernel)):
        expected[c // inside * 3 + m, i * stride + k * apart] += x[c, i] * w.data[c, m, k]
    for row in range(made.shape[0]):  # group, phase, channel of the group
        g, r, m = row // (3 * stride), row // 3 % stride, row % 3
        for q in range(6):
            window = wide[g * inside : (g + 1) * inside, q : q + taps]
            got = float((window * made.data[row]).sum())
            assert got == expected[g * 3 + m, stride * q + r], f"row {row}, q {q}"


def test_parameters_and_missing_taps_are_the_channel_s() -> None:
    made = phased(ramp(2, 2, 3, quant=ruler((1, 2, 1), zero=4)), 1, (2,), (1,))
    assert made.quant is not None, "codes"
    assert made.data is not None, "codes"
    assert made.quant.scale.ravel().tolist() == [1, 2, 1, 2], "phase, then channel"
    assert made.quant.zero_point.ravel().tolist() == [5, 6, 5, 6], "phase, then channel"
    assert made.quant.scale.shape == (4, 1, 1), "output channels first"
    assert made.data[2:, :, 0].tolist() == [[5, 5], [6, 6]], "no tap: the zero point, which is 0"
    shared = phased(ramp(4, 2, 3, quant=ruler((1, 2, 1))), 2, (1,), (1,))
    own = phased(ramp(4, 2, 3, quant=ruler((2, 2, 1))), 2, (1,), (1,))
    assert shared.quant is not None, "codes"
    assert own.quant is not None, "codes"
    assert shared.quant.scale.ravel().tolist() == [1, 2, 1, 2], "one for all groups"
    assert own.quant.scale.ravel().tolist() == [1, 2, 3, 4], "one each"


def test_biases_repeat_inside_their_group() -> None:
    assert repeated(np.array([1, 2, 3, 4]), 2, (2, 1)).tolist() == [1, 2, 1, 2, 3, 4, 3, 4]


def test_only_transposed_layers_are_mirrored() -> None:
    w = ramp(1, 1, 3)
    assert channel_weights(Node("y", "Conv", (), (), {}, None), w) is w, "as it is"
    turned = channel_weights(Node("y", "ConvTranspose", (), (), {}, None), w)
    assert turned.data is not None, "a constant"
    assert turned.data.tolist() == [[[3, 2, 1]]], "mirrored"


def test_codes_of_few_bits_become_bytes_and_tables_reals() -> None:
    packed = np.array([0x21, 0x0F], np.uint8)  # 1, 2, -1 in 4 bits
    one = Quant(np.array(2, np.float32), np.array(0, np.int32), None)
    made = mirrored(Value("w", "int4", (1, 1, 3), False, one, packed), 1)
    assert made.data is not None, "a constant"
    assert (made.dtype, made.data.tolist()) == ("int8", [[[-1, 2, 1]]]), "unpacked and mirrored"
    table = Quant(one.scale, one.zero_point, None, np.array([-1, 0, 0.5, 3], np.float32))
    w = Value("w", "uint2", (1, 1, 3), False, table, np.array([0x38], np.uint8))
    with pytest.raises(ValueError, match="go with float32 activations"):
        mirrored(w, 1)
    reals = decoded(w)
    assert reals.data is not None, "a constant"
    assert (reals.dtype, reals.data.ravel().tolist()) == ("float32", [-2.0, 1.0, 6.0]), "reals"
