"""What is fed: every fault names the file and the input, and says what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_runtime import InputError
from refquant_runtime.feeds import check_feeds
from refquant_runtime.graph import Quant, Value

QUANT = Quant(np.float32(0.0625), np.int32(7), None)  # type: ignore[arg-type]  # as 0-d arrays
BLOCKS = Quant(np.ones((1, 2), np.float32), np.zeros((1, 2), np.int32), (1, 1))
VALUES = {
    "x": Value("x", "float32", (0, 2), True, None, None),
    "q": Value("q", "uint8", (0, 2), True, QUANT, None),
    "b": Value("b", "int8", (1, 2), False, BLOCKS, None),
}
VIEWS: dict[str, NDArray[Any]] = {
    "x": np.zeros((1, 2), np.float32),
    "q": np.zeros((1, 2), np.uint8),
    "b": np.zeros((1, 2), np.int8),
}
REALS = np.zeros((1, 2), np.float32)

# What is wrong: what is passed, and the whole sentence after the file's name.
FAULTS: dict[str, tuple[Any, str]] = {
    "no mapping": (
        [1],
        "feeds must map names to arrays, got list; pass a dict with one array for each of "
        "['x', 'q', 'b']",
    ),
    "names": (
        {"x": 0, "y": 0},
        "inputs are ['x', 'q', 'b'], got ['x', 'y']; pass one array for each input and no other",
    ),
    "float64": (
        VIEWS | {"x": np.zeros((1, 2))},
        "input 'x' must be an array of float32, got an array of float64; convert it with "
        ".astype('float32')",
    ),
    "scalar": (
        VIEWS | {"x": np.float32(1)},
        "input 'x' must be an array of float32, got a scalar of float32; make it an array with "
        "numpy.asarray(x, 'float32')",
    ),
    "list": (
        VIEWS | {"x": [[1.0, 2.0]]},
        "input 'x' must be an array of float32, got list; make it an array with "
        "numpy.asarray(x, 'float32')",
    ),
    "masked": (
        VIEWS | {"x": np.ma.masked_less(REALS, 1)},
        "input 'x' must be an array of float32, got a masked array; fill its gaps with "
        ".filled(number)",
    ),
    "reals for codes": (
        VIEWS | {"q": REALS},
        "input 'q' must be an array of uint8, the codes of reals, got an array of float32; "
        "quantize them with the input's scale 0.0625 and zero point 7, or use `refquant run`, "
        "which encodes",
    ),
    "reals for codes of many scales": (
        VIEWS | {"b": REALS},
        "input 'b' must be an array of int8, the codes of reals, got an array of float32; "
        "quantize them with the input's scale and zero point, or use `refquant run`, which encodes",
    ),
    "other codes": (
        VIEWS | {"q": np.zeros((1, 2), np.int8)},
        "input 'q' must be an array of uint8, got an array of int8; convert it with "
        ".astype('uint8')",
    ),
    "one sample": (
        VIEWS | {"x": REALS[0]},
        "input 'x' must have shape ['N', 2], got [2]; pass one sample as x[None]",
    ),
    "shape": (
        VIEWS | {"x": REALS.T},
        "input 'x' must have shape ['N', 2], got [2, 1]; reshape it; N is the number of samples",
    ),
    "shape without samples": (
        VIEWS | {"b": np.zeros((2, 2), np.int8)},
        "input 'b' must have shape [1, 2], got [2, 2]; reshape it",
    ),
    "samples": (
        VIEWS | {"x": np.zeros((3, 2), np.float32)},
        "inputs have different numbers of samples [1, 3]; pass the same number for every input",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_a_remedy(fault: str) -> None:
    feeds, sentence = FAULTS[fault]
    with pytest.raises(InputError) as caught:
        check_feeds(Path("m.rq"), VALUES, VIEWS, feeds)
    assert str(caught.value) == f"m.rq: {sentence}", "what, where, remedy"


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_what_fits_gives_the_number_of_samples(samples: int) -> None:
    many = {"x": np.zeros((samples, 2), np.float32), "q": np.zeros((samples, 2), np.uint8)}
    count = check_feeds(Path("m.rq"), VALUES, VIEWS, VIEWS | many)
    assert count == samples, "of those inputs that have samples"


def test_without_samples_there_is_one() -> None:
    only = {"b": VIEWS["b"]}
    assert check_feeds(Path("m.rq"), VALUES, only, only) == 1, "no input begins with N"
    assert check_feeds(Path("m.rq"), {}, {}, {}) == 1, "no input at all"
