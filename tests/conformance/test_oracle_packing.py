"""The oracle of packing, by hand."""

from refquant_conformance.oracle_packing import pack_exact, unpack_exact


def test_three_bits_straddle_bytes() -> None:
    """0 1 2 ... 7 from the lowest bit up: 111 110 101 100 011 010 001 000 is fac688."""
    codes = list(range(8))
    assert pack_exact(codes, num_bits=3, order="low_first").hex() == "88c6fa", "lowest first"
    assert pack_exact(codes, num_bits=3, order="high_first").hex() == "053977", "highest first"
    assert pack_exact(codes, num_bits=3, order="words32").hex() == "88c6fa00", "a word of ten"


def test_four_bits_in_every_order() -> None:
    codes = [0, 1, 2, 3, 4, 5, 6, 7]
    assert pack_exact(codes, num_bits=4, order="low_first").hex() == "10325476", "low first"
    assert pack_exact(codes, num_bits=4, order="awq").hex() == "20643175", "0x75316420"
    halves = pack_exact(list(range(16)) * 2, num_bits=4, order="halves").hex()
    assert halves == "00112233445566778899aabbccddeeff", "halves"


def test_what_was_packed_is_read() -> None:
    for order in ("low_first", "high_first", "halves", "awq"):
        codes = [(7 * k + 3) % 16 for k in range(13)]
        data = pack_exact(codes, num_bits=4, order=order)
        assert unpack_exact(data, num_bits=4, count=13, order=order) == codes, order
