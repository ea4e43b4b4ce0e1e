"""The verdicts: a closed set; which are red."""

from refquant_conformance.verdict import RED, VERDICTS, Cell


def test_the_set_is_closed_and_red_is_a_part_of_it() -> None:
    assert len(set(VERDICTS)) == len(VERDICTS) == 11, f"{VERDICTS}"
    assert set(VERDICTS) >= RED, f"{RED - set(VERDICTS)}"
    assert "UNSUPPORTED" not in RED, "who does not compute does not fail"


def test_a_line_is_red_where_its_verdict_is() -> None:
    for verdict in VERDICTS:
        cell = Cell("QDQ-02", "quantize_linear", "f32_u8", verdict)
        assert cell.red == (verdict in RED), f"{verdict}"
