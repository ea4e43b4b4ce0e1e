"""The windows of a case: strides, pads, dilations and group, as convolutions and pools say them."""

from dataclasses import dataclass, replace

from refquant.ops.windows import Window, plan_window
from refquant_conformance import oracle_windows
from refquant_conformance.protocol import Array, Case

__all__ = ["Geometry", "cut_out", "geometry"]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """One window over images of ``size`` rows and columns.

    >>> Geometry((4, 4), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)).output
    (4, 4)
    """

    size: Pair
    kernel: Pair
    strides: Pair
    pads: tuple[int, int, int, int]
    dilations: Pair

    @property
    def output(self) -> Pair:
        """The rows and columns of the output, counted by the oracle."""
        return oracle_windows.output_size(
            self.size, self.kernel, self.strides, self.pads, self.dilations
        )

    def places(self, at: Pair) -> list[Pair | None]:
        """Return what output ``at`` sees, by the oracle."""
        return oracle_windows.places(
            at, self.size, self.kernel, self.strides, self.pads, self.dilations
        )

    def window(self, *, padded: bool = False) -> Window:
        """Return the window as the reference has it; ``padded`` if the pads were laid already."""
        pads, size = self.pads, self.size
        if padded:
            size = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3])
            pads = (0, 0, 0, 0)
        return plan_window(
            "window", size, kernel=self.kernel, strides=self.strides, pads=pads,
            dilations=self.dilations,
        )  # fmt: skip


def geometry(case: Case, kernel: tuple[int, ...]) -> Geometry:
    """Return the windows of a case; what it leaves out is ONNX's default.

    >>> import numpy as np
    >>> geometry(Case("qlinear_conv", "u8_i8", {"x": np.zeros((1, 1, 5, 4))}), (2, 2)).output
    (4, 3)
    """
    top, left, bottom, right = _numbers(case, "pads", (0, 0, 0, 0))
    rows, columns = case.inputs["x"].shape[2:]
    strides, dilations = (_numbers(case, name, (1, 1)) for name in ("strides", "dilations"))
    return Geometry(
        (rows, columns),
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (top, left, bottom, right),
        (dilations[0], dilations[1]),
    )


def _numbers(case: Case, name: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    given = case.params.get(name) or otherwise
    return tuple(int(v) for v in given)  # type: ignore[union-attr]  # a tuple, the catalogue says


def cut_out(case: Case, x: Array, window: Geometry, at: Pair) -> Case:
    """Return the case of the one window ``at``: the part of ``x`` it sees, and its padding.

    A window of nothing but padding cannot be cut out: then the case has all of ``x``.
    """
    seen, pads = [], []
    for axis in (0, 1):
        first = at[axis] * window.strides[axis] - window.pads[axis]
        last = first + window.dilations[axis] * (window.kernel[axis] - 1)
        seen.append(slice(max(first, 0), min(last + 1, window.size[axis])))
        pads.append((max(-first, 0), max(last + 1 - window.size[axis], 0)))
    part = x[:, :, seen[0], seen[1]]
    if not part.size:
        return replace(case, inputs={**case.inputs, "x": x})
    params = {
        **case.params,
        "strides": (1, 1),
        "pads": (pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
    }
    return replace(case, inputs={**case.inputs, "x": part}, params=params)
