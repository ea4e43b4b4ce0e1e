"""Planted bugs of methods: of what has laws, and no bits that all must agree on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.mutants.mutant import Mutant, Run
from refquant_conformance.oracle_blocks import SIZES
from refquant_conformance.protocol import Array, Case, Result

__all__ = ["MUTANTS"]


def _seedless(case: Case, honest: Run) -> Result:
    """Always begin the same generator."""
    return honest(replace(case, params={**case.params, "seed": 7}))


def _upward(case: Case, honest: Run) -> Result:
    """Let chance have two draws, of which the upper one counts."""
    first = honest(case).outputs["y"]
    second = honest(replace(case, params={**case.params, "seed": 9})).outputs["y"]
    return Result({"y": np.maximum(first, second)})


def _far(case: Case, honest: Run) -> Result:
    """Add noise before rounding that reaches beyond the neighbours."""
    noise = np.random.default_rng(4).uniform(-1, 1, case.inputs["x"].shape)
    x = case.inputs["x"] * (1 + noise * 2.0**-2)
    held = honest(case).outputs["y"]
    seen = honest(replace(case, inputs={"x": x.astype(np.float32)})).outputs["y"]
    return Result({"y": held if case.params["seed"] == 3 else seen})


def _rows_lost(case: Case, honest: Run) -> Result:
    """Keep the histogram of the last batch alone."""
    return honest(replace(case, inputs={"x": case.inputs["x"][-1:]}))


def _widened(case: Case, honest: Run) -> Result:
    """Round the range outward to whole numbers."""
    made = dict(honest(case).outputs)
    return Result({**made, "low": np.floor(made["low"]), "high": np.ceil(made["high"])})


def _too_narrow(case: Case, honest: Run) -> Result:
    """Halve the range."""
    made = dict(honest(case).outputs)
    half = np.float32(0.5)
    return Result({**made, "low": made["low"] * half, "high": made["high"] * half})


def _other_halves(case: Case, honest: Run) -> Result:
    """Multiply the elements of even and odd places of a block that were read as its halves."""
    x = case.inputs["x"]
    wide = x.reshape(-1, x.shape[-1] // 32, 2, 16).swapaxes(2, 3)
    return honest(replace(case, inputs={**case.inputs, "x": wide.reshape(x.shape)}))


def _half_sums(case: Case, honest: Run) -> Result:
    """Sum in bfloat16 where there is more than one term."""
    y = honest(case).outputs["y"]
    alone = (case.inputs["x"] != 0).sum() <= case.inputs["x"].shape[0]
    cut = (y.view(np.uint32) & 0xFFFF0000).view(np.float32)
    return Result({"y": y if alone else cut})


def _coarse(case: Case, honest: Run) -> Result:
    """Write every other code only, in blocks of ordinary size."""
    elements, size = SIZES[case.scheme]
    made = honest(case).outputs["y"].copy()
    blocks = made.reshape(-1, size)
    largest = np.abs(case.inputs["x"]).reshape(-1, elements).max(axis=1)
    usual = (largest > 1e-2) & (largest < 5)  # those of other properties have more
    blocks[usual, 2:] &= 0xFE if case.scheme == "q8_0" else 0xEE
    return Result({"y": made})


def _uncorrected(case: Case, honest: Run) -> Result:
    """Push the error of a column the wrong way: of its mirror image, where columns go together."""
    h = case.inputs["h"]
    turned = 2 * np.diag(np.diag(h)) - h
    return honest(replace(case, inputs={**case.inputs, "h": turned}))


def _order_kept(case: Case, honest: Run) -> Result:
    """Leave the columns in the order in which they were rounded."""
    made = dict(honest(case).outputs)
    if not case.params.get("act_order"):
        return Result(made)
    order = np.argsort(-np.diag(case.inputs["h"]), kind="stable")
    return Result({**made, "y": np.ascontiguousarray(made["y"][:, order])})


def _floor(case: Case, honest: Run) -> Result:
    """Round down."""
    made = dict(honest(case).outputs)
    w, scale = case.inputs["w"].astype(np.float64), made["scale"].astype(np.float64)
    return Result({**made, "y": np.clip(np.floor(w / scale), -8, 7).astype(np.int8)})


def _both_ways(case: Case, honest: Run) -> Result:
    """Divide the weights by what the activations are divided by, too."""
    made = dict(honest(case).outputs)
    w: Array = case.inputs["w"]
    return Result({**made, "y": (w / made["scale"]).astype(np.float32)})


def _not_normal(case: Case, honest: Run) -> Result:
    """Divide by n where the inverse divides again."""
    y = honest(case).outputs["y"]
    return Result({"y": (y / np.sqrt(np.float32(y.shape[-1]))).astype(np.float32)})


def _no_inverse(case: Case, honest: Run) -> Result:
    """Take the first sixteen columns for all of them."""
    if not case.params.get("inverse") or case.inputs["x"].shape[-1] <= 16:
        return honest(case)
    y = honest(case).outputs["y"].copy()
    y[:, 16:] = np.roll(y[:, 16:], 1, axis=1)
    return Result({"y": y})


def _method(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    op: str,
    run: Callable[[Case, Run], Result],
    *schemes: str,
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, op, schemes, run)


_SMALL = ("f32_bf16", "f32_e4m3fn")
_OBSERVERS = ("percentile", "mse_histogram")
MUTANTS = (
    _method("seed_ignored", "the generator begins anew with each call", "-", "FF-12",
            "stochastic_cast", _seedless, *_SMALL),
    _method("upward", "chance prefers the upper neighbour", "-", "FF-12", "stochastic_cast",
            _upward, *_SMALL),
    _method("far_noise", "noise reaches beyond the neighbours", "-", "FF-12", "stochastic_cast",
            _far, *_SMALL),
    _method("last_batch", "of all batches the last is kept", "-", "QPS-14", "calibrate",
            _rows_lost, *_OBSERVERS),
    _method("widened_range", "the range is rounded outward", "-", "QPS-14", "calibrate", _widened,
            *_OBSERVERS),
    _method("halved_range", "the range is half as long as the best", "-", "QPS-14", "calibrate",
            _too_narrow, "mse_histogram"),
    _method("pairs_in_products", "a product takes pairs for halves", "2.6", "BS-06",
            "block_matmul", _other_halves, "q4_0", "q5_0", "mxfp4"),
    _method("bfloat16_sums", "products are summed in bfloat16", "2.9", "BS-06",
            "block_matmul", _half_sums, "q8_0", "q4_k", "nvfp4"),
    _method("every_other_code", "the encoder uses every other code", "2.7", "BS-07",
            "block_quantize", _coarse, "q4_0", "q8_0"),
    _method("error_pushed_back", "the error of a column moves the others the wrong way", "-",
            "BS-14", "gptq_quantize", _uncorrected, "i4"),
    _method("order_kept", "codes stay in the order in which they were found", "2.6", "BS-14",
            "gptq_quantize", _order_kept, "i4"),
    _method("rounded_down", "codes are rounded down", "2.3", "BS-14", "gptq_quantize", _floor,
            "i4"),
    _method("scaled_twice", "weights and activations are both divided", "-", "BS-14",
            "scale_channels", _both_ways, "awq", "smoothquant"),
    _method("not_orthonormal", "the transform divides by n", "-", "BS-14", "rotate", _not_normal,
            "f32"),
    _method("inverse_misses", "the inverse mixes up columns beyond the sixteenth", "-", "BS-14",
            "rotate", _no_inverse, "f32"),
)  # fmt: skip
