"""X-17: what is saved and loaded computes the same bits, and a zero point that is lost is seen."""

from refquant_conformance.properties import PROPERTIES
from tests.conformance.planted import assert_killed, cell


def test_files_of_the_reference_compute_what_they_were_made_of() -> None:
    for op, scheme in (("qlinear_matmul", "u8_i8"), ("qlinear_softmax", "u8")):
        row = cell("reference:ort", PROPERTIES["X-17"], op, scheme, "ort")
        assert row is not None, f"{op}: says nothing"
        assert not row.red, f"{op} {scheme}: {row.detail}"


def test_a_model_that_lost_its_zero_point_is_found() -> None:
    assert_killed("X-17")


def test_who_saves_nothing_is_not_asked() -> None:
    assert cell("reference:ort", PROPERTIES["X-17"], "pack", "u4", "ort") is None, "no file says it"
