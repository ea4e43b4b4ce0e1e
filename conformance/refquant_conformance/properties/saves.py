"""X-17: a model that was written and read again computes what it computed.

References
----------
pytorch issue 27954 (parameters of a quantized LSTM that a saved model had lost).
"""

from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties.probes import few
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial, Unanswered

__all__: list[str] = []


@prop("X-17", "save_load", ops=tuple(OPERATORS), catches="2.8 (pytorch 27954)",
      clause="protocol of this suite: what is saved is all that a model computes by")  # fmt: skip
def saved(trial: Trial) -> None:
    """A model that was written to bytes and read again gives the same bits."""
    if trial.op in ("load", "save"):
        trial.skip("a file is no model with outputs")
    cases = few(trial, 3)
    wanted = trial.ask_all(cases)
    again: list[Answer] = trial.subject.send("reload", cases, len(cases))
    if all(answer.kind == "unsupported" for answer in again):
        trial.skip("nothing of this is saved, or no file can say it")
    for case, first, answer in zip(cases, wanted, again, strict=False):
        if answer.kind == "unsupported":  # one of them is more than a file can say
            continue
        if answer.kind not in ("result", "rejected"):
            raise Unanswered(answer, case)
        trial.cases += 1
        if (first.result is None) != (answer.result is None):
            trial.fail(case, "computed before it was saved, and refused after, or the other way")
        if first.result is None or answer.result is None:
            continue
        for name, array in first.result.outputs.items():
            seen = answer.result.outputs[name]
            if seen.shape != array.shape or not same_bits(seen, array).all():
                trial.fail(
                    case,
                    f"{name} is another after the model was saved and loaded",
                    expected=first.result.outputs,
                    observed=answer.result.outputs,
                )
