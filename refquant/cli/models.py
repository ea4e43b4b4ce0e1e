"""What commands that open models share: the arguments ``--part`` and ``--sums``, and sizes.

A model is a path as `refquant.model.loaders.sources` understands it.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from refquant.cli.common import UsageError
from refquant.model.graph import Graph
from refquant.model.loaders.sources import Source, find_source, open_source
from refquant.model.metrics import tensor_bytes
from refquant.numerics.dot import SUMS

__all__ = ["MODEL", "add_part", "add_sums", "read_pair", "refuse_overwriting", "source_bytes"]

MODEL = "a .rq file, or a model that `refquant import` reads"


def add_part(parser: argparse.ArgumentParser) -> None:
    """Add ``--part``."""
    parser.add_argument(
        "--part", metavar="NAME", help="of a model with several: encoder or decoder"
    )


def add_sums(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--sums``; ``default`` says in words what happens without it."""
    parser.add_argument(
        "--sums", choices=SUMS,
        help=f"of float products: 'ordered' has the same bits on every computer, 'blas' is many "
        f"times faster on large models (default: {default})",
    )  # fmt: skip


def read_pair(paths: Sequence[str], part: str | None) -> tuple[Graph, ...]:
    """Return the graphs of ``paths``; ``part`` is for those that have several."""
    sources = [find_source(path) for path in paths]
    if part is not None and not any(source.parts for source in sources):
        raise UsageError(f"--part {part!r}: no model here has parts; leave it away")
    return tuple(open_source(s, part=part if s.parts else None) for s in sources)


def refuse_overwriting(output: str, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Refuse an ``output`` that is one of the ``inputs``: they would be lost."""
    for path in inputs:
        there = path is not None and os.path.exists(output) and os.path.exists(path)
        if path is not None and there and os.path.samefile(output, path):
            raise UsageError(f"{output}: is what is read; give another path for the output")


def source_bytes(source: Source, graph: Graph) -> tuple[int, str]:
    """Return what the model takes before it is quantized, and of what this is the size.

    A `.rq` file has its own size. Other files hold more than ``graph``, or other types; so there
    it is the size of the graph's float32 tensors.
    """
    if source.loader == "rq":
        return Path(source.file).stat().st_size, "file"
    return sum(tensor_bytes(graph).values()), "float32 tensors"
