"""A backend is told by vectors: its contracts are left, a bug has none, a crash is no pass."""

from collections.abc import Sequence

from refquant_conformance.adapters import load_backend
from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Local
from refquant_conformance.vectors.read import published, read
from refquant_conformance.vectors.run import run_vectors
from tests.conformance.bad_backends import Honest
from tests.conformance.vectors.files import small


def test_a_backend_keeps_its_contract_and_who_has_no_such_cell_is_not_asked() -> None:
    vectors = list(read("x.json", small()))
    (cell,) = run_vectors(Local(load_backend("reference:onnx")), vectors)
    assert ("spec" in cell.contracts, cell.failed) == (True, False), f"{cell}"
    assert not run_vectors(Local(load_backend("mutant:half_away")), vectors), "not its cells"


def test_a_bug_has_no_contract_and_who_crashes_has_failed() -> None:
    (file,) = [file for file in published() if file.name == "quantize_linear.json"]
    vectors = [v for v in read(file.name, file.read_bytes()) if v.case.scheme == "f32_u8"]
    (cell,) = run_vectors(Local(Honest()), vectors)
    assert "spec" in cell.contracts, f"{cell}"

    class Crashing(Local):
        def ask(self, cases: Sequence[Case]) -> list[Answer]:
            answers = super().ask(cases)
            return [Answer("crashed", reason="gone"), *answers[1:]]

    (cell,) = run_vectors(Crashing(Honest()), vectors)
    assert (cell.failed, cell.unanswered, cell.trouble) == (True, 1, "crashed: gone"), f"{cell}"


def test_a_refusal_of_what_everybody_computes_is_told_and_is_no_other_number() -> None:
    vectors = list(read("x.json", small()))

    class Refusing(Local):
        refused = 1

        def ask(self, cases: Sequence[Case]) -> list[Answer]:
            answers = super().ask(cases)
            no = Answer("rejected", reason="too large")
            return [no] * self.refused + answers[self.refused :]

    subject = Refusing(load_backend("reference:onnx"))
    (cell,) = run_vectors(subject, vectors)
    assert "spec" in cell.contracts, f"{cell}"
    assert (cell.failed, cell.unanswered, cell.trouble) == (
        *(False, 1),
        "rejected: too large",
    ), f"{cell}"
    subject.refused = len(vectors)
    (cell,) = run_vectors(subject, vectors)
    assert (cell.failed, cell.contracts) == (True, ()), f"who refuses everything passes: {cell}"
