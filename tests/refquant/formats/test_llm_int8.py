"""LLM.int8(): rows, outliers and products, by fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.llm_int8 import (
    CARD,
    DEQUANT_CONSTANTS,
    Int8Rows,
    dequantize,
    matmul,
    quantize,
)
from refquant_conformance.oracle import float32, round_exact
from tests.refquant.formats.codebook_inputs import many

FLAVOURS = tuple(DEQUANT_CONSTANTS)

WRONG_CONSTANT = Fraction("6.200124e-05")
"""bitsandbytes' PyTorch path (backends/default/ops.py) has this for 1 / 127^2 = 6.2000124..e-05: a
digit was lost, and every product is 18 millionths too large. By arXiv 2208.07339, section 3, and by
their CUDA kernel (6.200012e-05), it is wrong. Minimal input: accumulator 16129, both absmax 1."""


def exact_row(row: list[float], threshold: float, flavour: str) -> tuple[list[int], float]:
    kept = [0.0 if threshold and abs(v) >= threshold else v for v in row]
    a = max(map(abs, kept))
    if not a:
        return [0] * len(row), a
    if flavour == "bnb_torch":
        scale = float32(Fraction(float32(1 / Fraction(a))) * 127)
    else:
        scale = float32(127 / Fraction(a))
    products = [Fraction(float32(Fraction(v) * Fraction(scale))) for v in kept]
    return [round_exact(product, "half_even") for product in products], a


def ties(a: float) -> list[float]:
    """Halves that lie at or next to a tie of the row with this absmax."""
    near = np.array([(k + 0.5) * a / 127 for k in range(-127, 127, 9)], np.float16)
    return [a, *near.tolist(), *np.nextafter(near, np.float16(0)).tolist()]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("threshold", [0.0, 6.0])
def test_rows_are_those_of_the_exact_oracle(flavour: str, threshold: float) -> None:
    largest = [1.0, 127.0, 3.3, 5.99, 0.013, 6e-8, 60000.0, 2.0, 0.0]
    x = np.array([ties(a) for a in largest], np.float16)
    q = quantize(x, threshold=threshold, flavour=flavour)
    columns = [threshold > 0 and bool((np.abs(column) >= 6).any()) for column in x.T]
    for i, row in enumerate(x.tolist()):
        codes, a = exact_row(row, threshold, flavour)
        kept = [0 if column else c for c, column in zip(codes, columns, strict=True)]
        assert q.codes[i].tolist() == kept, f"row {i}"
        assert float(q.absmax[i]) == a, f"absmax {i}"
    assert q.outlier_columns.tolist() == np.flatnonzero(columns).tolist(), "columns"


def test_a_number_over_a_tensor_is_two_roundings_in_torch() -> None:
    """PyTorch's 127.0 / t is t.reciprocal() * 127: other codes than the quotient at some ties."""
    halves = np.arange(0x3C00, 0x4000, dtype=np.uint16).view(np.float16)  # [1, 2)
    x = np.stack([halves, *(halves * np.float16(k / 254) for k in range(1, 254, 2))], axis=1)
    by_torch = quantize(x, threshold=0.0, flavour="bnb_torch").codes
    by_cuda = quantize(x, threshold=0.0, flavour="bnb_cuda").codes
    i, k = np.argwhere(by_torch != by_cuda)[0]
    for flavour, codes in (("bnb_torch", by_torch), ("bnb_cuda", by_cuda)):
        expected, _ = exact_row(x[i].tolist(), 0.0, flavour)
        assert codes[i].tolist() == expected, f"{flavour}, row {i}, column {k}"


def test_outliers_are_by_element_in_the_absmax_and_by_column_in_the_codes() -> None:
    x = np.array([[1, 8, 2], [4, 5, 2]], np.float16)
    q = quantize(x, threshold=6.0, flavour="bnb_torch")
    assert q.absmax.tolist() == [2.0, 5.0], "5 is in an outlier column, and counts"
    assert q.codes.tolist() == [[64, 0, 127], [102, 0, 51]], "yet its code is 0"
    assert q.outlier_columns.tolist() == [1], "columns"


def test_the_threshold_is_compared_in_the_type_of_x() -> None:
    below = np.nextafter(np.float16(6), np.float16(0))
    x = np.array([[below, 6]], np.float16)
    assert quantize(x, threshold=6.0, flavour="bnb_torch").outlier_columns.tolist() == [1], ">="


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_special_rows(flavour: str) -> None:
    x = np.array([[0, -0.0], [math.inf, 1], [math.nan, 1], [6e-8, 0]], np.float16)
    q = quantize(x, threshold=0.0, flavour=flavour)
    codes = {"bnb_torch": [0, 0], "bnb_cuda": [0, 127]}[flavour]
    assert q.codes.tolist() == [[0, 0], [0, 0], codes, [127, 0]], "codes"
    absmax = q.absmax.tolist()
    assert absmax[:2] == [0.0, math.inf], "absmax"
    assert math.isnan(absmax[2]) == (flavour == "bnb_torch"), "NaN"
    assert np.isnan(dequantize(q)[1]).all(), "0 * inf"


