"""Laws that no backend can be asked about, and the tests of this repository that prove them of us.

A property that nothing in the protocol can fail would be a line that is always green. So these are
none: each has its id, the reason, and the tests that hold our own programs to the same law.
"""

from dataclasses import dataclass

__all__ = ["ELSEWHERE", "Elsewhere"]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One law: its id and name, what it says, why it is not asked, and which tests prove it.

    ``part`` of a property that is registered: what of it is proved elsewhere. Tests are written
    ``path::function``, from the top of the repository.
    """

    id: str
    name: str
    sentence: str
    reason: str
    tests: tuple[str, ...]
    part: bool = False


_EXTERNAL = "tests/refquant/model/importers/test_onnx_external.py"
_CONTAINER = "tests/runtime/test_fileformat.py"

ELSEWHERE = (
    Elsewhere(
        "F-12",
        "no_path_escape",
        "Links, pipes and folders above a model's own are refused.",
        "a loader of the protocol is given bytes, and has no folder in which links could lie",
        (
            f"{_EXTERNAL}::test_links_are_refused",
            f"{_EXTERNAL}::test_a_pipe_does_not_hang",
            f"{_EXTERNAL}::test_places_outside_are_refused",
        ),
        part=True,
    ),
    Elsewhere(
        "F-14",
        "short_reads",
        "A read that fails, or returns less than was asked for, refuses the file.",
        "a loader of the protocol is given bytes, and reads nothing that could fail",
        (
            f"{_EXTERNAL}::test_a_read_that_is_short_is_no_tensor",
            f"{_CONTAINER}::test_every_truncation_is_refused",
            f"{_CONTAINER}::test_what_is_no_readable_file_is_refused",
        ),
    ),
    Elsewhere(
        "OP-14",
        "batchnorm_fold",
        "A normalization is folded first, and what is folded is quantized.",
        "a converter does this; an operator has neither the normalization nor the folded reals",
        (
            "tests/refquant/model/test_fold.py"
            "::test_folding_keeps_the_function_within_its_rounding",
            "tests/refquant/model/test_quantize.py"
            "::test_a_normalization_is_folded_before_weights_get_their_codes",
        ),
    ),
)
"""Every law of this kind, by id."""
