"""OP: layers that normalize rows: how far from the truth, and what a row without variance becomes.

References
----------
ONNX LayerNormalization-17, function body.
"""

import numpy as np

from refquant_conformance.arithmetic.layer_norm import norm_case
from refquant_conformance.error_models import em_layer_norm
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_CLAUSE = "ONNX LayerNormalization-17, function body: the variance is the mean of (X - Mean)^2"


@prop("OP-11", "layernorm_rsqrt", ops=("layer_norm",), clause=_CLAUSE, catches="2.8")
def normalized(trial: Trial) -> None:
    """Elements are within the bound, far from zero too; a row of one number becomes the bias."""
    random = np.random.default_rng(trial.seed)
    for count in (3, 16, 65, 768):
        x = random.normal(size=(5, count))
        x[1] += 1000  # a variance that squares of elements would hide
        x[2] *= 1e-4
        x[3] *= 1e4
        scale, bias = random.normal(size=count), random.normal(size=count)
        for given in (bias, None):
            _near(trial, norm_case(x, scale, given))
    bias = random.normal(size=64)
    for number in (0.0, 3.0, -1.5, 1000.5):  # whose sums are exact, so the mean is
        case = norm_case(np.full((2, 64), number), random.normal(size=64), bias)
        wanted = np.broadcast_to(case.inputs["bias"], (2, 64))
        seen = trial.outputs(case)["y"]
        if not np.array_equal(seen, wanted):
            trial.fail(case, f"64 times {number} become {seen.reshape(-1)[0]}, not the bias",
                       expected={"y": wanted}, observed={"y": seen})  # fmt: skip


def _near(trial: Trial, case: Case) -> None:
    x, scale = (case.inputs[name].astype(np.float64) for name in ("x", "scale"))
    bias = case.inputs.get("bias", np.zeros(len(scale))).astype(np.float64)
    epsilon = float(np.float32(float(str(case.params["epsilon"]))))
    d = x - x.mean(axis=-1, keepdims=True)
    true = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + epsilon) * scale + bias
    seen = trial.outputs(case)["y"].astype(np.float64)
    ratio = np.abs(seen - true) / em_layer_norm(x, scale, bias, epsilon)
    if seen.shape != true.shape or not (ratio <= 1).all():
        at = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        got, wanted = float(seen.reshape(-1)[at]), float(true.reshape(-1)[at])
        trial.fail(case, f"y[{at}] is {got}, the truth is {wanted}: {ratio.reshape(-1)[at]:.3g} "
                   f"times the bound", observed={"y": seen})  # fmt: skip
    trial.bounded("EM-LAYER-NORM", float(ratio.max()))
