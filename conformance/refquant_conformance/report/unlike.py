"""The first element in which a counterexample's answer is not what was expected, for people."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.wire import array_from_json

__all__ = ["first_unlike"]


def first_unlike(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first element that differs, as it is expected and as it is observed.

    Two empty texts where nothing is compared: a law was broken that no two arrays show.

    >>> wanted, got = ({"y": {"type": "uint8", "shape": [2], "hex": h}} for h in ("0002", "0003"))
    >>> first_unlike({"expected": wanted, "observed": got})
    ('y[1] = 2', 'y[1] = 3')
    """
    for name, wanted in found["expected"].items():
        got = found["observed"].get(name)
        if got is None or got["shape"] != wanted["shape"]:
            return _whole(name, wanted), "refused" if got is None else _whole(name, got)
        arrays = [array_from_json(o, name, o["type"]).reshape(-1) for o in (wanted, got)]
        same = same_bits(*arrays)
        if not same.all():
            index = int(np.argmin(same))
            place = f"{name}[{index}] = " if same.size > 1 or len(found["expected"]) > 1 else ""
            told = [f"{place}{array[index].item()!r}" for array in arrays]
            return told[0], told[1]
    return "", ""


def _whole(name: str, array: Mapping[str, Any]) -> str:
    return f"{name} of shape {array['shape']}"
