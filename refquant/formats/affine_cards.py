r"""The cards of the integer formats: int8 and kin, by the contract one names.

The values given are the whole tensor: their range gives the scale, the scale gives the codes.
Signed codes are explained symmetric, as weights are; unsigned codes asymmetric, as activations are:

.. math::

    q = \operatorname{clamp}(\operatorname{round}(x \oslash s) + z), \qquad
    \hat x = (q - z) s                                                            \tag{1}

References
----------
``docs/concepts/affine.md``, ``docs/concepts/contracts.md``.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.affine import choose_qparams, dequantize, quantize
from refquant.formats.card import Card, Step, number, value_steps
from refquant.numerics.ranges import dtype_range

__all__ = ["CARDS", "INTEGER_DTYPES", "integer_card"]

F32 = NDArray[np.float32]

INTEGER_DTYPES = (
    "int2",
    "int3",
    "int4",
    "int8",
    "int16",
    "uint2",
    "uint3",
    "uint4",
    "uint8",
    "uint16",
)


def integer_card(dtype: str, contract: Contract) -> Card:
    """Return the card of an integer dtype, its values encoded by ``contract``.

    >>> card = integer_card("int8", preset("onnx"))
    >>> print(card.explain(np.array([0.5, -1.0], np.float32))[-1].result)
    -1 (error 0)
    """
    qmin, qmax = dtype_range(dtype)
    num_bits = (qmax - qmin).bit_length()
    signed = qmin < 0
    kind = "two's complement" if signed else "unsigned"
    how = "symmetric" if _symmetric(dtype, contract) else "asymmetric"
    return Card(
        name=dtype,
        title=f"{dtype}, {how}, contract {contract.name}",
        bits_per_value=float(num_bits),
        block_size=0,
        layout=f"{num_bits} bits, {kind}: {qmin} ... {qmax}\n"
        "a scale (float32) and a zero point for each block of a tensor",
        equation="x = (q - zero_point) * scale",
        source="docs/spec/operators.md, section 2; docs/concepts/contracts.md",
        explain=partial(_explain, dtype, contract),
    )


def _symmetric(dtype: str, contract: Contract) -> bool:
    """Signed codes are symmetric, unsigned are not, unless the contract knows only one of both."""
    only = {"none": False}.get(contract.symmetric_scale)
    if "none" in (contract.asymmetric_scale, contract.zero_point):
        only = True
    return dtype.startswith("int") if only is None else only


def _explain(dtype: str, contract: Contract, x: F32) -> Sequence[Step]:
    """Return the steps: range, scale, zero point, then each code."""
    x = np.asarray(x, np.float32)
    if x.size == 0 or not np.isfinite(x).all():
        got = f"{x[~np.isfinite(x)][0]}" if x.size else "none"
        raise ValueError(f"x: must be one finite value or more, to have a range; got {got}")
    symmetric = _symmetric(dtype, contract)
    low, high = x.min(), x.max()
    ruler = choose_qparams(low, high, dtype=dtype, symmetric=symmetric, contract=contract)
    codes = quantize(x, ruler, contract=contract)
    width = (ruler.full_range[1] - ruler.full_range[0]).bit_length()
    with np.errstate(over="ignore"):
        quotients = x.astype(np.float64) / np.float64(ruler.scale)
    texts = [
        f"{number(v)} marks -> {int(q)} = 0b{int(q) & ((1 << width) - 1):0{width}b}"
        for v, q in zip(quotients, codes, strict=True)
    ]
    qmin, qmax = ruler.code_range
    rule = contract.symmetric_scale if symmetric else "(max - min) / (qmax - qmin)"
    division = {"reciprocal_f32": "x * (1 / scale)"}.get(contract.scale_op, "x / scale")
    return [
        Step("range", "min, max of the values", f"{number(low)}, {number(high)}"),
        Step("codes", f"{dtype} of contract {contract.name}", f"{qmin} ... {qmax}"),
        Step("scale", rule, number(ruler.scale)),
        Step("zero point", "the code of 0.0", number(ruler.zero_point)),
        Step(
            "rounding",
            f"{division}, {contract.rounding}; zero point {contract.zero_point_at}",
            f"clamp {contract.clamp}",
        ),
        *value_steps(x, texts, dequantize(codes, ruler)),
    ]


CARDS: tuple[Card, ...] = tuple(integer_card(dtype, preset("onnx")) for dtype in INTEGER_DTYPES)
