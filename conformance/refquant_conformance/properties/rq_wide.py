"""RQ-10: sums of 48 bits are rescaled whole.

References
----------
tflite-micro, pull request 3598 (a sum of int16 x int8 that was cut to 32 bits).
"""

import numpy as np

from refquant_conformance.arithmetic.wide_matmul import wide_case
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial

__all__: list[str] = []


@prop("RQ-10", "wide_acc", ops=("wide_matmul",), catches="2.9 (TFLM 3598)",
      clause="operators.md section 4: modes of 48 bits")  # fmt: skip
def wide(trial: Trial) -> None:
    """Sums beyond 2^31 and 2^32 of 16-bit codes are rescaled with all of their bits."""
    rng = np.random.default_rng(trial.seed)
    cases = []
    for k, exponent in ((1024, 17), (4096, 19), (16384, 21)):
        a = np.full((4, k), 2**15 - 1)
        a[1] = -(2**15)
        a[2:] -= rng.integers(0, 2**12, (2, k))
        b = np.full((k, 5), 127)
        b[:, 1] = -127
        b[:, 3:] = rng.integers(-127, 128, (k, 2))
        scale = np.array([1.0, 1.0, 1.5, 1.25, 3.0])
        cases.append(wide_case(a, b, scale, a_scale=2.0**-exponent, y_scale=1.0))
    trial.expect(*cases)
