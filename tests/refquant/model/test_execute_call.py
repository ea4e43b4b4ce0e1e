"""A call finds operands and parameters, absent ones too."""

import numpy as np

from refquant.model.execute_call import Call
from refquant.model.graph import Graph, Node, Quant, Value


def test_a_call_finds_what_its_node_names() -> None:
    values = {
        "x": Value("float32", (1,)),
        "w": Value("int8", (1,), Quant(0.5, 1)),
        "y": Value("float32", (1,)),
    }
    node = Node("n", "GRU", ("x", "w", ""), ("y",), {"hidden_size": 3})
    w = np.array([5], np.int8)
    g = Graph("g", ("x",), ("y",), values, (node,), {"w": w}, {}, {})
    call = Call(g, node, [np.ones(1, np.float32), w, None], "blas")
    assert call.weight(1).tolist() == [2.0], "codes become reals: (5 - 1) / 2"
    assert call.weight(0).tolist() == [1.0], "reals stay"
    assert call.optional(2) is None, "absent, named ''"
    assert call.optional(9) is None, "absent, not named"
    assert call.attributes("hidden_size", "direction") == {"hidden_size": 3}, "those that are there"
    assert not call.quantized, "the output is of reals"
