"""Alignment and names, at their edges."""

from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.layout import (
    ALIGNMENT,
    ALIGNMENT_KEY,
    MAGIC,
    MAX_KEY,
    aligned,
    alignment_of,
    check_key,
)


def test_the_constants_are_those_of_gguf() -> None:
    assert int.from_bytes(MAGIC, "little") == outsider.GGUF_MAGIC, f"{MAGIC!r}"
    assert int(ALIGNMENT) == outsider.GGUF_DEFAULT_ALIGNMENT, f"{ALIGNMENT}"
    assert outsider.KEY_GENERAL_ALIGNMENT == ALIGNMENT_KEY, ALIGNMENT_KEY


def test_aligned_is_the_next_multiple() -> None:
    for step in (1, 2, 32, 2**31):
        for offset in (0, 1, step - 1, step, step + 1, 2**70):
            end = aligned(offset, step)
            assert end % step == 0, f"{offset} to {step}: {end}"
            assert 0 <= end - offset < step, f"{offset} to {step}: {end}"


@pytest.mark.parametrize("power", range(32))
def test_every_power_of_two_is_an_alignment(power: int) -> None:
    assert alignment_of(np.uint32(2**power)) == 2**power, f"2^{power}"


@pytest.mark.parametrize("value", [np.uint32(0), np.uint32(3), np.uint32(33), np.int32(32),
                                   np.uint64(32), "32", 32, np.array([32], np.uint32)],
                         ids=repr)  # fmt: skip
def test_other_alignments_are_refused(value: Any) -> None:
    with pytest.raises(GgufError, match="a power of two") as caught:
        alignment_of(value, offset=5)
    assert (caught.value.code, caught.value.offset) == ("bad_alignment", 5), f"{caught.value}"


def test_keys_have_1_to_65535_bytes() -> None:
    check_key("k" * MAX_KEY)
    check_key("ü" * (MAX_KEY // 2))
    for key in ("", "k" * (MAX_KEY + 1), "ü" * (MAX_KEY // 2 + 1), "a\0"):
        with pytest.raises(GgufError, match="1 to 65535 bytes"):
            check_key(key)
