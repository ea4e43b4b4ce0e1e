"""QPS-14: observers count everything they see, and choose a range out of it.

References
----------
``docs/concepts/calibration.md``; PyTorch ``torch.ao.quantization.observer.HistogramObserver``.
"""

import numpy as np

from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__ = ["calibrate_case", "squared_error"]

_ERROR = ("mse_histogram", "histogram")  # what chooses by the squared error


def calibrate_case(scheme: str, x: Array) -> Case:
    """Return the case of an observer that sees the rows of ``x`` one after the other."""
    types = types_of("calibrate", scheme)
    return Case("calibrate", scheme, {"x": x.astype(np.float32)}, {}, types=types)


def squared_error(x: Array, low: float, high: float) -> float:
    """Return the squared error of 256 evenly spaced codes from ``low`` to ``high``.

    >>> squared_error(np.array([0.0, 1.0, 300.0]), 0.0, 255.0)
    2025.0
    """
    step = (high - low) / 255
    wide = x.astype(np.float64)
    if not step > 0:
        return float((wide**2).sum())
    codes = np.clip(np.rint((wide - low) / step), 0, 255)
    return float(((codes * step + low - wide) ** 2).sum())


@prop("QPS-14", "histogram_conserves", ops=("calibrate",), catches="calibrators",
      clause="docs/concepts/calibration.md: a histogram holds every element once")  # fmt: skip
def conserved(trial: Trial) -> None:
    """Every element is counted; the range lies in the data's, and costs no more than all of it."""
    rng = np.random.default_rng(trial.seed)
    x = rng.standard_normal((4, 1 << 15)).astype(np.float32)
    x[1, 7], x[3, 9] = 7.0, -6.5  # far out: to keep them costs more than to cut them off
    for data in (x[:1, :1000], x, np.abs(x[:2])):
        case = calibrate_case(trial.scheme, data)
        made = trial.outputs(case)
        low, high, count = (float(made[name]) for name in ("low", "high", "count"))
        if count != data.size:
            trial.fail(case, f"{count:.0f} elements are counted of {data.size}")
        smallest, largest = min(float(data.min()), 0.0), max(float(data.max()), 0.0)
        if not smallest <= low <= high <= largest:
            trial.fail(case, f"[{low}, {high}] of data in [{smallest}, {largest}]")
        if data is x and trial.scheme in _ERROR:
            ours, all_of_it = (squared_error(data, *r) for r in ((low, high), (smallest, largest)))
            if ours > all_of_it:
                trial.fail(case, f"[{low}, {high}] costs {ours:.4g}, the whole {all_of_it:.4g}")
