"""Windows cut out of an image see what they saw in it."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.geometry import Geometry, cut_out, geometry
from refquant_conformance.protocol import Case


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (2, 1, 0, 1), (1, 0, 1, 0)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 1)])
def test_a_window_cut_out_is_the_window(
    pads: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> None:
    x = np.arange(42).reshape(1, 1, 6, 7)
    params = {"pads": pads, "strides": strides, "dilations": dilations}
    case = Case("qlinear_conv", "u8_i8", {"x": x}, params)
    window = geometry(case, (2, 3))
    assert window.window().output == window.output, "the reference counts other outputs"
    for at in np.ndindex(window.output):
        if not any(window.places(at)) and (0, 0) not in window.places(at):
            continue  # nothing but padding: see the next test
        alone = cut_out(case, x, window, at)
        inside = geometry(alone, (2, 3))
        assert inside.output == (1, 1), f"{at}: {inside}"
        wanted = [None if p is None else x[0, 0][p] for p in window.places(at)]
        part = alone.inputs["x"][0, 0]
        seen = [None if p is None else part[p] for p in inside.places((0, 0))]
        assert seen == wanted, f"{at}: {seen}, not {wanted}"


def test_a_window_of_padding_alone_keeps_the_image() -> None:
    window = Geometry((2, 2), (1, 1), (1, 1), (1, 0, 0, 0), (1, 1))
    case = Case("qlinear_conv", "u8_i8", {"x": np.ones((1, 1, 2, 2))}, {})
    assert cut_out(case, case.inputs["x"], window, (0, 0)).inputs["x"].shape == (1, 1, 2, 2), "cut"
