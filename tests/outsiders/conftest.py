"""`make outsiders` says ``--every-outsider``: all packages are present there, no test is skipped.

In an environment of your own, without that flag, what is not installed is skipped by name.
"""

import re
from collections.abc import Generator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import pytest

PINS = Path(__file__).parents[2] / "constraints-outsiders.txt"

# What the reason of a skip may begin with -> why it cannot be installed. Nothing else is skipped.
NOT_ASKED = {
    "mx.mx_ops": "microxcaling is a repository and no package; to ask it, put a copy on PYTHONPATH",
}

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-outsider",
        action="store_true",
        help="fail where constraints-outsiders.txt is not what is installed, and at every skip",
    )


def strict(config: pytest.Config) -> bool:
    return bool(config.getoption("--every-outsider"))


def wrong_versions() -> list[str]:
    """The pins that are not what is installed; PyTorch's +cpu is no other version."""
    found = []
    for name, pin in re.findall(r"^([\w.-]+)==(\S+)$", PINS.read_text(), re.MULTILINE):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not installed"
        if installed.partition("+")[0] != pin:
            found.append(f"{name}: {installed}, not {pin}")
    return found


def pytest_sessionstart(session: pytest.Session) -> None:
    wrong = wrong_versions() if strict(session.config) else []
    if wrong:
        remedy = "remove .venv-outsiders and run `make outsiders`"
        raise pytest.UsageError(f"outsiders are missing ({'; '.join(wrong)}); {remedy}")


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or module was skipped; empty if it was not."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return ""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ") or "no reason given"


def failed_if_skipped(report: Report, config: pytest.Config) -> Report:
    """The report; a failure if it is a skip that the table does not have."""
    reason = reason_of(report)
    if strict(config) and reason and not reason.startswith(tuple(NOT_ASKED)):
        report.outcome = "failed"
        report.longrepr = f"skipped, and not in NOT_ASKED of {Path(__file__).name}: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return failed_if_skipped(report, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return failed_if_skipped(report, collector.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not asked, and why."""
    skipped = [reason_of(report) for report in terminalreporter.stats.get("skipped", [])]
    for start, why in NOT_ASKED.items():
        count = sum(reason.startswith(start) for reason in skipped)
        if count:
            terminalreporter.write_line(f"not asked, {count} tests: {why}")
