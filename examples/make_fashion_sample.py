"""Choose the Fashion-MNIST images that travel inside the package.

The demo must work without a network and in seconds, so the wheel carries 256 training images (to
calibrate with) and 2,000 test images (to score with) of Fashion-MNIST's 70,000.

Which ones is decided by a rule that anybody can repeat in any language, not by a generator whose
stream depends on a library's version. Every image gets a key::

    key(image) = SHA-256("refquant demo sample 1" || its 784 pixels)                          (1)

Within a class the images with the smallest keys are chosen, in ascending order of the key; then
the classes take turns (0, 1, ..., 9, 0, 1, ...), so that every prefix of the arrays is balanced to
within one image a class. Neither the model nor its mistakes have a say.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", arXiv:1708.07747, 2017. Debian ships it as ``dataset-fashion-mnist``.

Example: ``python examples/make_fashion_sample.py --out refquant/cli/assets``
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

DATA = Path("/usr/share/datasets/fashion-mnist")
FILE_NAME = "fashion_mnist_sample.npz"
NUM_CLASSES = 10
CALIBRATION_IMAGES = 256
TEST_IMAGES = 2_000
KEY_PREFIX = b"refquant demo sample 1"


def read_idx(path: Path) -> U8:
    """Read a gzip-compressed IDX file of unsigned bytes.

    The format: two zero bytes, the element type (8 = unsigned byte), the number of dimensions,
    each dimension as a big-endian uint32, then the elements, row-major.

    Raises
    ------
    ValueError
        If the file is not IDX, holds another type, or is longer or shorter than its header says.
    """
    data = gzip.decompress(path.read_bytes())
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path}: must start with 00 00 08 (IDX, unsigned bytes), got {data[:3]!r}"
        )
    header = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    codes = np.frombuffer(data, dtype=np.uint8, offset=header)
    if codes.size != int(np.prod(shape)):
        raise ValueError(f"{path}: {shape} needs {np.prod(shape)} bytes, got {codes.size}")
    return codes.reshape(shape)


def read_split(folder: Path, split: str) -> tuple[U8, U8]:
    """Return images ``(N, 28, 28)`` and labels ``(N,)`` of ``split``, ``"train"`` or ``"t10k"``."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
    if images.shape != (labels.size, 28, 28):
        raise ValueError(f"{folder}: images are {images.shape}, labels {labels.shape}")
    return images, labels


def choose(images: U8, labels: U8, *, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of ``count`` images: equation (1), the classes taking turns.

    >>> images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1)
    >>> labels = np.arange(40, dtype=np.uint8) // 4
    >>> chosen = choose(images, labels, count=12)
    >>> labels[chosen].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    queues: list[list[int]] = []
    for label in range(NUM_CLASSES):
        members = np.flatnonzero(labels == label).tolist()
        queues.append(sorted(members, key=lambda i: _key(images[i])))
    return np.array([queues[n % NUM_CLASSES][n // NUM_CLASSES] for n in range(count)])


def _key(image: U8) -> bytes:
    return hashlib.sha256(KEY_PREFIX + image.tobytes()).digest()


def make_sample(folder: Path) -> Mapping[str, U8]:
    """Return the four arrays of the sample, read from the full data set in ``folder``."""
    arrays: dict[str, U8] = {}
    for name, split, count in (
        ("calibration", "train", CALIBRATION_IMAGES),
        ("test", "t10k", TEST_IMAGES),
    ):
        images, labels = read_split(folder, split)
        chosen = choose(images, labels, count=count)
        arrays[f"{name}_images"] = images[chosen]
        arrays[f"{name}_labels"] = labels[chosen]
    return arrays


def main() -> None:
    """Write the sample and say how large it is."""
    parser = argparse.ArgumentParser(
        description="Choose the Fashion-MNIST images that travel inside the package.",
        epilog="example: python examples/make_fashion_sample.py --out refquant/cli/assets",
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the four .gz files")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {FILE_NAME}")
    arguments = parser.parse_args()
    path = arguments.out / FILE_NAME
    # NumPy dates every member 1980-01-01, so that equal arrays are equal bytes (for one zlib).
    np.savez_compressed(path, **make_sample(arguments.data))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {path.stat().st_size} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
