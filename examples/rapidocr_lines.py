r"""Lines of text as pictures, to quantize the OCR models of ``rapidocr`` with and to test them.

The need: a recognizer is calibrated on lines of text, a detector on pages. None come with the
models, but a novel does (`assets/text`), and Pillow has a font: ::

    chapter I ... -> 48 x 320 lines       -> rec, cls: x = (pixel / 255 - 0.5) / 0.5            (1)
                  -> 160 x 320 pages of 5 -> det:      x = (pixel / 255 - mean) / std           (2)

Lines to calibrate and lines to test are different lines. Printed letters on plain paper are easy:
the numbers say how near int8 is to float, not how well either reads.

Example: ``python examples/rapidocr_lines.py -o work/ocr`` (it needs ``pillow``).

Source: the pre-processing of PyPI ``rapidocr-onnxruntime`` 1.4.4, ``config.yaml``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT = Path(__file__).parents[1] / "assets/text/moby-dick/data/data.txt"
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
WIDTH, LINE, PAGE = 320, 48, 160
LETTERS = 22


def pictures(lines: list[str], height: int, seed: int) -> NDArray[np.uint8]:
    """Return (N, height, 320, 3): as many lines below each other as fit, ink and paper vary."""
    rng, each = np.random.default_rng(seed), height // 32
    found = []
    for start in range(0, len(lines) - each + 1, each):
        paper, ink = (int(rng.integers(*ends)) for ends in ((170, 256), (0, 90)))
        page = Image.new("RGB", (WIDTH, height), (paper, paper, int(rng.integers(150, 256))))
        pen = ImageDraw.Draw(page)
        for i, line in enumerate(lines[start : start + each]):
            font = ImageFont.load_default(size=float(rng.integers(22, 27)))
            pen.text((6, i * 32 + 6), line, fill=(ink, ink, ink), font=font)
        found.append(np.asarray(page))
    return np.stack(found)


def planes(photos: NDArray[np.uint8], mean: Any, std: Any) -> NDArray[np.float32]:
    """Return equation (1) or (2): (N, 3, H, W), as the network reads them (BGR)."""
    x = (photos[..., ::-1].astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)


def main() -> None:
    """Write ``rec``, ``cls`` and ``det``, each ``_calibration.npz`` and ``_test.npz``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    words = " ".join(TEXT.read_text("utf-8").split())[20_000:]
    lines = [words[i : i + LETTERS].strip() for i in range(0, 200 * LETTERS, LETTERS)]
    half = np.float32(0.5)
    for name, few in (("calibration", lines[:100]), ("test", lines[100:])):
        rows = planes(pictures(few[:16], LINE, seed=0), half, half)
        np.savez(folder / f"rec_{name}.npz", x=rows)
        np.savez(folder / f"cls_{name}.npz", x=rows[..., :192])
        np.savez(folder / f"det_{name}.npz", x=planes(pictures(few[:40], PAGE, 1), MEAN, STD))


if __name__ == "__main__":
    main()
