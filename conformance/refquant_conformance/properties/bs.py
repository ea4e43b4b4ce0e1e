"""BS: what must hold of blocks that share scales.

Of types whose encoder searches, laws are asked: which bytes it chooses is its own matter. BS-06
(dot products of blocks) and BS-14 (algorithms) speak of what the catalogue does not have, BS-07 of
an optimum that has to be searched, BS-09 of codebooks that are encoded.

References
----------
ggml ``src/ggml-common.h`` and ``src/ggml-quants.c``; OCP Microscaling Formats 1.0.
"""

import numpy as np

from refquant.formats.ggml import codec
from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.arithmetic.blocks import block_case, blocks_of_bytes, sane_blocks
from refquant_conformance.oracle_blocks import SIZES
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_WRITE, _READ = ("block_quantize",), ("block_dequantize",)
_CLAUSE = "ggml src/ggml-common.h and src/ggml-quants.c: the structs and the reference loops"
_ROW = "ggml: a row is a multiple of the block"
_SIMPLE = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")


def _simple(trial: Trial) -> None:
    if trial.scheme not in _SIMPLE:
        trial.skip("speaks of types whose encoder is arithmetic")


def _drawn(trial: Trial, blocks: int) -> Array:
    """Return normal blocks, each with one element that is largest by far."""
    rng = np.random.default_rng(trial.seed)
    size = SIZES[trial.scheme][0]
    x = rng.standard_normal((blocks, size)).astype(np.float32)
    x[:, 3] = rng.choice([-8.0, 8.0, 6.5, -5.25], blocks)
    return x


def _written(trial: Trial, x: Array) -> Array:
    """Return the bytes of floats; a refusal fails."""
    case = block_case("block_quantize", trial.scheme, x.reshape(-1))
    return trial.outputs(case)["y"]


def _read(trial: Trial, data: Array) -> Array:
    with np.errstate(all="ignore"):
        y: Array = codec.decode(data, type=trial.scheme)
    return y


@prop("BS-01", "block_decode", ops=_READ, clause=_CLAUSE, catches="2.6, 2.10")
def decode(trial: Trial) -> None:
    """Blocks of random bytes mean what the layout says, sub-scales, minima and codebooks too."""
    blocks = [sane_blocks(trial.scheme, 6, trial.seed + 10 * k) for k in range(2)]
    trial.expect(*(block_case(trial.op, trial.scheme, data) for data in blocks))


@prop("BS-02", "max_not_clipped", ops=_WRITE, clause=_CLAUSE, catches="2.7 (mlx 4353)")
def largest(trial: Trial) -> None:
    """The largest element of a block comes back, but for the rounding of the scale to a half."""
    _simple(trial)
    x = _drawn(trial, 64)
    back = _read(trial, _written(trial, x)).reshape(x.shape)
    span = x.max(axis=1) - x.min(axis=1) if trial.scheme.endswith("1") else np.abs(x[:, 3])
    lost = np.abs(back[:, 3].astype(np.float64) - x[:, 3])
    wrong = lost > span.astype(np.float64) * 2.0**-9
    if wrong.any():
        at = int(np.argmax(wrong))
        case = block_case(trial.op, trial.scheme, x[at])
        trial.fail(case, f"the largest element {x[at, 3]} comes back as {back[at, 3]}")


@prop("BS-03", "zero_tiny_nan_block", ops=_WRITE, clause=_CLAUSE, catches="2.7 (flashinfer 2440)")
def zeros(trial: Trial) -> None:
    """A block of zeros comes back as zeros, and one tiny element makes nothing infinite."""
    size = SIZES[trial.scheme][0]
    nothing = np.zeros(size, np.float32)
    back = _read(trial, _written(trial, nothing))
    if back.any() or np.isnan(back).any():
        case = block_case(trial.op, trial.scheme, nothing)
        trial.fail(case, f"zeros come back as {back[:4].tolist()}")
    tiny = nothing.copy()
    tiny[5] = 2.0**-130
    answer = trial.ask(block_case(trial.op, trial.scheme, tiny))
    if answer.result is not None:
        back = _read(trial, answer.result.outputs["y"])
        if not np.isfinite(back).all() or np.abs(back).max() > 1e-6:
            case = block_case(trial.op, trial.scheme, tiny)
            trial.fail(case, f"2^-130 comes back as {back[np.argmax(np.abs(back))]}")
    tiny[5] = np.nan
    answer = trial.ask(block_case(trial.op, trial.scheme, tiny))
    if answer.result is not None:
        trial.notes["NaN"] = f"computed: byte 0 is {answer.result.outputs['y'][0]}"


@prop("BS-04", "scale_range", ops=(*_WRITE, *_READ), clause=_CLAUSE, catches="2.9 (ik 1659)")
def scale_range(trial: Trial) -> None:
    """Scales that no half holds, and halves that are infinite or NaN, go as the contract says."""
    if trial.op == "block_dequantize":
        data = blocks_of_bytes(trial.scheme, 8, trial.seed)
        if trial.scheme == "nvfp4":
            trial.skip("BS-10 speaks of its scales")
        trial.expect(block_case(trial.op, trial.scheme, data))
        return
    _simple(trial)
    x = _drawn(trial, 3) * np.array([[1e6], [2e6], [1e-7]], np.float32)
    trial.expect(*(block_case(trial.op, trial.scheme, row) for row in x))


