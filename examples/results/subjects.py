"""What docs/concepts/results.md measures: which model, on which data, by which recipes.

A subject is what a user would type: the source of a model (a file or folder, and its part), the
options of ``refquant quantize`` that give it calibration data, those of ``refquant evaluate`` that
ask how good it is. A recipe is one of refquant's by name, or a name of our own with the TOML that
makes it; the paper's comparison that needs it says why.

Data to calibrate with and data to measure on are different texts, sounds and images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets"

NOVEL = str(ASSETS / "text/moby-dick/data/data.txt")
SPEECH = str(ASSETS / "text/sotu/data/1981_jimmy_carter_d.txt")
WORDS = str(ASSETS / "text/cmudict/data/dict.txt")
DATA = Path(tempfile.gettempdir()) / "refquant-results-data"
"""Made by `prepare`: the demo's images as arrays; speech with its texts."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A question to ``refquant evaluate``: the name of the answer, and the options that ask it.

    ``{folder}`` in an option is the folder of the cell, where the quantized parts are.
    """

    name: str
    options: tuple[str, ...]
    key: str = "value"

    def value(self, answer: Mapping[str, Any]) -> float | None:
        """Return the number: ``value``, another key, or one of the output that was asked for."""
        if self.key not in answer:
            answer = next(o for o in answer["outputs"] if o["output"] == answer["output"])
        found = answer[self.key]
        return None if found is None else float(found)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model: its parts are quantized one by one, its metrics asked of the ``asked`` part."""

    name: str
    title: str
    source: str
    calibration: tuple[str, ...]
    metrics: tuple[Metric, ...]
    recipes: tuple[str, ...]
    about: str
    parts: tuple[str, ...] = ("",)
    asked: str = ""
    sums: str = "blas"
    calibration_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def data(self, part: str) -> tuple[str, ...]:
        """Return the options that calibrate ``part``: its own, or those of all."""
        return self.calibration_of.get(part, self.calibration)


def grouped(bits: int, algorithm: str, more: str = "") -> str:
    """Return a weight-only recipe: asymmetric, in groups of 64, but for the algorithm alike."""
    return (
        'scheme = "weight_only"\ncontract = "ort"\n\n[weights]\n'
        f'bits = {bits}\nsymmetric = false\ngranularity = "group"\ngroup_size = 64\n'
        f'algorithm = "{algorithm}"\n{more}'
    )


IN_ORDER = "gptq = { act_order = false }\n"
STATIC = (
    'scheme = "simulated"\ncontract = "ort"\n\n[inputs]\nformat = "int8"\ngranularity = "tensor"\n'
    'range = "static"\n\n[weights]\nbits = 8\nsymmetric = true\ngranularity = "per_channel"\n'
)
"""8-bit weights, 8-bit inputs by one scale of a tensor: what SmoothQuant is for."""

OWN = {
    "w8a8_static_inputs": STATIC,
    "w8a8_static_inputs_smoothed": STATIC + "\n[transforms]\nsmooth = 0.5\n",
    "int4_gptq_in_order": grouped(4, "gptq", IN_ORDER),
    "int3_rtn": grouped(3, "rtn"),
    "int3_awq": grouped(3, "awq"),
    "int3_gptq_in_order": grouped(3, "gptq", IN_ORDER),
    "int4_symmetric_64": grouped(4, "rtn").replace("symmetric = false", "symmetric = true"),
}
"""Recipes that differ in one thing, for the papers' claims; groups of 64 where there are groups."""


SHAPES = tuple(OWN)

WEIGHTS = (
    "float32", "int8_weight_only", "int4_rtn", "int4_hqq", "int4_kquant", "int4_awq", "int4_gptq",
    "int3_gptq", "nf4", "nf4_gptq", "mxfp4", "nvfp4", "fp8_weight_only",
)  # fmt: skip
ACTIVATIONS = (
    "int8_dynamic", "int8_static", "w8a8_static_linear", "w8a8_smoothquant",
    "w8a8_smoothquant_static", "w8a8_per_token", "llm_int8", "fp8_static", "fp8_dynamic", "mxfp8",
    "mxfp4_w4a4", "nvfp4_w4a4", "w4a4", "w4a4_rotated", "w4a8_rotated",
)  # fmt: skip
CNN = ("int8_full_integer", "w8a8_static_per_tensor", "int8_cle", "int4_adaround", "w8a8_tflite")

WHISPER = str(ASSETS / "whisper_tiny_en")
_PAIR = (
    "--encoder", "{folder}/encoder.rq",
    "--tokenizer", str(ASSETS / "whisper_tiny_en/tokenizer.json"),
)  # fmt: skip


def _compared(what: str, folder: str) -> tuple[Metric, ...]:
    """Return KL and NLL, which one question answers."""
    options = ("--metric", "kl", "--audio", str(DATA / folder), "--reference", WHISPER, *_PAIR)
    return Metric(f"KL, {what}", options), Metric(f"NLL, {what}", options, "nll")


