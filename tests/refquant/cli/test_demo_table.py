"""The table fits a terminal, and the sentence below it is true."""

from dataclasses import replace

import pytest

from refquant.cli.demo_table import HEADLINE, Row, print_rows, verdict

FLOAT = Row(
    scheme="float32",
    bytes=205_544,
    ratio=1.0,
    top1=91.35,
    top1_drop=0.0,
    sqnr_db=None,
    bit_exact=True,
    latency_ms=0.5,
    speedup=1.0,
    samples=2000,
    threads=(1, 2),
    isa="portable",
    differing=0,
    threads_differing=(),
)
INT8 = replace(
    FLOAT, scheme=HEADLINE, bytes=76_728, ratio=2.68, top1_drop=0.05, sqnr_db=26.4, speedup=2.14
)


def test_the_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    wide = replace(INT8, top1=10.0, top1_drop=-10.25, sqnr_db=99.5, latency_ms=123.456)
    print_rows([FLOAT, INT8, wide, replace(INT8, bit_exact=False, speedup=None)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80, "\n".join(lines)
    assert lines[3].split() == [
        *("float32", "205,544", "1.0x", "91.35", "0.00", "-", "yes", "0.500", "1.00x")
    ], lines[3]
    assert lines[4].split()[-6:] == ["91.35", "0.05", "26.4", "yes", "0.500", "2.14x"], lines[4]
    assert lines[5].split()[-2:] == ["123.5", "2.14x"], lines[5]
    assert lines[6].split()[-3:] == ["NO", "0.500", "-"], lines[6]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (INT8, "int8 per-channel is 2.7x smaller, 2.1x faster and loses 0.05 points of top-1."),
        (replace(INT8, speedup=0.5), "2.7x smaller, 2.0x slower and loses 0.05 points"),
        (replace(INT8, speedup=1.04), "2.7x smaller, as fast (1.0x) and loses"),
        (replace(INT8, speedup=0.97), "2.7x smaller, as fast (1.0x) and loses"),
        (replace(INT8, speedup=None), "is 2.7x smaller and loses 0.05 points"),
        (replace(INT8, top1_drop=-0.3), "and gains 0.30 points of top-1."),
        (replace(INT8, top1_drop=0.0), "and loses nothing of top-1."),
        (replace(INT8, ratio=0.5), "is 2.0x larger, "),
        (replace(INT8, ratio=1.0), "is as large (1.0x), "),
    ],
)
def test_the_verdict_says_what_the_row_says(row: Row, said: str) -> None:
    told = verdict([FLOAT, row])
    start = "All 2 schemes are bit-exact on 2,000 images with 1 and 2 threads; "
    assert told.startswith(start), told
    assert said in told, told
    assert "\n" not in told, "more than a line"


def test_without_the_headline_it_counts_only() -> None:
    one = replace(FLOAT, samples=1, threads=(1,))
    assert verdict([one]) == "The scheme is bit-exact on 1 image with 1 thread.", verdict([one])


def test_a_difference_is_the_verdict() -> None:
    wrong = replace(INT8, bit_exact=False, differing=12, threads_differing=(1, 2))
    told = verdict([FLOAT, wrong])
    assert told == f"NOT bit-exact: {HEADLINE} (12 of 2,000 images differ).", told
    wrong = replace(INT8, bit_exact=False, threads_differing=(2,))
    told = verdict([FLOAT, wrong])
    assert told == f"NOT bit-exact: {HEADLINE} (differs with 2 threads).", told
