"""The oracle of layers: words by hand."""

from refquant_conformance.oracle_layers import field_exact, stored_zero, weight_exact, word_exact


def test_words_and_their_fields() -> None:
    fields = [15, 0, 9, 1, 2, 3, 4, 8]
    for awq in (False, True):
        word = word_exact(fields, awq=awq)
        assert -(2**31) <= word < 2**31, "an int32"
        assert [field_exact(word, i, awq=awq) for i in range(8)] == fields, "back"
    assert word_exact([0] * 7 + [8], awq=False) == -(2**31), "the highest bit is the sign"
    assert word_exact([1, 0, 2, 0, 0, 0, 0, 0], awq=True) == 0x21, "0 and 2 are neighbours"


def test_stored_zero_points() -> None:
    assert [stored_zero(z, "v1") for z in (0, 1, 15)] == [None, 0, 14], "0 has none"
    assert [stored_zero(z, "v1_wrap") for z in (0, 1, 15)] == [15, 0, 14], "modulo 16"
    assert weight_exact(0, 15, 0.1) == -1.5, "one rounding to float32, of 15 times float64 0.1"