@prop("BS-05", "kquant_scales", ops=_READ, clause=_CLAUSE, catches="2.6")
def packed_scales(trial: Trial) -> None:
    """Every scale of six bits, with every minimum of six bits, is read as the layout says."""
    at = {"q4_k": 4, "q5_k": 4, "q3_k": 96}.get(trial.scheme)
    if at is None:
        trial.skip("speaks of scales of six bits, packed")
    blocks = sane_blocks(trial.scheme, 512, trial.seed).reshape(512, -1)
    if trial.scheme == "q3_k":
        blocks = blocks[:64]
        for k in range(64):
            blocks[k, at : at + 12] = _three((np.arange(16) * 5 + k) % 64)
    else:
        scale, minimum = np.divmod(np.arange(4096), 64)
        for k in range(512):
            own = slice(8 * k, 8 * k + 8)
            blocks[k, at : at + 12] = _twelve(scale[own], minimum[own])
    trial.expect(block_case(trial.op, trial.scheme, blocks.reshape(-1)))


def _twelve(scale: Array, minimum: Array) -> Array:
    """Return eight scales and minima of six bits as the twelve bytes of Q4_K and Q5_K."""
    first, last = slice(0, 4), slice(4, 8)
    return np.concatenate(
        [
            scale[first] | scale[last] >> 4 << 6,
            minimum[first] | minimum[last] >> 4 << 6,
            scale[last] & 15 | (minimum[last] & 15) << 4,
        ]
    ).astype(np.uint8)


def _three(scale: Array) -> Array:
    """Return sixteen scales of six bits as the twelve bytes of Q3_K."""
    low = scale[:8] & 15 | (scale[8:] & 15) << 4
    high = sum(scale[4 * k : 4 * k + 4] >> 4 << 2 * k for k in range(4))
    return np.concatenate([low, high]).astype(np.uint8)


@prop("BS-08", "fma_independent", ops=_WRITE, clause=_CLAUSE, catches="2.10 (llama.cpp 25353)")
def contraction(trial: Trial) -> None:
    """Quotients next to ties have the code that the contract's sum gives, fused or not."""
    _simple(trial)
    if trial.arithmetic is None:
        trial.skip("its arithmetic is not known")
    trial.expect(*trial.arithmetic.probes(trial.scheme)[:1])


@prop("BS-10", "two_level", ops=_READ, clause=_CLAUSE, catches="2.7")
def small_scales(trial: Trial) -> None:
    """Every byte as a scale of FP4 means what its own format says, NaN and zero too."""
    if trial.scheme not in ("nvfp4", "mxfp4"):
        trial.skip("speaks of scales that are small floats")
    size = SIZES[trial.scheme][1]
    scales = 4 if trial.scheme == "nvfp4" else 1
    blocks = sane_blocks(trial.scheme, 256 // scales, trial.seed).reshape(-1, size)
    blocks[:, :scales] = np.arange(256, dtype=np.uint8).reshape(-1, scales)
    trial.expect(block_case(trial.op, trial.scheme, blocks.reshape(-1)))


@prop("BS-11", "tail_block", ops=(*_WRITE, *_READ), clause=_ROW, catches="2.10 (ik 951)")
def tail(trial: Trial) -> None:
    """A row that ends within a block is refused, or filled up; nothing of it is lost."""
    elements, size = SIZES[trial.scheme]
    if trial.op == "block_quantize":
        x: Array = np.ones(elements + elements // 2, np.float32)
    else:
        x = np.zeros(size + size // 2, np.uint8)
    case = block_case(trial.op, trial.scheme, x)
    (answer,) = trial.subject.ask([case])
    trial.cases += 1
    if answer.result is None:
        return
    made, whole = answer.result.outputs["y"].size, size if x.dtype.kind == "f" else elements
    if made <= whole:
        trial.fail(case, f"{x.size} of a block of {x.size * 2 // 3} give {made}: the rest is lost")
    trial.notes["Tail"] = f"{x.size} give {made}"


@prop("BS-12", "block_local", ops=(*_WRITE, *_READ), clause=_CLAUSE, catches="-")
def local(trial: Trial) -> None:
    """What is in one block changes the answer of that block alone."""
    elements, size = SIZES[trial.scheme]
    if trial.op == "block_quantize":
        x = _drawn(trial, 3)
        other = x.copy()
        other[0] *= np.float32(2.0**24)
        out = size
    else:
        x = sane_blocks(trial.scheme, 3, trial.seed).reshape(3, -1)
        other = x.copy()
        other[0] = sane_blocks(trial.scheme, 1, trial.seed + 5)
        out = elements
    cases: list[Case] = [block_case(trial.op, trial.scheme, v.reshape(-1)) for v in (x, other)]
    one, two = (trial.outputs(case)["y"] for case in cases)
    if not same_bits(one[out:], two[out:]).all():
        at = int(np.argmin(same_bits(one[out:], two[out:]))) + out
        trial.fail(cases[1], f"y[{at}] is {two[at]}, and {one[at]} with another first block")


@prop("BS-13", "sign_asymmetry", ops=_WRITE, clause=_CLAUSE, catches="2.10")
def signs(trial: Trial) -> None:
    """Of two largest elements of opposite signs the first counts, negated or not."""
    _simple(trial)
    x = _drawn(trial, 6)
    x[:, 3], x[:, 20] = 8.0, -8.0
    both = np.concatenate([x, -x])
    trial.expect(*(block_case(trial.op, trial.scheme, row) for row in both))
