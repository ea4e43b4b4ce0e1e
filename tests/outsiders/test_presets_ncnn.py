"""The preset ``ncnn`` beside the Quantize layer of ncnn 1.0.20261020 on x86."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, choose_qparams, quantize
from tests.refquant.contracts.preset_inputs import EDGES, Array, Float32, rows, ties

ncnn: Any = pytest.importorskip("ncnn", reason="the outsider itself; see `make outsiders`")

pytestmark = pytest.mark.torch

NETWORK = "7767517\n2 2\nInput in 0 1 in\nQuantize q 1 1 in out 0=1\n"

BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
HALF_IS_ADDED_IN_FLOATING_POINT = (BELOW_HALF, 1, 0)
"""The x86 kernels add 0.5 with the sign of v and truncate: 0.49999997 + 0.5 is 1.0 in float32. The
portable kernel, and this preset, use round(): 0. By the portable source, 0 is right. Minimal input:
0.49999997 with the factor 1."""


def theirs(x: Float32, inverse: np.float32, folder: Path) -> Array:
    param, weights = folder / "n.param", folder / "n.bin"
    param.write_text(NETWORK)
    weights.write_bytes(np.array([inverse], np.float32).tobytes())
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0, "the graph"
    assert net.load_model(str(weights)) == 0, "the factor"
    extractor = net.create_extractor()
    held = np.ascontiguousarray(x)  # ncnn reads it where it is
    extractor.input("in", ncnn.Mat(held))
    _, out = extractor.extract("out")
    return np.array(out).astype(np.int64)


def mended(mine: Array, v: Float32) -> Array:
    """Our codes with the one named difference, for products v."""
    return np.where(np.abs(v) == BELOW_HALF, np.copysign(1, v), mine)


@pytest.mark.parametrize("scale", [1.0, 0.25, 0.1, 1 / 3, 1 / 255, 0.007874016])
def test_codes(scale: float, tmp_path: Path) -> None:
    inverse = np.float32(1) / np.float32(scale)
    x = np.concatenate([ties(scale, 0, -128, 127), EDGES])
    p = QParams(np.float32(scale), np.int32(0), None, "int8", narrow=True, inverse=inverse)
    mine = quantize(x, p, contract=preset("ncnn")).astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        expected = mended(mine, x * inverse)
    np.testing.assert_array_equal(theirs(x, inverse, tmp_path), expected, err_msg=f"scale {scale}")


def test_half_is_added_in_floating_point(tmp_path: Path) -> None:
    x, there, here = HALF_IS_ADDED_IN_FLOATING_POINT
    assert theirs(np.full(16, x), np.float32(1), tmp_path).tolist() == [there] * 16, "on x86"
    p = QParams(np.float32(1), np.int32(0), None, "int8")
    assert quantize(np.array([x]), p, contract=preset("ncnn")).tolist() == [here], "by its source"


def test_rows(tmp_path: Path) -> None:
    """The factor as ncnn2table makes it: 127 / absmax, or 1."""
    for x in list(rows("int8"))[::8]:
        amax = np.abs(x).max()
        inverse = np.float32(127) / amax if amax else np.float32(1)
        p = choose_qparams(x.min(), x.max(), dtype="int8", symmetric=True, contract=preset("ncnn"))
        assert p.inverse == inverse, f"the factor of {p}"
        mine = quantize(x, p, contract=preset("ncnn")).astype(np.int64)
        with np.errstate(under="ignore"):
            expected = mended(mine, x * inverse)
        np.testing.assert_array_equal(theirs(x, inverse, tmp_path), expected, err_msg=f"{p}")
