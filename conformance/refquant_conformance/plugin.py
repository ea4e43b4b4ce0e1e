"""The pytest plug-in: ``pytest --pyargs refquant_conformance --rq-backend=NAME``.

It adds options, and nothing else unless one of them is given: a project that merely has this
package installed sees no test, no import and no line of it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = ["INQUIRY"]

INQUIRY = pytest.StashKey["Asked"]()
"""Where the backend under question is kept for the length of a session."""

_SUITE = Path(__file__).parent / "suite"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all of them begin with ``--rq-``."""
    group = parser.getgroup("refquant", "judge a quantized backend")
    group.addoption("--rq-backend", metavar="NAME", help="the backend to judge")
    group.addoption("--rq-cmd", metavar="PROGRAM", help="a program that speaks JSON lines")
    group.addoption("--rq-profile", metavar="P", default="ci", help="ci, full or exhaustive")
    group.addoption("--rq-seed", type=int, default=0, metavar="N", help="of every draw")
    group.addoption("--rq-deviations", metavar="FILE", help="what is known to differ, in TOML")
    group.addoption("--rq-report", metavar="FILE", help="write the verdicts there, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Start the backend that was named; a wrong name ends the session with one sentence."""
    backend, command = config.getoption("--rq-backend"), config.getoption("--rq-cmd")
    if backend is None and command is None:
        return
    if backend is not None and command is not None:
        raise pytest.UsageError("give --rq-backend or --rq-cmd, not both")
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise pytest.UsageError("--rq-backend: one backend is judged by one process; leave out -n")
    config.stash[INQUIRY] = _asked(config, backend or f"cmd:{command}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the suite alone unless there is a backend to judge."""
    if collection_path == _SUITE and INQUIRY not in config.stash:
        return True
    return None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say who is judged, and how hard."""
    asked = config.stash.get(INQUIRY, None)
    if asked is None:
        return None
    info = asked.inquiry.subject.info
    return f"refquant: {info.name} {info.version}, profile {asked.inquiry.profile.name}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for stale deviations, write the report, end the backend."""
    asked = session.config.stash.get(INQUIRY, None)
    if asked is None:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stale = asked.stale()
    report = session.config.getoption("--rq-report")
    try:
        if report:
            asked.write(Path(report))
    except ValueError as error:
        if reporter is not None:
            reporter.write_line(f"refquant: {error}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    finally:
        asked.inquiry.subject.close()
    if stale:
        for cell in stale:
            if reporter is not None:
                reporter.write_line(f"STALE {cell.detail}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass(slots=True)
class Asked:
    """The inquiry of this session, and the lines it has produced."""

    inquiry: Any
    cells: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    def tests(self) -> list[Any]:
        """Return a parameter for each property and cell."""
        from refquant_conformance.properties import for_op

        return [
            pytest.param(self._test(one, cell), id=f"{one.id}[{cell.op},{cell.scheme}]")
            for cell in self.inquiry.subject.capabilities
            for one in for_op(cell.op)
        ]

    def _test(self, one: Any, capability: Any) -> Any:
        name = f"{one.id} {capability}"
        self.made.add(name)

        def checked() -> Any:
            self.tried.add(name)
            cell = self.inquiry.check(one, capability)
            if cell is not None:
                self.cells.append(cell)
                self.asked.append(capability)
            return cell

        return checked

    def stale(self) -> list[Any]:
        """Return a line for each deviation that is not needed, or past its date."""
        from datetime import date

        from refquant_conformance.excuse import stale

        info = self.inquiry.subject.info
        known, whole = self.inquiry.deviations, self.tried == self.made
        found: list[Any] = stale(known, self.cells, info, date.today(), whole=whole)
        self.cells += found
        return found

    def write(self, path: Path) -> None:
        """Write the judgement of this session."""
        import json

        from refquant.cli.common import whole_file
        from refquant_conformance.judge import Judgement
        from refquant_conformance.report.document import document

        asked = self.inquiry
        name, info = asked.profile.name, asked.subject.info
        found = tuple(filter(None, map(asked.identified, dict.fromkeys(self.asked))))
        made = Judgement(info, name, asked.seed, found, tuple(self.cells))
        with whole_file(path) as file:
            file.write((json.dumps(document(made), indent=1) + "\n").encode("utf-8"))


def _asked(config: pytest.Config, spec: str) -> Asked:
    from refquant.cli.common import check_writable
    from refquant_conformance.adapters import BackendError
    from refquant_conformance.deviations import read_deviations
    from refquant_conformance.inquiry import Inquiry
    from refquant_conformance.profiles import PROFILES
    from refquant_conformance.subject import Worker

    profile = config.getoption("--rq-profile")
    if profile not in PROFILES:
        raise pytest.UsageError(f"--rq-profile is one of {', '.join(PROFILES)}; got {profile!r}")
    seed = config.getoption("--rq-seed")
    if seed < 0:
        raise pytest.UsageError(f"--rq-seed is 0 or more; got {seed}")
    subject = Worker(spec)
    file = config.getoption("--rq-deviations")
    try:
        if report := config.getoption("--rq-report"):
            check_writable(report)
        known = read_deviations(Path(file)) if file else ()
        info = subject.info
        if not subject.capabilities:
            raise BackendError(f"{info.name} lists no cell: there is nothing to ask")
    except (BackendError, OSError, ValueError) as error:
        subject.close()
        raise pytest.UsageError(f"refquant: {error}") from None
    speaking = [entry for entry in known if entry.speaks_of(info)]
    return Asked(Inquiry(subject, PROFILES[profile], seed, speaking))
