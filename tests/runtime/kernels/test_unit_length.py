"""The inverse root of the runtime is the reference's, for every kind of sum."""

import numpy as np

from refquant.ops.l2_normalization import inverse_root
from refquant_runtime.kernels import unit_length


def test_inverse_roots() -> None:
    rng = np.random.default_rng(3)
    powers = [2**k + d for k in range(1, 32) for d in (-1, 0, 1) if 0 <= 2**k + d < 2**31]
    spread = (2.0 ** rng.uniform(0, 31, 300)).astype(np.int64).tolist()
    for a in (*range(600), *powers, *spread):
        found = tuple(int(v) for v in unit_length.inverse_root(a))
        assert found == inverse_root(a), f"of {a}"