def test_a_subnormal_row_saturates() -> None:
    x = np.array([[1e-45, -1e-45, 0]], np.float32)
    for flavour in FLAVOURS:
        codes = quantize(x, threshold=0.0, flavour=flavour).codes
        assert codes.tolist() == [[127, -127, 0]], f"{flavour}: 127 / 1e-45 is infinite"


def test_values_are_two_products() -> None:
    codes = np.arange(-127, 128, dtype=np.int8)
    for a in (1.0, 0.3, 1e-7):
        q = Int8Rows(codes[None], np.array([a], np.float32), np.zeros(0, np.int64))
        third = float32(Fraction(1, 127))
        for code, value in zip(codes.tolist(), dequantize(q)[0].tolist(), strict=True):
            product = float32(Fraction(code) * Fraction(float(np.float32(a))))
            assert value == float32(Fraction(product) * Fraction(third)), f"{code} * {a}"


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_a_product_is_that_of_the_exact_oracle(flavour: str, threshold: float) -> None:
    x = many(8, count=4 * 24).reshape(4, 24).astype(np.float16)
    weight = quantize(
        many(9, count=3 * 24).reshape(3, 24).astype(np.float16), threshold=0.0, flavour=flavour
    )
    y = matmul(x, weight, threshold=threshold, flavour=flavour)
    q = quantize(x, threshold=threshold, flavour=flavour)
    constant = Fraction(float32(Fraction(DEQUANT_CONSTANTS[flavour])))
    columns, w = q.outlier_columns.tolist(), dequantize(weight).tolist()
    assert bool(columns) == (threshold > 0), "the case has outliers"
    for i in range(4):
        for j in range(3):
            pairs = zip(q.codes[i].tolist(), weight.codes[j].tolist(), strict=True)
            total = Fraction(sum(a * b for a, b in pairs))
            a, b = Fraction(float(q.absmax[i])), Fraction(float(weight.absmax[j]))
            if flavour == "bnb_cuda":
                scaled = Fraction(float32(Fraction(float32(total * a)) * b))
            else:
                scaled = Fraction(float32(total * Fraction(float32(a * b))))
            part = Fraction(float32(scaled * constant))
            rest = sum(Fraction(float(x[i, k])) * Fraction(w[j][k]) for k in columns)
            assert float(y[i, j]) == float(np.float16(float(part + rest))), f"{i}, {j}"


def test_the_constant_of_torch_is_18_millionths_too_large() -> None:
    true = Fraction(1, 127**2)
    assert Fraction(str(DEQUANT_CONSTANTS["bnb_torch"])) == WRONG_CONSTANT, "as in their source"
    for flavour, excess in {"bnb_torch": 18e-6, "bnb_cuda": 0.0}.items():
        off = float(Fraction(str(DEQUANT_CONSTANTS[flavour])) / true - 1)
        assert abs(off - excess) < 0.1e-6, f"{flavour}: {off}"


def test_the_accumulator_is_exact_at_the_limit() -> None:
    """All codes 127, K = 133,144: 2,147,479,576 < 2^31; one more column and it is refused."""
    for k, fits in ((133_144, True), (133_145, False)):
        row = np.ones((1, k), np.float16)
        weight = quantize(row, threshold=0.0, flavour="bnb_cuda")
        if fits:
            total = weight.codes.astype(np.int32) @ weight.codes.T.astype(np.int32)
            assert int(total[0, 0]) == 127 * 127 * k, "no wrap"
            with np.errstate(over="ignore"):
                matmul(row, weight, threshold=0.0, flavour="bnb_cuda")
        else:
            with pytest.raises(ValueError, match="same K of at most 133144"):
                matmul(row, weight, threshold=0.0, flavour="bnb_cuda")


def test_bad_input_is_refused() -> None:
    x = np.ones((2, 3), np.float16)
    for bad in (x.astype(np.float64), x[0], x[:, :0]):
        with pytest.raises(ValueError, match="x must be float16 or float32 of shape"):
            quantize(bad, threshold=0.0, flavour="bnb_torch")
    for threshold in (-1.0, math.nan):
        with pytest.raises(ValueError, match="threshold must be at least 0"):
            quantize(x, threshold=threshold, flavour="bnb_torch")
    with pytest.raises(ValueError, match="flavour must be one of bnb_cuda, bnb_torch"):
        quantize(x, threshold=0.0, flavour="ort")


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([1, 7, -2], np.float32))
    assert [step.result for step in steps[:2]] == ["1", "2"], "the outlier's column, the absmax"
    assert "kept in 16 bits" in steps[3].how, "7 is an outlier"
