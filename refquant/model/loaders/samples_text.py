"""A text file as samples for a graph of tokens: its tokenizer, found; its pieces, framed.

Some tokenizers put special tokens around every text they encode (BERT's ``[CLS] ... [SEP]``), and
the model has never seen a text without. So a piece is framed as the tokenizer frames a text, and
its length counts the frame: ::

    the text's tokens     | 0 ... 125 | 126 ... 251 | ...
    pieces of 128         [CLS] 0 ... 125 [SEP]   [CLS] 126 ... 251 [SEP]

Where nothing is put around (Llama), a piece is a piece of the text.

The tokenizer is the file that is named, or ``tokenizer.json`` beside the model, or the one within
the ``.gguf``. The library is the extra ``refquant[text]`` (`refquant.model.loaders.text`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refquant.formats.gguf import GgufError, read_gguf
from refquant.model.graph import Graph
from refquant.model.loaders.samples import text_windows, token_inputs
from refquant.model.loaders.sources import Source
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.loaders.text import Tokenizer, gguf_tokenizer, read_tokenizer

__all__ = ["Framed", "check_rows", "encoded", "open_tokenizer", "read_text", "text_samples"]

I32 = NDArray[np.int32]

_LOOKUPS = {"Gather": (0, 1), "RotaryEmbedding": (1, 3)}
"""Operator to which of its inputs are the table and the rows that are looked up in it."""


@dataclass(frozen=True, slots=True)
class Framed:
    """A text's tokens ``ids``, and what the tokenizer puts ``before`` and ``after`` any text."""

    ids: tuple[int, ...]
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def windows(self, *, context: int, samples: int | None) -> I32:
        """Return pieces of ``context`` tokens, the frame included, (samples, context).

        ``samples`` None takes all. `ValueError` as `refquant.model.loaders.samples.text_windows`.

        >>> Framed(tuple(range(7)), (101,), (102,)).windows(context=5, samples=None).tolist()
        [[101, 0, 1, 2, 102], [101, 3, 4, 5, 102]]
        """
        inner = context - len(self.before) - len(self.after)
        if inner < 1:
            raise ValueError(
                f"context must be more than the {context - inner} tokens that the tokenizer puts "
                f"around a text, got {context}"
            )
        pieces = text_windows(self.ids, context=inner, samples=samples)
        before, after = (
            np.tile(np.asarray(end, np.int32), (len(pieces), 1))
            for end in (self.before, self.after)
        )
        return np.concatenate([before, pieces, after], axis=1)


def open_tokenizer(source: Source, given: str | os.PathLike[str] | None = None) -> Tokenizer:
    """Return the tokenizer ``given`` (``tokenizer.json`` or ``.gguf``), or the one of ``source``.

    >>> open_tokenizer(Source("m.rq", Path("no such folder/m.rq"), "rq"))
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: m.rq: there is no tokenizer.json beside it; \
name the tokenizer (--tokenizer)
    """
    beside = source.file.with_name("tokenizer.json")
    if given is None and source.loader == "llama":
        given = source.file
    if given is None and not beside.is_file():
        raise ModelFileError(
            f"{source.path}: there is no tokenizer.json beside it; name the tokenizer (--tokenizer)"
        )
    path = beside if given is None else Path(given)
    if path.is_dir():
        path /= "tokenizer.json"
    if path.suffix.lower() != ".gguf":
        return read_tokenizer(path)
    try:
        return gguf_tokenizer(read_gguf(path), path=str(path))
    except GgufError as error:
        raise ModelFileError(str(error)) from error


def encoded(tokenizer: Tokenizer, text: str) -> Framed:
    """Return the tokens of ``text``, its frame apart.

    >>> from types import SimpleNamespace
    >>> found = SimpleNamespace(ids=[101, 7, 8, 102], special_tokens_mask=[1, 0, 0, 1])
    >>> encoded(SimpleNamespace(encode=lambda text: found), "hello there")
    Framed(ids=(7, 8), before=(101,), after=(102,))
    """
    found = tokenizer.encode(text)
    ids, special = tuple(found.ids), found.special_tokens_mask
    begin = next((i for i, s in enumerate(special) if not s), len(ids))
    end = len(ids) - next((i for i, s in enumerate(reversed(special)) if not s), 0)
    return Framed(ids[begin:end], ids[:begin], ids[end:])


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of the UTF-8 file ``path``; `ValueError` where there is none.

    >>> read_text("no such file")
    Traceback (most recent call last):
    ...
    ValueError: no such file: cannot be read: no such file or directory; give a text file
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path}: cannot be read: {reason}; give a text file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no UTF-8 text: {error.reason}; convert it") from error
    if not text.strip():
        raise ValueError(f"{path}: holds no text; give a longer one")
    return text


def text_samples(
    graph: Graph, text: Framed, *, context: int, samples: int | None
) -> dict[str, I32]:
    """Return inputs of ``graph`` for pieces of ``text``: `Framed.windows`, `token_inputs`.

    `ValueError` where the graph needs more than tokens, or has no row for one.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> table = b.constant("table", np.ones((9, 2), np.float32))
    >>> x = b.node("Gather", [table, b.input("tokens", ("N", "T"), dtype="int32")], name="x")
    >>> made = text_samples(b.graph([x]), Framed((4, 5, 6)), context=1, samples=2)
    >>> made["tokens"].tolist()
    [[4], [5]]
    """
    ids = text.windows(context=context, samples=samples)
    made = token_inputs(graph, ids)
    rest = sorted(set(graph.inputs) - made.keys())
    if rest:
        raise ValueError(f"the model also reads {', '.join(map(repr, rest))}; text has none")
    check_rows(graph, made)
    return made


def check_rows(graph: Graph, inputs: Mapping[str, I32]) -> None:
    """Refuse indices outside the tables that they are looked up in: another model's tokens.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> table = b.constant("table", np.ones((9, 2), np.float32))
    >>> x = b.node("Gather", [table, b.input("tokens", ("N", "T"), dtype="int32")], name="x")
    >>> check_rows(b.graph([x]), {"tokens": np.array([[9]], np.int32)})
    Traceback (most recent call last):
    ...
    ValueError: tokens goes up to 9, but 'table' has 9 rows; give the model's own tokenizer
    """
    for node in graph.nodes:
        table, index = _LOOKUPS.get(node.op, (0, 0))
        if table == index or node.inputs[index] not in inputs:
            continue
        name, rows = node.inputs[index], graph.values[node.inputs[table]].shape[0]
        largest = int(inputs[name].max())
        if isinstance(rows, int) and largest >= rows:
            what = "a shorter context" if name == "position_ids" else "the model's own tokenizer"
            raise ValueError(
                f"{name} goes up to {largest:,}, but {node.inputs[table]!r} has {rows:,} rows; "
                f"give {what}"
            )
