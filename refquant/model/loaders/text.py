"""Text as tokens, by the library ``tokenizers``: the extra ``refquant[text]``.

A token is an index into the model's table of embeddings; which one depends on the model's own
merges and rules, so a perplexity without its tokenizer means nothing.

Source: Hugging Face ``tokenizers``; of GGUF files, llama.cpp ``llama-vocab.cpp`` for what the
pre-tokenizer ``smollm`` does: digits apart, then GPT-2's rule.
"""

import os
from collections.abc import Iterable
from typing import Any, TypeAlias

from refquant.formats.gguf import GgufFile
from refquant.model.loaders.tensors import ModelFileError

__all__ = ["gguf_tokenizer", "read_tokenizer"]

Tokenizer: TypeAlias = Any  # the library's class: who only reads graphs need not have it

_CONTROL = 3  # the token type of GGUF that no text becomes


def read_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``, padding and truncation off.

    >>> read_tokenizer("no such file")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: is no tokenizer: ...
    """
    library = _library()
    try:
        tokenizer = library.Tokenizer.from_file(os.fspath(path))
    except Exception as error:  # the library raises plain Exception
        raise ModelFileError(f"{path}: is no tokenizer: {error}; give a tokenizer.json") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def gguf_tokenizer(file: GgufFile, *, path: str) -> Tokenizer:
    """Return the byte-level BPE tokenizer that a GGUF file's metadata describe.

    >>> gguf_tokenizer(GgufFile(3, "little", 32, {}, {}), path="f")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: f: tokenizer.ggml.model and .pre must be 'gpt2' \
and 'smollm', got None and None; this loader reads no other
    """
    kind = [file.metadata.get(f"tokenizer.ggml.{key}") for key in ("model", "pre")]
    if kind != ["gpt2", "smollm"]:
        raise ModelFileError(
            f"{path}: tokenizer.ggml.model and .pre must be 'gpt2' and 'smollm', got {kind[0]!r} "
            f"and {kind[1]!r}; this loader reads no other"
        )
    library = _library()
    tokens = [str(token) for token in _items(file, path, "tokens")]
    merges = [tuple(str(pair).split(" ")) for pair in _items(file, path, "merges")]
    model = library.models.BPE({token: i for i, token in enumerate(tokens)}, merges)
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Digits(individual_digits=True),
            library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    types = _items(file, path, "token_type")
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _items(file: GgufFile, path: str, key: str) -> list[Any]:
    found = file.metadata.get(f"tokenizer.ggml.{key}")
    if found is None or isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise ModelFileError(f"{path}: lacks the list tokenizer.ggml.{key}; copy it again")
    return list(found)


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ModelFileError(
            "tokens need the library tokenizers: pip install 'refquant[text]'"
        ) from error
    return tokenizers
