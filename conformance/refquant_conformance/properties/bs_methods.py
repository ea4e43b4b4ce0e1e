"""BS-14: what methods of quantization keep, whatever codes they choose.

References
----------
Frantar et al., "GPTQ", 2022, eq. (2); Lin et al., "AWQ", 2023, eq. (4); Xiao et al.,
"SmoothQuant", 2022, eq. (3); Ashkboos et al., "QuaRot", 2024, section 3.
"""

import numpy as np

from refquant_conformance.error_models import em_dot_seq
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__ = ["gptq_case"]

_ROWS, _COLUMNS = 8, 32
_CLAUSE = "GPTQ eq. (2), AWQ eq. (4), SmoothQuant eq. (3), QuaRot section 3"


def gptq_case(w: Array, h: Array, *, act_order: int = 0) -> Case:
    """Return the case of a weight and a Hessian."""
    inputs: dict[str, Array] = {"w": w.astype(np.float32), "h": h.astype(np.float64)}
    types = types_of("gptq_quantize", "i4")
    return Case("gptq_quantize", "i4", inputs, {"act_order": act_order}, types=types)


@prop("BS-14", "gptq_awq_invariants", ops=("gptq_quantize", "scale_channels", "rotate"),
      clause=_CLAUSE, catches="algorithms")  # fmt: skip
def invariants(trial: Trial) -> None:
    """Without correlations a method rounds to nearest; what it moves about, it can move back."""
    rng = np.random.default_rng([trial.seed, 14])
    if trial.op == "gptq_quantize":
        _nearest_alone(trial, rng)
        _better_together(trial, rng)
        _any_order(trial, rng)
    elif trial.op == "scale_channels":
        _same_products(trial, rng)
    else:
        _orthonormal(trial)


def _codes(trial: Trial, case: Case) -> tuple[Array, Array]:
    made = trial.outputs(case)
    y, scale = made["y"].astype(np.float64), made["scale"].astype(np.float64)
    return y, np.repeat(scale, -(-y.shape[1] // scale.shape[1]), axis=1)[:, : y.shape[1]]


def _nearest_alone(trial: Trial, rng: np.random.Generator) -> None:
    """With the Hessian c I every code is a nearest one."""
    w = rng.standard_normal((_ROWS, _COLUMNS)).astype(np.float32)
    case = gptq_case(w, 2.0 * np.eye(_COLUMNS))
    y, scale = _codes(trial, case)
    # The largest code ends the range: what is beyond is cut off; a quotient has two roundings.
    reach = np.clip(w, -8 * scale, 7 * scale)
    lost = np.abs(y * scale - reach)
    wrong = lost > scale / 2 + np.abs(w) * 2.0**-22
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        told = w[row, column], int(y[row, column]), scale[row, column]
        trial.fail(case, f"H = 2 I, and {told[0]} has the code {told[1]} at the scale {told[2]}")


def _correlated(rng: np.random.Generator) -> tuple[Array, Array]:
    w = rng.standard_normal((_ROWS, _COLUMNS)).astype(np.float32)
    common = rng.standard_normal((256, 4)) @ rng.standard_normal((4, _COLUMNS))
    x = common + 0.1 * rng.standard_normal((256, _COLUMNS))
    return w, x.T @ x


def _better_together(trial: Trial, rng: np.random.Generator) -> None:
    """With columns that move together the loss on the calibration data is below rounding's."""
    w, h = _correlated(rng)
    case = gptq_case(w, h)
    y, scale = _codes(trial, case)
    nearest = np.clip(np.rint(w / scale), -8, 7)
    ours, plain = (float(np.einsum("ri,ij,rj->", d, h, d)) for d in
                   (y * scale - w, nearest * scale - w))  # fmt: skip
    if ours > plain:
        trial.fail(case, f"the loss is {ours:.4g}, that of rounding to nearest {plain:.4g}")


def _any_order(trial: Trial, rng: np.random.Generator) -> None:
    """In the order of the diagonal, columns that come in another order have the same codes."""
    w, h = _correlated(rng)
    h = h + np.diag(np.arange(1.0, _COLUMNS + 1))
    order = rng.permutation(_COLUMNS)
    one, _ = _codes(trial, gptq_case(w, h, act_order=1))
    turned = gptq_case(w[:, order], h[np.ix_(order, order)], act_order=1)
    other, _ = _codes(trial, turned)
    differing = int((one[:, order] != other).sum())
    # The factor of a permuted matrix is computed in another order: a tie may fall otherwise.
    if differing > one.size // 100:
        trial.fail(turned, f"{differing} of {one.size} codes are others when columns are turned")


def _same_products(trial: Trial, rng: np.random.Generator) -> None:
    """(x / s)(s w) is x w, but for one rounding of each weight."""
    w = rng.standard_normal((_ROWS, _COLUMNS)).astype(np.float32)
    x = (rng.standard_normal((16, _COLUMNS)) * np.exp2(rng.uniform(-6, 6, _COLUMNS))).astype("f4")
    types = types_of(trial.op, trial.scheme)
    case = Case(trial.op, trial.scheme, {"w": w, "x": x}, {}, types=types)
    made = trial.outputs(case)
    scale = made["scale"].astype(np.float64)
    if not (np.isfinite(scale) & (scale > 0)).all():
        trial.fail(case, f"a scale is {scale.min()}")
    products = x[:, None, :].astype(np.float64) * w
    moved = (x / scale)[:, None, :] * made["y"].astype(np.float64)
    bound = em_dot_seq(products[..., None]).sum(axis=-1) + 2.0**-40 * np.abs(products).sum(axis=-1)
    ratio = np.abs((moved - products).sum(axis=-1)) / bound
    if (ratio > 1).any():
        trial.fail(case, f"the product changes by {float(ratio.max()):.3g} times the bound")
    trial.bounded("EM-DOT-SEQ", float(ratio.max()))


def _orthonormal(trial: Trial) -> None:
    """For an even power of two the entries are dyadic: the matrix times its transpose is exact."""
    for n in (16, 64):
        types = types_of(trial.op, trial.scheme)
        eye = np.eye(n, dtype=np.float32)
        case = Case(trial.op, trial.scheme, {"x": eye}, {"inverse": 0}, types=types)
        q = trial.outputs(case)["y"]
        wide = q.astype(np.float64)
        if (np.abs(wide) != n**-0.5).any() or (wide @ wide.T != np.eye(n)).any():
            trial.fail(case, f"{n} unit vectors do not become orthonormal ones of equal entries")
        back = Case(trial.op, trial.scheme, {"x": q}, {"inverse": 1}, types=types)
        if (trial.outputs(back)["y"] != eye).any():
            trial.fail(back, "the inverse does not give the unit vectors back")
