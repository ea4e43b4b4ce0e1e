r"""LLM.int8(): a matrix product in 8 bits, but for the few columns that hold outliers.

In large transformers a handful of feature columns hold values tens of times larger than the rest,
and one such value ruins the scale of its row. So the columns of X that hold an :math:`|x| \ge t`
(t = 6 in the paper) stay in 16 bits, and the rest is multiplied as integers, each row of X
(T, K) and of W (N, K) with a scale of its own:

.. math::

    a_r = \max_k |x_{rk}|, \quad
    q_{rk} = \operatorname{round\_half\_even}(x_{rk} \cdot (127 / a_r))             \tag{1}

    Y = \frac{a\,b^T}{127^2} \odot \sum_{k \notin O} q_{rk}\, w_{nk}
        \;+\; \sum_{k \in O} x_{rk}\, \hat W_{nk}, \qquad \hat x = q\, a \cdot \mathrm{f32}(1/127)
    \tag{2}

Layout of a quantized matrix::

    codes: int8 (rows, K), -127..127, 0 in outlier columns | absmax: f32 (rows,) | columns: int64

The sum of products is exact in int32 up to K = 133,144; bitsandbytes without AVX-512 forms it in
float32, exact for K <= 1040 only. Two flavours: on GPUs (``bnb_cuda``) 127 / a is a quotient and
1 / 127^2 is 6.200012e-05; in the PyTorch path (``bnb_torch``) 127 / a is f32(1 / a) * 127 and the
constant 6.200124e-05, a slip of 18 millionths. The GPU's quotient is approximate; ours is IEEE's.

Special values: a row of zeros has absmax 0 and codes 0, one with an infinity absmax inf and codes
0. NaN: absmax NaN and codes 0 for ``bnb_torch``; ``bnb_cuda`` passes it over, code 0. An absmax
below 127 / 3.4e38 (float32 only) has no finite scale: codes saturate. Outliers are
left out of a_r *element by element*, and the codes of their columns become 0 if there is more than
one row (a single row has no other element there). The threshold 0 means: no outliers.

Left out: the column-wise scales of X; weights kept in 16 bits.

References
----------
Dettmers et al., "LLM.int8()", 2022, arXiv 2208.07339, section 3; bitsandbytes
``backends/default/ops.py`` (``int8_vectorwise_quant``, ``int8_mm_dequant``), ``csrc/kernels.cu``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, parameter_array

__all__ = ["CARD", "DEQUANT_CONSTANTS", "Int8Rows", "dequantize", "matmul", "quantize"]

F32 = NDArray[np.float32]
F16 = NDArray[np.float16]

DEQUANT_CONSTANTS: Mapping[str, float] = MappingProxyType(
    {"bnb_cuda": 6.200012e-05, "bnb_torch": 6.200124e-05}
)
MAX_K = (2**31 - 1) // 127**2


@dataclass(frozen=True, slots=True, eq=False)
class Int8Rows:
    """The codes (rows, K) int8, the absmax (rows,) and the ascending indices of outlier columns."""

    codes: NDArray[np.int8]
    absmax: F32
    outlier_columns: NDArray[np.int64]


def quantize(x: ArrayLike, *, threshold: float, flavour: str) -> Int8Rows:
    """Return the rows of ``x`` (float16 or float32, (rows, K)) in 8 bits: eq. (1).

    ``threshold`` is 0 for no outliers. A row of no columns is a ValueError.

    >>> x = np.array([[1, -2, 6.5], [0, 1, 1]], np.float16)
    >>> q = quantize(x, threshold=6.0, flavour="bnb_torch")
    >>> q.codes.tolist(), q.absmax.tolist(), q.outlier_columns.tolist()
    ([[64, -127, 0], [0, 127, 0]], [2.0, 1.0], [2])
    """
    if flavour not in DEQUANT_CONSTANTS:
        raise ValueError(f"flavour must be one of {', '.join(DEQUANT_CONSTANTS)}; got {flavour!r}")
    values: NDArray[Any] = np.asarray(x)
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype not in (np.float16, np.float32):
        raise ValueError(
            "x must be float16 or float32 of shape (rows, K), K >= 1; "
            f"got {values.dtype} {values.shape}"
        )
    if not threshold >= 0:
        raise ValueError(f"threshold must be at least 0 (0: no outliers), got {threshold}")
    wide = values.astype(np.float32)
    # The comparison is in the type of x: a float16 5.996 is not 6.
    outliers = (np.abs(values) >= values.dtype.type(threshold)) & (threshold > 0)
    kept = np.where(outliers, np.float32(0), wide)
    with np.errstate(all="ignore"):  # 127 / 0, 0 * inf: NaN, whose code is 0
        if flavour == "bnb_torch":
            absmax = np.abs(kept).max(axis=1)
            scale = np.float32(1) / absmax * np.float32(127)  # PyTorch's 127 / tensor
        else:
            absmax = np.fmax.reduce(np.abs(kept), axis=1, initial=np.float32(0))
            scale = np.float32(127) / absmax
        product = np.rint(kept * scale[:, None])
    codes = np.clip(np.where(np.isnan(product), np.float32(0), product), -127, 127)
    columns = np.flatnonzero(outliers.any(axis=0))
    codes[:, columns] = 0
    return Int8Rows(codes.astype(np.int8), absmax, columns.astype(np.int64))


def dequantize(quantized: Int8Rows) -> F32:
    """Return the reals of the codes, float32 (rows, K), 0 in outlier columns: eq. (2), right.

    >>> x = np.array([[1, -2, 0.5]], np.float16)
    >>> q = quantize(x, threshold=0.0, flavour="bnb_torch")
    >>> dequantize(q).tolist()
    [[1.0078740119934082, -2.0, 0.5039370059967041]]
    """
    codes = code_array(quantized.codes, low=-128, high=127)
    if codes.ndim != 2 or np.shape(quantized.absmax) != codes.shape[:1]:
        raise ValueError(
            f"codes must have shape (rows, K) and absmax (rows,); "
            f"got {codes.shape} and {np.shape(quantized.absmax)}"
        )
    absmax = parameter_array(quantized.absmax, name="absmax", shape=codes.shape[:1])
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        product = codes.astype(np.float32) * absmax[:, None]
        return np.asarray(product * np.float32(1 / 127), np.float32)


def matmul(x: F16 | F32, weight: Int8Rows, *, threshold: float, flavour: str) -> F16:
    """Return ``x`` (T, K) times the transposed ``weight`` (N, K), float16 (T, N): eq. (2).

    ``flavour`` chooses the constant and the order of its float32 products. The outliers' part is
    summed in float64, added to the other part, and the sum is rounded to float16 once (bitsandbytes
    rounds both parts and the dequantized columns to float16 before).

    >>> eye = np.array([[127, 0], [0, 127]], np.float16)
    >>> w = quantize(eye, threshold=0.0, flavour="bnb_cuda")
    >>> matmul(np.array([[127, 7]], np.float16), w, threshold=0.0, flavour="bnb_cuda").tolist()
    [[16128.0, 889.0]]
    """
    rows = quantize(x, threshold=threshold, flavour=flavour)
    if rows.codes.shape[1] != weight.codes.shape[1] or rows.codes.shape[1] > MAX_K:
        raise ValueError(
            f"x and weight must have the same K of at most {MAX_K}, "
            f"got {rows.codes.shape[1]} and {weight.codes.shape[1]}"
        )
    total = rows.codes.astype(np.int32) @ weight.codes.T.astype(np.int32)  # exact: see MAX_K
    sums, constant = total.astype(np.float32), np.float32(DEQUANT_CONSTANTS[flavour])
    a, b = rows.absmax[:, None], weight.absmax[None, :]
    columns = rows.outlier_columns
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        scaled = (sums * a) * b * constant if flavour == "bnb_cuda" else sums * (a * b) * constant
        large = np.asarray(x)[:, columns].astype(np.float64)
        rest = large @ dequantize(weight)[:, columns].T.astype(np.float64)
        return np.asarray(scaled.astype(np.float64) + rest, np.float16)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(1, -1)
    q = quantize(x, threshold=6.0, flavour="bnb_cuda")
    texts = [
        "kept in 16 bits" if i in q.outlier_columns else str(int(code))
        for i, code in enumerate(q.codes[0])
    ]
    back = dequantize(q)[0]
    with np.errstate(over="ignore"):  # float16 ends at 65504
        back[q.outlier_columns] = x[0, q.outlier_columns].astype(np.float16)
    return [
        Step("outliers", "|x| >= 6", ", ".join(map(str, q.outlier_columns.tolist())) or "none"),
        Step("absmax", "max |x| of the others", number(q.absmax[0])),
        *value_steps(x[0], texts, back),
    ]


CARD = Card(
    name="llm_int8",
    title="LLM.int8(): rows in 8 bits, outlier columns in 16",
    bits_per_value=8.0,
    block_size=0,
    layout="codes i8 (rows, K), -127..127 | absmax f32 (rows,) | outlier columns f16",
    equation="x = code * absmax / 127",
    source="arXiv 2208.07339; bitsandbytes backends/default/ops.py, int8_vectorwise_quant",
    explain=_explain,
)
