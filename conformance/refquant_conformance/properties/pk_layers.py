"""PK-06, PK-09 and PK-10: zero points, byte orders, and metadata that must be believed.

References
----------
AutoGPTQ pull requests 325 and 354 (zero points of 0); AutoAWQ ``utils/packing_utils.py``; llm-awq
issue 91 and Quark pull request 30 (words in an order that the metadata denies).
"""

import numpy as np

from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.arithmetic.blocks import block_case, sane_blocks
from refquant_conformance.arithmetic.layers import GROUP, pack_layer, unpack_layer
from refquant_conformance.oracle_layers import stored_zero, weight_exact, word_exact
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__: list[str] = []

_PACK, _UNPACK = "layer_pack", "layer_unpack"
_CLAUSE = "GPTQModel utils/model.py (v1, v2), AutoAWQ packing_utils.py"
_IN, _OUT = 64, 32


def _words(codes: Array, *, awq: bool) -> Array:
    """Return rows of codes as rows of words, by the oracle."""
    rows = [
        [word_exact([int(c) for c in row[at : at + 8]], awq=awq) for at in range(0, row.size, 8)]
        for row in codes
    ]
    return np.array(rows, np.int64).astype(np.int32)


def _layer(trial: Trial, x: Array, zeros: Array, scales: Array, convention: str) -> Case:
    """Return the case of a layer that the oracle has packed."""
    if trial.scheme == "awq":
        words, stored = _words(x, awq=True), _words(zeros, awq=True)
    else:
        rule = np.vectorize(lambda z: stored_zero(int(z), convention))
        words, stored = _words(x.T, awq=False).T.copy(), _words(rule(zeros), awq=False)
    return unpack_layer(trial.scheme, words, stored, scales, convention)


@prop("PK-06", "zp_convention", ops=(_PACK, _UNPACK), clause=_CLAUSE, catches="2.6")
def zero_points(trial: Trial) -> None:
    """Zero points from 0 to 15 are stored and read one by one, and none borrows of another."""
    ramp = np.arange(_IN * _OUT).reshape(_IN, _OUT) * 7 // 3 % 16
    ends = np.where(np.arange(_OUT) % 2 == 0, 0, 15)
    if trial.op == _PACK:
        some = np.stack([np.arange(_OUT) % 15 + 1, np.full(_OUT, 15)])
        edges = (some, np.stack([ends, 15 - ends]), np.zeros((2, _OUT)))
        trial.expect(*(pack_layer(trial.scheme, ramp, zeros) for zeros in edges))
        return
    scales = np.full((_IN // GROUP, _OUT), 0.25)
    convention = "awq" if trial.scheme == "awq" else "v1"
    cases = []
    for zeros in (np.arange(2 * _OUT).reshape(2, _OUT) % 16, np.stack([ends, 15 - ends])):
        awq = trial.scheme == "awq"
        words = _words(ramp, awq=True) if awq else _words(ramp.T, awq=False).T.copy()
        stored = _words(zeros, awq=awq)
        cases.append(unpack_layer(trial.scheme, words, stored, scales, convention))
    trial.expect(*cases)


@prop("PK-09", "endianness", ops=("block_quantize", "block_dequantize", _UNPACK), catches="-",
      clause="ggml and the containers: the bytes of a number begin with the lowest")  # fmt: skip
def byte_order(trial: Trial) -> None:
    """Numbers in the other byte order are the same numbers, and bytes are bytes on any machine."""
    if trial.op == "block_dequantize":
        _lowest_first(trial)
        return
    if trial.op == "block_quantize":
        # Turned around, quarters are tiny numbers, which no encoder refuses as it would infinity.
        x = np.random.default_rng(trial.seed).integers(-32, 33, 512) / np.float32(4)
        case = block_case(trial.op, trial.scheme, x)
    else:
        zeros = np.full((2, _OUT), 8)
        ramp = np.arange(_IN * _OUT).reshape(_IN, _OUT) % 16
        name = "awq" if trial.scheme == "awq" else "v2"
        case = _layer(trial, ramp, zeros, np.full((2, _OUT), 0.5), name)
    turned = {n: a.astype(a.dtype.newbyteorder(">")) for n, a in case.inputs.items()}
    other = Case(case.op, case.scheme, turned, case.params, case.types)
    here, there = trial.ask_all([case, other])
    if there.result is None or here.result is None:
        trial.notes["ByteOrder"] = f"refused: {there.reason or here.reason}"
        return
    for name, array in there.result.outputs.items():
        wanted = here.result.outputs[name]
        if array.shape != wanted.shape or not same_bits(array, wanted).all():
            trial.fail(other, f"{name} is another of the same numbers in the other byte order")


def _lowest_first(trial: Trial) -> None:
    """Swap the two bytes of the scale: it must be another number than it was."""
    if trial.scheme not in ("q4_0", "q5_0", "q8_0", "iq4_nl"):
        trial.skip("speaks of scales that are halves at the front of a block")
    data = sane_blocks(trial.scheme, 4, trial.seed).reshape(4, -1)
    data[:, :2] = (0x00, 0x3C)  # 1.0, the lowest byte first
    one = trial.outputs(block_case(trial.op, trial.scheme, data.reshape(-1)))["y"]
    if (one != np.rint(one)).any() or np.abs(one).max() > 128:
        case = block_case(trial.op, trial.scheme, data.reshape(-1))
        trial.fail(case, "the bytes 00 3C are the scale 1.0, and are not read as that")


@prop("PK-10", "metadata_truth", ops=(_UNPACK,), clause=_CLAUSE, catches="2.6 (Quark 30)")
def metadata(trial: Trial) -> None:
    """What a checkpoint's metadata says is enough to read the weights that were written."""
    rng = np.random.default_rng(trial.seed)
    x, zeros = rng.integers(0, 16, (_IN, _OUT)), rng.integers(1, 16, (_IN // GROUP, _OUT))
    scales = np.exp2(rng.integers(-6, 3, zeros.shape)).astype(np.float32)
    for convention in ("awq",) if trial.scheme == "awq" else ("v2", "v1"):
        case = _layer(trial, x, zeros, scales, convention)
        y = trial.outputs(case)["y"]
        source = [
            [weight_exact(int(x[k, n]), int(zeros[k // GROUP, n]), float(scales[k // GROUP, n]))
             for n in range(_OUT)] for k in range(_IN)
        ]  # fmt: skip
        wrong = y != np.array(source, np.float32)
        if wrong.any():
            k, n = (int(i) for i in np.argwhere(wrong)[0])
            told = f"weight [{k}, {n}] was {source[k][n]}, and is read as {y[k, n]}"
            trial.fail(case, f"{convention}: {told}")
