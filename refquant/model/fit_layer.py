r"""A layer's matrix to codes, by the algorithms that start from nearest rounding or its rulers.

What a recipe says, as the arguments that `refquant.algorithms` takes: ::

    rounded     rtn                                   the matrix
    kquant      scale and minimum search              and, with importance, diag(H) / 2
    adaround    up or down, from rounded's rulers     and H

with H the Hessian of the inputs, 2/T times the sum of :math:`x x^T`, so that
:math:`H_{jj} / 2` is the mean square of input j.

References
----------
`refquant.algorithms.rtn`, ``kquant``, ``adaround``, and the sources named there.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.adaround_weight import adaround_weight
from refquant.algorithms.clipping import mse_grid
from refquant.algorithms.hessian import Hessian
from refquant.algorithms.kquant import kquant
from refquant.algorithms.rtn import Clip, min_max, rtn
from refquant.algorithms.weight import QuantizedWeight
from refquant.contracts import Contract
from refquant.model.recipe_rules import Weights

__all__ = ["adaround_layer", "clip_of", "kquant_layer", "rounded", "seen_by_gptq"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Found = tuple[QuantizedWeight, dict[str, Any]]


def clip_of(rules: Weights, contract: Contract) -> Clip:
    """Return the function from groups to their ranges that ``rules.observer`` names.

    >>> from refquant.contracts import preset
    >>> clip_of(Weights(), preset("ort")) is min_max
    True
    """
    if rules.observer == "minmax":
        return min_max
    return partial(mse_grid, dtype=rules.dtype, symmetric=rules.symmetric, contract=contract,
                   grid=100, max_shrink=0.8, norm=2.4)  # fmt: skip


def rounded(w: F32, rules: Weights, size: int, contract: Contract) -> QuantizedWeight:
    """Return ``w`` (n, k), float32, rounded to nearest in groups of ``size``.

    >>> from refquant.contracts import preset
    >>> rounded(np.float32([[1, 7]]), Weights(bits=4), 2, preset("ort")).codes.tolist()
    [[1, 7]]
    """
    clip = clip_of(rules, contract)
    return rtn(w, group_size=size, dtype=rules.dtype, symmetric=rules.symmetric,
               contract=contract, clip=clip)  # fmt: skip


def seen_by_gptq(h: F64, count: int) -> dict[str, Any]:
    """Return what a record says of the ``count`` tokens that made ``h`` (k, k).

    A column that is 0 in all of them gets weights 0, and the record says how many ``dead`` ones
    there are. `ValueError` if all are: a layer of zeros would be a bad model, made in silence.

    >>> seen_by_gptq(np.diag([2.0, 0.0]), 8)
    {'tokens': 8, 'dead': 1}
    """
    dead = int((np.diag(h) == 0).sum())
    if dead == len(h):
        raise ValueError(
            f"all inputs are 0 in all {count} tokens of the calibration, and GPTQ would make all "
            "weights 0; calibrate with data that reach this layer, or exclude it by an override"
        )
    return {"tokens": count, "dead": dead} if dead else {"tokens": count}


def kquant_layer(w: F32, rules: Weights, size: int, hessian: Hessian | None) -> Found:
    """Return ``w`` (n, k) by `kquant`; ``hessian`` is that of its inputs if they have a say.

    >>> rules = Weights(4, False, "group", 2, algorithm="kquant", kquant={"importance": False})
    >>> kquant_layer(np.float32([[0, 15]]), rules, 2, None)[0].codes.tolist()
    [[0, 15]]
    """
    assert rules.kquant is not None, "Weights sets it"
    h = None
    if rules.kquant.importance:
        assert hessian is not None, "it needs data"
        squares = np.diag(hessian.matrix()) / 2
        # Their unit is kquant's to choose: a power of two, so that no square is beyond float32.
        h = np.ldexp(squares, -np.frexp(squares.max())[1]).astype(np.float32)
    q = kquant(
        w, num_bits=rules.bits, group_size=size, importance=h, settings=rules.kquant.settings()
    )
    return q, {} if hessian is None else {"tokens": hessian.count}


def adaround_layer(
    w: F32, rules: Weights, size: int, contract: Contract, hessian: Hessian | None
) -> Found:
    """Return ``w`` (n, k) by `adaround_weight`, and how many of its codes are not the nearest.

    >>> from refquant.contracts import preset
    >>> rules = Weights(4, algorithm="adaround", adaround={"iterations": 1})
    >>> h = Hessian(2).update(np.float32([[1, 1]]))
    >>> adaround_layer(np.float32([[1, 7]]), rules, 2, preset("ort"), h)[1]["changed"]
    0.0
    """
    assert hessian is not None, "it needs data"
    assert rules.adaround is not None, "Weights sets it"
    nearest = rounded(w, rules, size, contract)
    q, changed = adaround_weight(w, hessian.matrix(), nearest, rules.adaround.settings())
    return q, {"changed": changed, "tokens": hessian.count}
