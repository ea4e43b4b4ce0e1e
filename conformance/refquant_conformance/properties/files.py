"""F-01 to 07, 15 and 17: a loader takes a file or refuses it, whatever its bytes are.

Every case is a valid file of ours with something changed. What must not happen is a crash, silence,
or a file that is taken and is none. Left out: what needs a file system (F-12), a reader that fails
(F-14), a writer (F-08), several readers side by side (F-16), and graphs (F-09 to 11): the loader
of ``.rq`` files has those in its own tests.

References
----------
``docs/spec/rq-format.md``; GGUF specification; safetensors, "Format".
"""

import json
import re
import struct

import numpy as np

from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.answers import Answer
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial, Unanswered

__all__ = ["file_case"]

_LOAD = ("load",)
_CLAUSE = "protocol of this suite: any bytes are a model, or are rejected"
_EDGES = (0, 1, 2**31 - 1, 2**31, 2**32 - 1)
_LONG = (2**63 - 1, 2**63, 2**64 - 1)


def file_case(scheme: str, data: bytes) -> Case:
    """Return the case of a file.

    >>> file_case("gguf", b"GGUF").inputs["x"].tolist()
    [71, 71, 85, 70]
    """
    x = np.frombuffer(data, np.uint8)
    return Case("load", scheme, {"x": x}, {}, types=types_of("load", scheme))


def _refused(trial: Trial, files: dict[str, bytes]) -> None:
    """Fail at the first file that is taken."""
    cases = [file_case(trial.scheme, data) for data in files.values()]
    for what, case, answer in zip(files, cases, _asked(trial, cases), strict=True):
        if answer.result is not None:
            trial.fail(case, f"{what}: taken")


def _answered(trial: Trial, files: list[bytes]) -> None:
    """Ask files that may be taken or refused: a crash or silence is a verdict of its own."""
    _asked(trial, [file_case(trial.scheme, data) for data in files])


def _turn(trial: Trial) -> int:
    """Return which damage is done: under ``ci`` the same for every seed, so is the verdict."""
    return 0 if trial.profile.name == "ci" else trial.seed


def _asked(trial: Trial, cases: list[Case]) -> list[Answer]:
    """Return the answers; an error that is no refusal is a fault of the loader, not of ours."""
    try:
        return trial.ask_all(cases)
    except Unanswered as silence:
        if silence.answer.kind != "broken":
            raise
        trial.fail(silence.case, f"neither taken nor refused: {silence.answer.reason}")


