"""Which `FakeQuantize` nodes mean something: docs/spec/operators.md, section 8.

The settings by `refquant.ops.fake_quantize_rules`, as the operator itself asks for them; here in
addition that a static scale is a constant, and that integers have a contract that quantizes
symmetrically. One without rounding of reals (``nan = "error"``) is the user's choice.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant.formats.parameters import refusal
from refquant.model.graph import Attribute, Graph, Node
from refquant.ops.fake_quantize_rules import INTEGERS, check_rules, mixes

__all__ = ["check_fake_quantize", "mixes_samples", "needs_contract"]

_SMALLEST_NORMAL = 2.0**-126


def check_fake_quantize(graph: Graph, node: Node) -> None:
    """Refuse settings that mean nothing and a scale that is none; shapes were checked before."""
    scale = (*node.inputs, "")[1]
    check_rules(**_settings(node), clip_ratio=_number(node.attributes.get("clip_ratio", 1.0)))
    if scale:
        array = graph.constants.get(scale)
        if array is None or not (np.isfinite(array).all() and (array >= _SMALLEST_NORMAL).all()):
            raise ValueError(
                f"the scale {scale!r} is a constant, finite and at least 2^-126; make it one"
            )
    if node.contract is not None:
        contract = graph.contracts[node.contract]
        dtype = str(node.attributes["format"])
        if reason := refusal(dtype=dtype, symmetric=True, contract=contract):
            raise ValueError(reason)


def needs_contract(node: Node) -> bool:
    """Say whether ``node`` rounds to integers: the float formats say themselves how they round."""
    return node.op == "FakeQuantize" and node.attributes.get("format") in INTEGERS


def mixes_samples(node: Node) -> bool:
    """Say whether what the valid ``node`` gives for a sample depends on those beside it."""
    return node.op == "FakeQuantize" and mixes(**_settings(node))


def _settings(node: Node) -> Mapping[str, Any]:
    threshold = node.attributes.get("threshold")
    return {
        "format": str(node.attributes["format"]),
        "granularity": str(node.attributes["granularity"]),
        "static": bool((*node.inputs, "")[1]),
        "threshold": None if threshold is None else _number(threshold),
    }


def _number(value: Attribute) -> float:
    assert isinstance(value, int | float), "check_signature: it is a float"
    return float(value)
