"""The steps of the IQ cards; each type's own test compares the values with ``decode``."""

import numpy as np
import pytest

from refquant.formats.ggml import iq1_s, iq3_s, iq4_xs
from refquant.formats.ggml.iq_card import padding_step


def test_padding_is_said_only_where_there_is_some() -> None:
    assert list(padding_step(np.ones(32, np.float32), block_size=32)) == [], "a whole block"
    (step,) = padding_step(np.ones(2, np.float32), block_size=256)
    assert (step.how, step.result) == ("2 values and 254 zeros", "256 values"), "what is added"


def test_steps_name_scale_sub_scales_groups_and_values() -> None:
    steps = iq3_s.CARD.explain(np.ones(33, np.float32))
    whats = [step.what for step in steps]
    groups = [f"group[{k}]" for k in range(9)]
    assert whats[:4] == ["padding", "d", "sub-scale[0]", "sub-scale[1]"], "two sub-blocks"
    assert whats[4:13] == groups, "nine groups of four for 33 values"
    assert whats[13:] == [f"x[{i}]" for i in range(33)], "and the values"


def test_ternary_steps_say_the_shift() -> None:
    steps = iq1_s.CARD.explain(np.array([1, -1, 0, 1], np.float32))
    assert any("1/8" in step.how for step in steps if step.what == "group[0]"), "up or down"


def test_a_card_refuses_more_than_a_block() -> None:
    with pytest.raises(ValueError, match="x: must be 1 to 256 values"):
        iq4_xs.CARD.explain(np.ones(257, np.float32))
