"""What Python sees a loader do besides reading bytes: files, processes, sockets, code, imports.

Python raises an *audit event* before each of these. A hook cannot be taken away again, so there is
one for the whole life of a process, which notes what happens while somebody is watched.

Left out: what an engine's own C code does, of which Python is not told.

References
----------
PEP 578; Python documentation, "Audit events table".
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["watched"]

_KINDS = (
    *("compile", "exec", "import", "open", "os.", "socket.", "subprocess.", "shutil.", "pickle."),
    *("ctypes.dlopen", "marshal.loads", "urllib.", "webbrowser.", "code.__new__"),
)
_QUIET = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")  # of imports, for the most part
_TEMPORARY = tempfile.gettempdir()  # asked for once: a hook that opens files would wait for itself
_noted: list[list[str]] = []
_hooked: list[bool] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _noted and event.startswith(_KINDS) and event not in _QUIET:
        what = arguments[0] if arguments else ""
        if event == "open" and str(what).startswith(_TEMPORARY):
            what = "a temporary file"  # through which adapters hand over bytes
        _noted[-1].append(f"{event} {what}" if event in ("open", "import") else event)


@contextmanager
def watched() -> Iterator[Callable[[], tuple[str, ...]]]:
    """Watch this process; what is given returns the events so far, each once, in order.

    >>> with watched() as events:
    ...     _ = compile("1 + 1", "nowhere", "eval")
    >>> "compile" in events()
    True
    """
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_note)
    mine: list[str] = []
    _noted.append(mine)
    try:
        yield lambda: tuple(dict.fromkeys(mine))
    finally:
        _noted.remove(mine)
