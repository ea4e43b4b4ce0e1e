"""The models that `refquant evaluate` is given: graphs, their sources, and their other halves.

Speech and pronunciation take two graphs, an encoder and a decoder. The half that is not given comes
from ``--encoder`` or ``--decoder``, or from the same file where that holds both.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from refquant.cli.common import UsageError
from refquant.evaluation.decoded import decoded_weights
from refquant.model.graph import Graph
from refquant.model.loaders.sources import Source, find_source, open_source

__all__ = ["BIG", "Model", "chosen_sums", "open_evaluated", "other_half", "role", "size_of"]

BIG = 1_000_000
"""Weights from which on the order of float sums costs more time than bits are worth here."""

_ROLES = {
    ("mel",): "encoder",
    ("letters",): "encoder",
    ("audio", "tokens"): "decoder",
    ("phonemes", "state"): "decoder",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A graph, its weights decoded (the same bits come out, sooner), and where it was read from."""

    path: str
    source: Source
    graph: Graph


def open_evaluated(path: str, arguments: argparse.Namespace) -> Model:
    """Return the model at ``path``: of a file with two parts ``--part``, or else the decoder."""
    source = find_source(path)
    part = arguments.part if source.parts else None
    if source.parts and part is None and (arguments.audio or arguments.words):
        part = "decoder"
    return Model(path, source, decoded_weights(open_source(source, part=part)))


def role(graph: Graph) -> str | None:
    """Return whether ``graph`` is an encoder or a decoder; None: neither."""
    names = set(graph.inputs)
    return next((found for inputs, found in _ROLES.items() if names.issuperset(inputs)), None)


def other_half(model: Model, arguments: argparse.Namespace) -> Model:
    """Return the encoder of a decoder, the decoder of an encoder."""
    own = role(model.graph)
    if own is None:
        raise ValueError(
            f"{model.path}: reads {', '.join(map(repr, model.graph.inputs))}, so it is neither "
            "half of a model of speech or pronunciation; choose another --metric"
        )
    wanted = {"encoder": "decoder", "decoder": "encoder"}[own]
    given = getattr(arguments, wanted)
    if given is None and not model.source.parts:
        raise UsageError(
            f"{model.path}: is the {own}; give the other half by --{wanted}; see refquant "
            "evaluate --help"
        )
    source = model.source if given is None else find_source(given)
    graph = decoded_weights(open_source(source, part=wanted if source.parts else None))
    if role(graph) != wanted:
        raise ValueError(
            f"{source.path}: reads {', '.join(map(repr, graph.inputs))}: it is no {wanted}; "
            "give the other half"
        )
    return Model(source.path, source, graph)


def chosen_sums(given: str | None, models: list[Model]) -> str:
    """Return ``--sums``; without it ``blas`` where a model has `BIG` weights or more."""
    sizes = [sum(array.size for array in m.graph.constants.values()) for m in models]
    return given or ("blas" if max(sizes) >= BIG else "ordered")


def size_of(model: Model) -> int:
    """Return the bytes of the model's file."""
    return Path(model.source.file).stat().st_size
