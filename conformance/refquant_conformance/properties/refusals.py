"""Inputs that a backend may refuse for a reason of its own: neither a pass nor a failure.

A loader that proves its accumulators refuses a bias of -2^31, because its magnitude is no int32. It
has computed nothing wrong, and nothing right: what it does compute is compared, what it refuses is
told, and where it refuses everything the property is unsupported.
"""

from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial, Unanswered

__all__ = ["expect_unless_refused"]


def expect_unless_refused(trial: Trial, *cases: Case) -> None:
    """Require that what is computed is what the contract computes; note what is refused.

    What the contract refuses, too, is no refusal in this sense: it is compared like an answer.
    """
    answers = trial.ask_all(cases)
    refused = [
        (case, answer)
        for case, answer in zip(cases, answers, strict=True)
        if answer.result is None and trial.expected(case) is not None
    ]
    left_out = [id(case) for case, _ in refused]
    trial.expect(*(case for case in cases if id(case) not in left_out))
    if not refused:
        return
    reason = refused[0][1].reason or "no reason is given"
    if len(refused) == len(cases):
        raise Unanswered(Answer("unsupported", reason=f"refused: {reason}"), cases[0])
    trial.notes["Refused"] = f"{len(refused)} of {len(cases)} cases: {reason}"
