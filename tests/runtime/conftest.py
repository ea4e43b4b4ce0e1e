"""A test of the runtime that takes too long ends its process: machine code hears no signal.

With ``pytest -n`` that is a failure of this test, which xdist may try again in another process;
`make test` gives up at the second. Without, it is the end of the run, with status 1. Either way the
stacks of all threads are printed.
"""

import faulthandler
import os
from collections.abc import Iterator

import pytest

TIME_LIMIT = 300.0  # seconds; a module with its own says TIME_LIMIT


@pytest.fixture(scope="session")
def true_stderr(pytestconfig: pytest.Config) -> Iterator[int]:
    """The standard error of the process: what a test prints is held back and would be lost."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def time_limit(request: pytest.FixtureRequest, true_stderr: int) -> Iterator[None]:
    seconds = float(getattr(request.module, "TIME_LIMIT", TIME_LIMIT))
    faulthandler.dump_traceback_later(seconds, exit=True, file=true_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()
