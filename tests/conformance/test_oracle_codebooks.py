"""The oracle of codebooks: levels find themselves, and ends by both rules."""

from refquant_conformance.oracle_codebooks import code_exact, largest_exact


def test_the_extremes_and_zero() -> None:
    block = [4.0, -4.0, 0.0, 2.0, -0.0]
    assert largest_exact(block) == 4.0, "the magnitude"
    for literals in (False, True):
        codes = [code_exact("nf4", block, i, literals=literals) for i in range(5)]
        assert codes == [15, 0, 7, 12, 7], f"literals={literals}"
        codes = [code_exact("bnb_fp4", block, i, literals=literals) for i in range(4)]
        assert codes == [3, 11, 0, 5], f"1, -1, 0 and 1/2; literals={literals}"


def test_a_tiny_negative_of_fp4_has_a_sign_by_literals_alone() -> None:
    block = [1.0, -0.001, 0.001]
    assert code_exact("bnb_fp4", block, 1, literals=True) == 8, "the sign is a bit"
    assert code_exact("bnb_fp4", block, 1, literals=False) == 0, "the lower of two zeros"
    assert code_exact("bnb_fp4", block, 2, literals=False) == 8, "the upper of two zeros"