@prop("F-01", "arbitrary_bytes", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def arbitrary(trial: Trial) -> None:
    """Random bytes are refused, and a file with a few bytes changed is taken or refused."""
    seed, rng = seed_file(trial.scheme), np.random.default_rng(_turn(trial))
    noise = {f"{n} random bytes": rng.bytes(n) for n in (1, 7, 8, 64, 1000)}
    _refused(trial, {"an empty file": b"", **noise})
    changed = []
    for _ in range(150):
        data = np.frombuffer(seed, np.uint8).copy()
        data[rng.integers(0, data.size, 1 + rng.integers(3))] = rng.integers(256)
        changed.append(data.tobytes())
    _answered(trial, changed)


@prop("F-02", "truncate_everywhere", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def truncated(trial: Trial) -> None:
    """A file that ends too early is refused, wherever it ends."""
    seed = seed_file(trial.scheme)
    if trial.scheme == "onnx":
        trial.skip("a message of protobuf that ends between two fields is a message")
    step = max(1, len(seed) // 200)
    ends = sorted({*range(0, len(seed) - 32, step), *range(max(0, len(seed) - 8), len(seed))})
    if trial.scheme == "gguf":  # what fills up the last tensor may be missing
        ends = [end for end in ends if end < len(seed) - 32]
    if trial.scheme == "tflite":  # a table of a flatbuffer is filled up, which nobody reads
        ends = [end for end in ends if end < len(seed) - 8]
    _refused(trial, {f"the first {end} bytes": seed[:end] for end in ends})


@prop("F-03", "field_edges", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def edges(trial: Trial) -> None:
    """Any field may hold the smallest and the largest numbers: the file is taken or refused."""
    seed = seed_file(trial.scheme)
    files = []
    for at in range(0, min(len(seed) - 8, 320), 4):
        for size, values in (("<I", _EDGES), ("<Q", _LONG)):
            for value in values:
                data = bytearray(seed)
                struct.pack_into(size, data, at, value)
                files.append(bytes(data))
    _answered(trial, files[_turn(trial) % 3 :: 3])


def bombs(scheme: str) -> dict[str, bytes]:
    """Return small files that say they are large, or deep."""
    head = struct.Struct("<4sIQQ")
    if scheme == "gguf":
        key = struct.pack("<Q", 1) + b"k"
        array = key + struct.pack("<II", 9, 4)
        deep = key + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 2000
        return {
            "2^63 - 1 tensors": head.pack(b"GGUF", 3, 2**63 - 1, 0),
            "2^63 - 1 keys": head.pack(b"GGUF", 3, 0, 2**63 - 1),
            "a key of 2^63 bytes": head.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**63),
            "an array of 2^40": head.pack(b"GGUF", 3, 0, 1) + array + struct.pack("<Q", 2**40),
            "arrays in arrays": head.pack(b"GGUF", 3, 0, 1) + deep,
        }
    if scheme in ("rq", "safetensors"):
        nested = b'{"a":' * 100_000
        shape = {"t": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 16]}}
        text = json.dumps(shape).encode()
        return {
            "a header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
            "a header of 2^64 - 1 bytes": struct.pack("<Q", 2**64 - 1) + b"{}",
            "a header of 2^31 bytes": struct.pack("<Q", 2**31) + b"{}",
            "objects in objects": struct.pack("<Q", len(nested)) + nested,
            "2^62 elements in 16 bytes": struct.pack("<Q", len(text)) + text + bytes(16),
        }
    return {}


@prop("F-04", "alloc_bounded", ops=_LOAD, clause=_CLAUSE, catches="3.2")
def bounded(trial: Trial) -> None:
    """A small file that says it is large or deep is refused, and refused soon."""
    found = bombs(trial.scheme)
    if not found:
        trial.skip("no field of this format says how long something is")
    _refused(trial, found)


def _offsets(scheme: str, seed: bytes) -> dict[str, bytes]:
    """Return files whose second tensor lies on the first, or behind the end."""
    if scheme == "gguf":
        at = seed.index(b"other") + 5
        (axes,) = struct.unpack_from("<I", seed, at)
        at += 4 + 8 * axes + 4
        files = {"tensors overlap": 0, "a tensor behind the end": 2**20, "not aligned": 257}
        made = {}
        for what, offset in files.items():
            data = bytearray(seed)
            struct.pack_into("<Q", data, at, offset)
            made[what] = bytes(data)
        return made
    spans = list(re.finditer(rb'"data_offsets": ?\[(\d+), ?(\d+)\]', seed))
    if len(spans) < 2:
        return {}
    first, second = spans[0], spans[1]
    size = second.end() - second.start()
    same = first.group(0).ljust(size)
    made = {}
    if len(same) == size:
        made["tensors overlap"] = seed[: second.start()] + same + seed[second.end() :]
    far = re.sub(rb"\d", b"9", second.group(0))
    made["a tensor behind the end"] = seed[: second.start()] + far + seed[second.end() :]
    return made


@prop("F-05", "no_overlap_no_hole", ops=_LOAD, clause=_CLAUSE, catches="3.4 (CVE-2026-7482)")
def extents(trial: Trial) -> None:
    """Tensors that overlap, or do not lie within the file, are refused."""
    if trial.scheme not in ("gguf", "safetensors"):
        trial.skip("its tensors have no offsets that a seed shows")
    _refused(trial, _offsets(trial.scheme, seed_file(trial.scheme)))


@prop("F-06", "polyglot", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def polyglot(trial: Trial) -> None:
    """Bytes before or behind a file are refused."""
    seed = seed_file(trial.scheme)
    files = {"bytes before": b"PK\x03\x04" + seed}
    # What follows a message of protobuf may be another field; a flatbuffer has no end at all.
    if trial.scheme not in ("onnx", "tflite"):
        files["bytes behind"] = seed + b"PK\x03\x04" * 16
    _refused(trial, files)


@prop("F-07", "duplicate_names", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def duplicates(trial: Trial) -> None:
    """Two tensors of one name are refused."""
    seed = seed_file(trial.scheme)
    twice = seed.replace(b"other", b"first")
    if twice == seed or trial.scheme == "tflite":  # whose tensors go by number
        trial.skip("the seed has one tensor, or tensors go by number")
    _refused(trial, {"two tensors are called first": twice})


@prop("F-15", "bitflip_checksum", ops=_LOAD, clause="docs/spec/rq-format.md: SHA-256 of tensors",
      catches="-")  # fmt: skip
def flips(trial: Trial) -> None:
    """A bit of a tensor's data that is flipped is seen, where the format has checksums."""
    if trial.scheme != "rq":
        trial.skip("the format has no checksums")
    seed = seed_file(trial.scheme)
    (size,) = struct.unpack_from("<Q", seed)
    files = {}
    for at in range(8 + size, len(seed)):
        data = bytearray(seed)
        data[at] ^= 1 << at % 8
        files[f"bit {at % 8} of byte {at}"] = bytes(data)
    _refused(trial, files)


@prop("F-17", "version_unknown", ops=_LOAD, clause=_CLAUSE, catches="3.4")
def versions(trial: Trial) -> None:
    """A version that nobody has defined is refused."""
    seed = seed_file(trial.scheme)
    if trial.scheme == "gguf":
        numbers = (0, 4, 2**16, 2**31, 2**32 - 1)
        files = {f"version {n}": seed[:4] + struct.pack("<I", n) + seed[8:] for n in numbers}
        files["a magic turned around"] = b"FUGG" + seed[4:]
        _refused(trial, files)
        return
    found = re.search(rb'"format": ?"([^"]+)"', seed)
    if trial.scheme != "rq" or found is None:
        trial.skip("the format has no version")
    other = re.sub(rb"\d", b"9", found.group(0))
    files = {f"{other.decode()}": seed.replace(found.group(0), other)}
    _refused(trial, files)
