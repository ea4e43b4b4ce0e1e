"""A language model that can be computed by hand: the scores of the next token are a table's row."""

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.graph import Graph


def next_token(table: Any, *, name: str = "logits") -> Graph:
    """Row t of ``table`` are the scores of what follows token t."""
    b = Builder("next_token")
    rows = b.constant("table", np.array(table, np.float32))
    return b.graph(
        [b.node("Gather", [rows, b.input("input_ids", ("N", "T"), dtype="int32")], name=name)]
    )


def surprise(scores: NDArray[np.float32], target: int) -> Decimal:
    """-log of the softmax, to 40 digits."""
    with localcontext(prec=50):
        exact = [Decimal(float(score)) for score in scores]  # a float32 is a Decimal exactly
        return sum((score.exp() for score in exact), Decimal(0)).ln() - exact[target]


BOUND = Decimal(128) / 2**53
r"""How far one float64 surprise may be from the exact one, for |scores| <= 16 and V <= 8.

Each score minus the largest: 2^-53 of at most 32, so exp is off by 32 roundings, and 2 of its own;
the sum of 8 adds 7, the logarithm as many in its result and 4 of its size <= 2.1; the last
difference 35 of its size. Together less than 128 roundings of 2^-53.
"""
