"""BS-06 and BS-07: products of blocks, and how near to the best blocks an encoder comes.

References
----------
ggml ``src/ggml-cpu/quants.c`` (``ggml_vec_dot_*``); ``docs/concepts/k_quant_search.md``.
"""

import numpy as np

from refquant.formats.ggml import codec
from refquant_conformance.arithmetic.blocks import block_case, sane_blocks
from refquant_conformance.error_models import em_dot_seq
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_blocks import SIZES
from refquant_conformance.properties.bs_optimum import LEVELS, least_error
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__ = ["matmul_case"]

_ROWS, _LENGTH = 6, 512


def matmul_case(scheme: str, x: Array, w: Array) -> Case:
    """Return the case of rows of float32 and rows of blocks."""
    inputs = {"x": x.astype(np.float32), "w": w}
    return Case("block_matmul", scheme, inputs, {}, types=types_of("block_matmul", scheme))


def _decoded(scheme: str, w: Array) -> Array:
    return np.stack([codec.decode(row, type=scheme) for row in w]).astype(np.float64)


@prop("BS-06", "vecdot", ops=("block_matmul",), catches="2.6 (imp 722)",
      clause="ggml: a dot product of a row of blocks is that of what the blocks mean")  # fmt: skip
def dot_products(trial: Trial) -> None:
    """A product of blocks is that of the decoded row: exactly for one element, else in bounds."""
    elements = SIZES[trial.scheme][0]
    w = sane_blocks(trial.scheme, _ROWS * _LENGTH // elements, trial.seed).reshape(_ROWS, -1)
    real = _decoded(trial.scheme, w)
    rng = np.random.default_rng(trial.seed)
    # 127 alone is kept by those, too, who quantize a row of x to eight bits first.
    at = np.sort(rng.choice(_LENGTH, 24, replace=False))
    alone = np.zeros((at.size, _LENGTH), np.float32)
    alone[np.arange(at.size), at] = rng.choice([127.0, -127.0], at.size)
    case = matmul_case(trial.scheme, alone, w)
    y = trial.outputs(case)["y"].astype(np.float64)
    wanted = (alone @ real.T).astype(np.float32)  # one product each, rounded once
    if (y != wanted).any():
        row, column = (int(i) for i in np.argwhere(y != wanted)[0])
        told = f"127 times element {at[row]} of row {column} is {y[row, column]}"
        trial.fail(case, f"{told}, and {wanted[row, column]} by what it means")
    x = rng.standard_normal((8, _LENGTH)).astype(np.float32)
    case = matmul_case(trial.scheme, x, w)
    products = x[:, None, :].astype(np.float64) * real
    off = np.abs(trial.outputs(case)["y"] - products.sum(axis=-1))
    ratio = float((off / em_dot_seq(products)).max())
    if not ratio <= 1:
        trial.fail(case, f"a product is off by {ratio:.3g} times the bound of its sum")
    trial.bounded("EM-DOT-ANY", ratio)


@prop("BS-07", "near_optimal", ops=("block_quantize",), catches="search heuristics",
      clause="an encoder that loses half a bit costs twice the least squared error")  # fmt: skip
def near_the_best(trial: Trial) -> None:
    """The squared error is less than twice the least that any scale of the format allows."""
    if trial.scheme not in LEVELS:
        trial.skip("a search through all blocks of this format would take too long")
    size = SIZES[trial.scheme][0]
    x = np.random.default_rng(trial.seed).standard_normal((24, size)).astype(np.float32)
    case = block_case(trial.op, trial.scheme, x.reshape(-1))
    y = trial.outputs(case)["y"]
    back = codec.decode(np.ascontiguousarray(y), type=trial.scheme).astype(np.float64)
    ours = float(((back.reshape(x.shape) - x) ** 2).sum())
    least = sum(least_error(trial.scheme, row) for row in x)
    if ours > 2 * least:
        trial.fail(case, f"the squared error is {ours:.4g}, {ours / least:.2f} times the least")
