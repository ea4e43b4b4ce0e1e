"""A graph as a session, and the names of its steps' kernels."""

from pathlib import Path

from refquant.model.graph import Graph
from refquant.model.rq import write_rq
from refquant_runtime import Session


def session_of(folder: Path, graph: Graph) -> Session:
    """A session of one thread."""
    write_rq(folder / "m.rq", graph)
    return Session(folder / "m.rq", threads=1)


def kernels(session: Session) -> list[str]:
    return [step.kernel.__name__ for step in session.plan.steps]
