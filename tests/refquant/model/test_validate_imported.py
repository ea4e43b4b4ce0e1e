"""Dtypes of section 10's operands: one each, and errors that name the operand."""

from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.validate import GraphError


def made(op: str, dtypes: list[Any], **options: Any) -> Any:
    b = Builder("g")
    names = [
        b.input(f"x{i}", (2,), dtype=d[0] if isinstance(d, tuple) else d,
                quant=d[1] if isinstance(d, tuple) else None)
        for i, d in enumerate(dtypes)
    ]  # fmt: skip
    return b.graph([b.node(op, names, name="y", **options)])


@pytest.mark.parametrize(
    ("op", "dtypes", "options", "what"),
    [
        ("Less", ["float32", "int32"], {}, "its inputs have one dtype"),
        ("Less", ["int8", "int8"], {}, "input 'x0' is float32 or int32 or uint8 without quant"),
        ("Less", [("uint8", Quant(1.0, 0))] * 2, {}, "names its contract"),
        ("And", ["float32", "uint8"], {}, "input 'x0' is uint8"),
        ("Where", ["int32", "int32", "int32"], {}, "input 'x0' is uint8"),
        ("Where", ["uint8", "float32", "int32"], {}, "one dtype"),
        ("Max", ["int32", "int32"], {}, "input 'x0' is float32"),
        ("Less", ["float32"] * 2, {"dtype": "float32"}, "the output is uint8"),
        ("Cast", ["float32"], {"attributes": {"to": 6}, "dtype": "float32"}, "output is int32"),
        ("Gather", ["float32", "float32"], {}, "input 'x1' is int32"),
        ("Gather", [("uint8", Quant(1.0, 0)), "int32"],
         {"dtype": "uint8", "quant": Quant(2.0, 0)}, "it moves codes"),
    ],
)  # fmt: skip
def test_what_is_refused(op: str, dtypes: Any, options: Any, what: str) -> None:
    with pytest.raises(GraphError, match=what):
        made(op, dtypes, **options)


def test_a_computed_table_of_codes_is_no_weight() -> None:
    from refquant.contracts import preset

    with pytest.raises(GraphError, match="beside a float32 activation is a constant"):
        made("Gather", [("uint8", Quant(1.0, 0)), "int32"], contract=preset("ort"))


def test_what_is_allowed() -> None:
    assert made("Equal", ["int32", "int32"]).values["y"].dtype == "uint8", "a truth"
    assert made("Gather", ["int32", "int32"]).values["y"].dtype == "int32", "moved"
    assert made("Where", ["uint8", "uint8", "uint8"]).values["y"].dtype == "uint8", "truths too"
    assert np.dtype(np.uint8).itemsize == 1, "a byte"
