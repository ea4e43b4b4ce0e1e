"""What the commands share: errors in one sentence, JSON, tables, progress, whole files.

A command is data (`Command`): a name, an example, what arguments it adds, and a function that runs
it and returns the exit code. Results go to stdout, everything else to stderr.

``rich`` draws tables and progress bars. It is the extra ``refquant[cli]``, imported here and
nowhere else: without it there is no progress, and a table is an error that names the extra.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from refquant.formats.whole_file import whole_file as replacing

__all__ = [
    "Advance",
    "Command",
    "Progress",
    "UsageError",
    "check_writable",
    "decimals",
    "layer_progress",
    "need_tables",
    "plain",
    "print_json",
    "print_table",
    "progress",
    "sentence",
    "to_disk",
    "whole_file",
]

Advance = Callable[[int], None]
Progress = Callable[[str, int], Advance]


class UsageError(ValueError):
    """The command line itself is wrong: exit code 2."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: ``example`` is what one types; ``run`` returns the exit code.

    One that is not ``strict`` accepts arguments it does not know. ``repeated`` names the positional
    argument that takes any number, so that an option may stand before or among them.
    """

    name: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    strict: bool = True
    repeated: str = ""


def sentence(error: BaseException) -> str:
    """Return what went wrong in one printable line."""
    if isinstance(error, OSError) and error.strerror is not None:
        where = f"{error.filename}: " if error.filename is not None else ""
        advice = "; give a path that this user may use" if error.filename is not None else ""
        return plain(f"{where}{error.strerror.lower()}{advice}")
    if isinstance(error, MemoryError):
        return "not enough memory; pass fewer samples, or a smaller model"
    return plain(" ".join(str(error).split()) or type(error).__name__)


def plain(text: object) -> str:
    r"""Return ``text`` with everything unprintable escaped.

    Names come from files: a terminal must not obey them.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def decimals(value: float | None, places: int) -> str:
    """Return ``value`` with so many decimals and never ``-0.00``; ``-`` for no value.

    >>> decimals(-0.001, 2), decimals(1234.5, 1), decimals(None, 2)
    ('0.00', '1,234.5', '-')
    """
    if value is None:
        return "-"
    return f"{round(value, places) + 0.0:,.{places}f}"


def print_json(result: Any) -> None:
    """Print strict JSON on one line: NaN and infinity are bugs of the caller."""
    sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")


def need_tables() -> None:
    """Refuse to begin long work whose result could not be printed."""
    try:
        import rich  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ValueError(
            "tables need rich; in a clone of refquant: pip install '.[cli]', or say --json"
        ) from error


def print_table(columns: Mapping[str, str], rows: Sequence[Sequence[object]]) -> None:
    """Print ``rows`` under ``columns``: heading -> ``left`` or ``right``.

    On a terminal it has the terminal's width; elsewhere no line is ever wrapped.
    """
    need_tables()
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    two_lines = any("\n" in heading for heading in columns)  # of headings; cells wrap at will
    for heading, justify in columns.items():
        table.add_column(
            heading,
            justify="right" if justify == "right" else "left",
            vertical="bottom" if two_lines else "top",
            no_wrap=justify == "right",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console = Console(file=sys.stdout, highlight=False, emoji=False)
    if console.is_terminal:
        console.print(table)
        return
    wide = console.options.update(width=100_000)
    console.width = Measurement.get(console, wide, table).maximum
    with console.capture() as printed:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield ``bar(title, total)``, which shows a bar on stderr and returns ``advance(count)``.

    In a pipe, and without rich, nothing is shown.
    """
    bars = _bars() if sys.stderr.isatty() else None
    if bars is None:
        yield lambda title, total: lambda count: None
        return
    with bars:

        def bar(title: str, total: int) -> Advance:
            task = bars.add_task(plain(title), total=total)
            return lambda count: bars.advance(task, count)

        yield bar


@contextmanager
def layer_progress() -> Iterator[Callable[[int, int, str], None]]:
    """Yield ``done(index, count, line)``: a line for each finished layer, and the time left.

    In a pipe, and without rich, nothing is shown.
    """
    bars = _bars(left=True) if sys.stderr.isatty() else None
    if bars is None:
        yield lambda index, count, line: None
        return
    with bars:
        task = bars.add_task("layers", total=None)

        def done(index: int, count: int, line: str) -> None:
            bars.console.print(plain(line), markup=False, highlight=False)
            bars.update(task, total=count, completed=index)

        yield done


def _bars(*, left: bool = False) -> Any:
    """Return bars that vanish when done, with the time ``left`` or elapsed; None without rich."""
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars
    except ImportError:
        return None
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn() if left else TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to: before long work, not after it."""
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{target}: is a folder; give the path of a file")
    if target.exists() and not target.is_file():
        raise ValueError(f"{target}: is a device or a pipe; give the path of a file")
    if not target.parent.is_dir():
        raise ValueError(f"{target}: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{target}: this user may not write there; give another path")


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a file that is there whole when the block ends, or not at all and the error says so."""
    with to_disk(path), replacing(path) as file:
        yield file


@contextmanager
def to_disk(
    path: str | os.PathLike[str], remedy: Callable[[], str] = lambda: "give another path"
) -> Iterator[None]:
    """Make of an error of the disk one that names the file ``path`` and the ``remedy``."""
    try:
        yield
    except BrokenPipeError:  # of a terminal that is gone, not of the disk
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be written: {reason}; {remedy()}") from error
