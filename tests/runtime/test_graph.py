"""The vocabulary of dtypes is the reference's."""

from refquant.model.graph import DTYPES as REFERENCE
from refquant_runtime.graph import DTYPE_RANGE, DTYPES, SUBBYTE


def test_dtypes_and_their_ranges_are_those_of_the_reference() -> None:
    assert set(DTYPES) == set(REFERENCE), "the same names"
    for name, (low, high) in DTYPE_RANGE.items():
        assert (low, high) == (REFERENCE[name].qmin, REFERENCE[name].qmax), f"range of {name}"
    narrow = {name: dtype.bits for name, dtype in REFERENCE.items() if dtype.bits < 8}
    assert narrow == SUBBYTE, "bits of the packed ones"
