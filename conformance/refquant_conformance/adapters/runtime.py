"""Our own runtime, by its files: ``runtime`` and ``runtime:xnnpack``.

The setting is a contract that the runtime executes (``ort`` without one), and it is declared: the
judge holds the runtime to it bit for bit, on every instruction set and number of threads that this
machine has (knobs ``isa`` and ``threads``).
"""

import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from refquant.contracts import PRESETS, preset
from refquant.model.rq import parse_rq, rq_bytes
from refquant_conformance.adapters import BackendError
from refquant_conformance.adapters.engine import Kept, Prepared, computed, cpu_flags, imported
from refquant_conformance.adapters.rq_graphs import feeds_of, graph_of
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result, Unsupported

__all__ = ["Runtime"]


class Runtime:
    """refquant-runtime, one file a case."""

    protocol = 1

    def __init__(self, setting: str = "ort") -> None:
        """Take the name of a contract; ``BackendError`` if the runtime does not execute it."""
        self._engine = imported("refquant_runtime", "runtime")
        contracts = imported("refquant_runtime.contracts", "runtime")
        if setting not in PRESETS or setting not in contracts.EXECUTED:
            raise BackendError(
                f"runtime: no contract {setting!r}; it executes {', '.join(contracts.EXECUTED)}"
            )
        self._isa = imported("refquant_runtime.isa", "runtime")
        self._setting = setting
        self._contract = preset(setting)
        self._threads = 1
        self._folder = Path(tempfile.mkdtemp(prefix="refquant-"))
        weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._sessions: Kept[Any] = Kept(64)
        self._cells: tuple[Capability, ...] | None = None

    def info(self) -> Info:
        """Say which version this is, and what may be set."""
        knobs: dict[str, tuple[str | int, ...]] = {
            "threads": (1, 2, 3),
            "isa": tuple(reversed(self._isa.available())),
        }
        details = {"contract": self._setting, "cpu": cpu_flags()}
        return Info(f"runtime:{self._setting}", version("refquant-runtime"), knobs, details)

    def configure(self, *, threads: int = 1, isa: str = "") -> None:
        """Set the number of threads and the instruction set."""
        self._threads = threads
        if isa:
            os.environ["REFQUANT_ISA"] = isa
            self._isa.chosen()  # refuses what this machine has not

    def capabilities(self) -> Iterable[Capability]:
        """List the cells whose sample a file says and the runtime computes."""
        if self._cells is None:
            self._cells = computed(self.run, OPERATORS)
        return self._cells

    def declared(self, op: str) -> dict[str, str | bool | float]:
        """Return the contract that stands in the files."""
        return self._contract.to_json()

    def run(self, case: Case) -> Result:
        """Write the case's file if there is none, and run it."""
        session = self._sessions.get(_key(case), lambda: self._session(case))
        return self._answer(session, case)

    def prepare(self, case: Case) -> Prepared:
        """Return a handle that goes on with the session of one case."""
        session = self._session(case)
        return Prepared(lambda other: self._answer(session, other))

    def reload(self, case: Case) -> Prepared:
        """Return a handle on the case's file after it was read and written once more."""
        try:
            data = rq_bytes(graph_of(case, self._contract))
        except ValueError as error:
            raise Unsupported(f"a .rq file does not say this: {error}") from None
        data = rq_bytes(parse_rq(data, name="the case"))
        session = self._opened(data)
        return Prepared(lambda other: self._answer(session, other))

    def load_bytes(self, file_format: str, data: bytes) -> None:
        """Load a ``.rq`` file."""
        if file_format != "rq":
            raise Unsupported(f"the runtime loads .rq files, not {file_format}")
        path = self._folder / "loaded.rq"
        path.write_bytes(data)
        try:
            self._engine.Session(path, threads=1).close()
        except ValueError as error:
            raise Rejected(str(error)) from None

    def _session(self, case: Case) -> Any:
        try:
            data = rq_bytes(graph_of(case, self._contract))
        except ValueError as error:
            raise Rejected(str(error)) from None
        return self._opened(data)

    def _opened(self, data: bytes) -> Any:
        # Sessions keep their file mapped: writing over it would change them.
        path = self._folder / f"{secrets.token_hex(8)}.rq"
        path.write_bytes(data)
        try:
            return self._engine.Session(path, threads=self._threads)
        except self._engine.UnsupportedError as error:
            raise Unsupported(str(error)) from None
        except ValueError as error:
            raise Rejected(str(error)) from None
        finally:
            path.unlink()

    def _answer(self, session: Any, case: Case) -> Result:
        made = session.run(feeds_of(case))
        used = {"isa": str(session.isa), "threads": str(session.threads)}
        return Result({name: made[name] for name in OPERATORS[case.op].outputs}, used)


def _key(case: Case) -> tuple[Any, ...]:
    """Return what a file holds: all but the values that are fed."""
    fed = feeds_of(case)
    held = tuple(
        (name, array.shape, array.dtype.str, b"" if name in fed else array.tobytes())
        for name, array in case.inputs.items()
    )
    return (case.op, case.scheme, tuple(sorted(case.params.items(), key=str)), held)