SUBJECTS = (
    Subject(
        "fashion_cnn",
        "The demo's CNN on Fashion-MNIST",
        str(ROOT / "refquant/cli/assets/fashion_cnn.rq"),
        ("--calibration", str(DATA / "calibration.npz")),
        (
            Metric("top-1, %", ("--metric", "top1", "--data", str(DATA / "test.npz"))),
            Metric(
                "SQNR, dB",
                (
                    "--metric",
                    "sqnr",
                    "--data",
                    str(DATA / "test.npz"),
                    "--reference",
                    str(ROOT / "refquant/cli/assets/fashion_cnn.rq"),
                ),
            ),
        ),
        (*WEIGHTS, *ACTIVATIONS, *CNN),
        "0.1 million weights; 256 images to calibrate, 500 others to measure: a difference of "
        "0.2 points is one image.",
        sums="ordered",
    ),
    Subject(
        "minilm",
        "MiniLM, a sentence encoder",
        str(ASSETS / "minilm"),
        ("--calibration", NOVEL, "--samples", "48", "--context", "128"),
        tuple(
            Metric(
                name,
                (
                    "--metric",
                    "sqnr",
                    "--text",
                    SPEECH,
                    "--context",
                    "128",
                    "--samples",
                    "16",
                    "--reference",
                    str(ASSETS / "minilm"),
                    "--scores",
                    "sentence_embedding",
                ),
                key,
            )
            for name, key in (("cosine", "cosine"), ("SQNR, dB", "value"))
        ),
        (*WEIGHTS, *ACTIVATIONS, *SHAPES),
        "22.6 million weights. Calibrated on 48 pieces of 128 tokens of a novel, measured on 16 "
        "such pieces of a speech: the sentence embedding beside the float model's.",
    ),
    Subject(
        "whisper",
        "Whisper tiny.en, speech to text",
        WHISPER,
        (),
        (
            *_compared("real speech", "heard"),
            Metric("WER, %", ("--metric", "wer", "--audio", str(ASSETS / "librivox"), *_PAIR)),
            *_compared("read aloud", "read"),
        ),
        (
            *WEIGHTS,
            "int8_dynamic",
            "w8a8_smoothquant",
            "w8a8_per_token",
            *SHAPES,
        ),
        "37.8 million weights; both halves quantized. What counts is KL: how differently the "
        "quantized pair, encoder and decoder, expects each next token from what the float pair "
        "does, in nats; it is 0 for float32. Beside it NLL, the surprise of the same texts, which "
        "damage can also lower, and WER of what is heard, against what is said.\n\n"
        "The data and the metric were laid down before anything was measured; the ± of the "
        "verdicts below came after the first cells. *Real speech*: the five recordings of "
        "LibriVox that are there, 91 tokens with their ends; their texts (but for WER) are what "
        "the float model writes of them, since that is what its decoder meets in use. *Read "
        "aloud*: ten passages of a speech, by a synthesizer (Flite, four voices; the float model "
        "understands it well), 721 tokens. Calibrated on other texts only: 128 passages of a "
        "novel, read aloud. The decoder sees 8,192 tokens of them and the float encoder's sound "
        "(an array, so that no cell computes it again), the encoder 16 of the recordings, 24,000 "
        "places of sound, each a third silence. No real recording is in the calibration.",
        parts=("encoder", "decoder"),
        asked="decoder",
        calibration_of={
            "encoder": ("--calibration", str(DATA / "read_before"), "--samples", "16"),
            "decoder": ("--calibration", str(DATA / "decoder_calibration.npz")),
        },
    ),
    Subject(
        "smollm2",
        "SmolLM2, a language model",
        str(ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("--calibration", NOVEL, "--samples", "48", "--context", "128"),
        (
            Metric(
                "perplexity",
                (
                    "--metric",
                    "perplexity",
                    "--text",
                    SPEECH,
                    "--context",
                    "512",
                    "--samples",
                    "4",
                    "--tokenizer",
                    str(ASSETS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
                ),
            ),
        ),
        (
            "float32",
            "int8_weight_only",
            "w8a8_per_token",
            "w8a8_static_inputs",
            "w8a8_static_inputs_smoothed",
            "int4_rtn",
            "int4_gptq",
            "int3_gptq",
            "int3_rtn",
        ),
        "134.5 million weights. **Not a float model**: these are the weights of a Q4_1 file, read "
        "as float32. They lie on a grid of 4 bits in blocks of 32, which flatters every 4-bit "
        "recipe that finds that grid again and is fair to 8 and 3 bits. Four windows of 512 "
        "tokens of a speech, no BOS; calibrated on 48 pieces of 128 tokens of a novel.",
    ),
    Subject(
        "g2p",
        "g2p-en, letters to phonemes, GRU",
        str(ASSETS / "g2p/checkpoint20.npz"),
        (),
        (
            Metric(
                "phoneme errors, %",
                ("--metric", "phonemes", "--words", WORDS, "--encoder", "{folder}/encoder.rq"),
            ),
        ),
        (
            "float32",
            "int8_weight_only",
            "int4_rtn",
            "int4_hqq",
            "nf4",
            "mxfp4",
            "nvfp4",
            "fp8_weight_only",
            "w2_group16_weight_only",
        ),
        "0.8 million weights; 1,000 words of a dictionary: of their phonemes, how many must "
        "be changed (float32 has 69.1 % of the words right).",
        parts=("encoder", "decoder"),
        asked="decoder",
    ),
)
"""All subjects, in the order of the page."""
