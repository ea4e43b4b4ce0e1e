"""What tests of loaders share: one property, one format, one backend."""

from refquant_conformance.adapters import load_backend
from refquant_conformance.inquiry import try_property
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial
from refquant_conformance.verdict import Cell


def loaded(spec: str, identifier: str, scheme: str, seed: int = 0) -> Cell | None:
    """Return what a property says of a loader."""
    subject = Local(load_backend(spec), spec)
    trial = Trial(subject, "load", scheme, None, None, seed=seed)
    return try_property(PROPERTIES[identifier], trial)


def first_killer(name: str, seed: int = 0) -> str:
    """Return the id of the first property F that a planted bug of a loader fails; "" for none."""
    for identifier in sorted(PROPERTIES):
        if identifier.startswith("F-") and "load" in PROPERTIES[identifier].ops:
            row = loaded(f"mutant:{name}", identifier, MUTANTS[name].schemes[0], seed)
            if row is not None and row.red:
                return identifier
    return ""
