"""The laws that ggml's simple block types keep beside the outsiders, gguf and libgguf.

Bytes are compared in every row of a corpus (``simple.py``). Where an outsider disagrees, the law
names the rows, says who is right by which text, and fails when the disagreement goes away.
"""

from collections.abc import Callable, Sequence
from types import ModuleType

import gguf
import libgguf
import numpy as np

from refquant.formats.ggml.types import ggml_type
from tests.refquant.formats.ggml.simple import (
    F32,
    U8,
    corpus,
    differing,
    expect_oracle,
    same_values,
    stacked,
)


def expect_program(
    module: ModuleType, program: Callable[[Sequence[float], str], bytes], flavour: str
) -> None:
    """The bytes of ``flavour`` are those of the scalar program, in blocks of 32."""
    rows = corpus(32, dense=flavour == "reference")
    ours = module.encode(stacked(rows), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), rows)


def expect_libgguf(
    module: ModuleType, type: str, rows: dict[str, F32], *, importance: F32 | None = None
) -> None:
    """libgguf writes our bytes, in all rows."""
    x, kind = stacked(rows), libgguf.GGMLQuantizationType[type]
    theirs = libgguf.quantize_rows(x, kind, imatrix=importance)
    ours = module.encode(x, importance=importance)
    assert differing(rows, ours, theirs) == set(), "libgguf, all rows"


def unlike_gguf(module: ModuleType, type: str, rows: dict[str, F32]) -> set[str]:
    """The names of the rows in which gguf does not write our bytes."""
    x = stacked(rows)
    with np.errstate(all="ignore"):
        theirs = gguf.quantize(x, gguf.GGMLQuantizationType[type])
    return differing(rows, module.encode(x), theirs)


def expect_gguf_but_for_a_zero_scale(module: ModuleType, type: str, rows: dict[str, F32]) -> None:
    """gguf writes our bytes but for the sign of d where all are zeros and -0.0 is the first.

    gguf 0.19 takes the first element of largest magnitude, so -0.0; C begins with +0.0 and keeps it
    (ggml-quants.c, quantize_row_q4_0_ref, quantize_row_q5_0_ref). No value differs.
    """
    minus_zero_first = {n for n, row in rows.items() if not row.any() and np.signbit(row[0])}
    unlike = unlike_gguf(module, type, rows)
    assert unlike == minus_zero_first, "gguf, all but the named rows"
    zeros = np.full((1, 32), -0.0, np.float32)
    theirs = gguf.quantize(zeros, gguf.GGMLQuantizationType[type])
    heads = [module.encode(zeros)[0, :2].tolist(), theirs[0, :2].tolist()]
    assert heads == [[0, 128], [0, 0]], "the smallest input: -0.0 here and in C, 0.0 in gguf"


def expect_gguf_but_for_zeros(module: ModuleType, type: str, rows: dict[str, F32]) -> None:
    """gguf writes our bytes but for the signs of zeros, where the least is a zero of both signs.

    C keeps the first zero (ggml-quants.c, quantize_row_q4_1_ref, quantize_row_q5_1_ref compare with
    <); gguf 0.19 takes NumPy's min and max, which return either, so that m may be the other zero,
    and d = 0 - 0 may be -0.0. No value differs.
    """
    both_zeros = {
        name
        for name, row in rows.items()
        if row.min() == 0 and len(set(np.signbit(row[row == 0]).tolist())) == 2
    }
    unlike = unlike_gguf(module, type, rows)
    assert unlike <= both_zeros, "gguf, all but the named rows"
    zeros = np.array([[0, -0.0] * 16, [-0.0, 0] * 16], np.float32)
    ours, theirs = module.encode(zeros), gguf.quantize(zeros, gguf.GGMLQuantizationType[type])
    assert ours[:, :4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 128]], "the first zero"
    assert not np.array_equal(ours, theirs), (
        "gguf no longer gives one sign to both orders: this law's exception has gone"
    )


def expect_importance_has_no_effect(module: ModuleType, rows: dict[str, F32]) -> None:
    """The bytes with an importance are those without it."""
    x = stacked(rows)
    weighted = module.encode(x, importance=np.ones(x.shape[1], np.float32))
    assert np.array_equal(weighted, module.encode(x)), "an importance has no effect"


def expect_decoded_as_outside(module: ModuleType, type: str, data: U8) -> None:
    """libgguf and gguf decode ``data``, one block a row, to our values, bit for bit."""
    ours, size = module.decode(data), ggml_type(type).block_size
    theirs = libgguf.dequantize_rows(data, libgguf.GGMLQuantizationType[type], n_per_row=size)
    assert same_values(ours, theirs), "libgguf"
    with np.errstate(invalid="ignore", over="ignore"):
        theirs = gguf.dequantize(data, gguf.GGMLQuantizationType[type])
    assert same_values(ours, theirs), "gguf"


def expect_ternary_weights(module: ModuleType) -> None:
    """-s, 0 and s come back as they were."""
    rng = np.random.default_rng(7)
    x = (rng.integers(-1, 2, (20, 512)) * 0.375).astype(np.float32)
    assert np.array_equal(module.decode(module.encode(x)), x), "the scale is the maximum"
