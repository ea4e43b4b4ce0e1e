"""A language model quantized layer by layer: time, memory, and what it costs.

SmolLM2 (135 million weights, 210 linear layers in its blocks) is quantized by shipped recipes, on
pieces of Moby Dick; its perplexity is taken on a speech of 1981, in contexts of 512 tokens without
BOS. Each recipe gets a process of its own: read the model, quantize it with a
checkpoint of every layer, write the file, as `refquant quantize` does. The bar for `int4_gptq`: 10
minutes and 4 GiB on 2 cores.

The last product, with the table of embeddings, which gives the scores (`logits`), stays float32, as
in the papers on GPTQ, AWQ and HQQ; ``--head recipe`` quantizes it like the blocks, ``--head int8``
to 8 bits in groups of 64, rounded to nearest. ``--sums blas`` is faster, and binds the bytes to
this machine; ``--threads`` are BLAS's.

    make assets WANT="smollm2 text"
    python benchmarks/quantize_llm.py
    python benchmarks/quantize_llm.py --recipes int4_gptq --tokens 65536 --head recipe --json
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

MODEL = ROOT / "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CALIBRATION = ROOT / "assets/text/moby-dick/data/data.txt"
EVALUATION = ROOT / "assets/text/sotu/data/1981_jimmy_carter_d.txt"
CONTEXT = 512
RECIPES = ("float32", "int4_rtn", "int4_gptq")
HEADS: dict[str, dict[str, Any] | None] = {
    "float": {"exclude": True},
    "int8": {"weights": {"bits": 8, "algorithm": "rtn", "granularity": "group", "group_size": 64}},
    "recipe": None,
}


def main() -> None:
    """Measure and print. Imports nothing large: a child's peak counts from its parent's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), metavar="NAME")
    parser.add_argument("--tokens", type=int, default=16_384, help="to calibrate on")
    parser.add_argument("--length", type=int, default=128, help="of a calibration sequence")
    parser.add_argument("--sums", choices=("ordered", "blas", "recipe"), default="recipe")
    parser.add_argument("--head", choices=tuple(HEADS), default="float")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows", type=int, default=16, help=f"of {CONTEXT} tokens, to evaluate")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--step", choices=tuple(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments)))
        return
    if not all(path.exists() for path in (MODEL, CALIBRATION, EVALUATION)):
        print('nothing measured: make assets WANT="smollm2 text"', file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(name, Path(folder)) for name in arguments.recipes]
    if arguments.json:
        print(json.dumps(rows))
        return
    print(
        f"{'recipe':12} {'tokens':>7} {'seconds':>8} {'MiB':>6} {'file':>6} {'loss':>8} perplexity"
    )
    for row in rows:
        loss = "-" if row["mean_loss"] is None else f"{row['mean_loss']:.5f}"
        print(
            f"{row['recipe']:12} {row['tokens']:7} {row['seconds']:8.1f} {row['peak_rss_mb']:6.0f} "
            f"{row['bytes'] >> 20:6} {loss:>8} {row['perplexity']:.2f}"
        )


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Return the row of one recipe: two children, so that looking costs the quantizer no memory."""
    file = folder / f"{name}.rq"
    return {**_child("quantize", name, file), **_child("evaluate", name, file)}


def quantize_step(arguments: argparse.Namespace) -> dict[str, Any]:
    """Quantize, write the file, and return what it took."""
    from dataclasses import replace

    from refquant.model.checkpoint import partial_path, remove_checkpoint
    from refquant.model.loaders.smollm2_gguf import load_llama_gguf, prompt
    from refquant.model.quantize import quantize
    from refquant.model.recipe import Override, recipe
    from refquant.model.rq import write_rq

    name, begin = arguments.recipes[0], time.perf_counter()
    rules = recipe(name)
    head = HEADS[arguments.head]
    if head is not None and rules.weights is not None:
        rules = replace(rules, overrides=(*rules.overrides, Override("logits", **head)))
    if arguments.sums != "recipe":
        rules = replace(rules, sums=arguments.sums)
    graph = load_llama_gguf(MODEL, positions=CONTEXT)
    data = prompt(pieces(arguments.tokens, arguments.length)) if rules.needs_data else None
    loaded = time.perf_counter()
    partial = partial_path(arguments.file)
    show = progress if sys.stderr.isatty() else lambda done: None
    made = quantize(graph, rules, data, checkpoint=partial, report=show)
    quantized = time.perf_counter()
    write_rq(arguments.file, made)
    remove_checkpoint(partial)
    end = time.perf_counter()
    layers = made.meta.get("numerics", {}).get("layers", [])
    losses = {r["node"]: r["loss"] for r in layers if r["op"] != "Gather"}  # a table has no inputs
    return {
        "recipe": name,
        "sums": rules.sums,
        "head": arguments.head,
        "tokens": arguments.tokens if rules.needs_data else 0,
        "length": arguments.length,
        "threads": arguments.threads,
        "load_s": loaded - begin,
        "quantize_s": quantized - loaded,
        "write_s": end - quantized,
        "seconds": end - begin,
        "cpu_s": time.process_time(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # KiB on Linux
        "bytes": arguments.file.stat().st_size,
        "layers": len(losses),
        "mean_loss": mean(losses.values()) if losses else None,
        "losses": losses,
    }


def evaluate_step(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the perplexity of the file."""
    import numpy as np

    from refquant.model.execute import run
    from refquant.model.loaders.smollm2_gguf import prompt
    from refquant.model.rq import read_rq

    graph, ids = read_rq(arguments.file), tokens(EVALUATION)
    surprise, begin = 0.0, time.perf_counter()
    count = min(arguments.windows, len(ids) // CONTEXT)
    for first in range(0, count, 4):
        part = range(first, min(first + 4, count))
        windows = np.asarray([ids[i * CONTEXT : (i + 1) * CONTEXT] for i in part])
        scores = run(graph, prompt(windows), sums="blas")["logits"]
        for window, own in zip(windows, scores, strict=True):
            logits = own[:-1].astype(np.float64)
            logits -= logits.max(axis=-1, keepdims=True)
            right = logits[np.arange(CONTEXT - 1), window[1:]]
            surprise += float((np.log(np.exp(logits).sum(axis=-1)) - right).sum())
    return {
        "perplexity": float(np.exp(surprise / (count * (CONTEXT - 1)))),
        "context": CONTEXT,
        "windows": count,
        "evaluate_s": time.perf_counter() - begin,
    }


STEPS = {"quantize": quantize_step, "evaluate": evaluate_step}


def pieces(count: int, length: int) -> Any:
    """Return ``count`` tokens as sequences (N, length), spread evenly over the calibration text."""
    import numpy as np

    ids = np.asarray(tokens(CALIBRATION), np.int32)
    rows = len(ids) // length
    wanted = count // length
    if not 0 < wanted <= rows:
        raise SystemExit(f"--tokens: from {length} to {rows * length} in that text, got {count}")
    chosen = np.arange(wanted) * rows // wanted
    return ids[: rows * length].reshape(rows, length)[chosen]


def tokens(path: Path) -> list[int]:
    """Return the text of ``path`` as the model's tokens."""
    from refquant.formats.gguf import read_gguf
    from refquant.model.loaders.text import gguf_tokenizer

    encoder = gguf_tokenizer(read_gguf(MODEL), path=str(MODEL))
    found: list[int] = encoder.encode(path.read_text("utf-8")).ids
    return found


def progress(done: Any) -> None:
    """Show a finished layer on the terminal."""
    loss = done.record["loss"]
    print(
        f"\r{done.index}/{done.count} {done.record['node']} {loss:.5f}   ", end="", file=sys.stderr
    )


def _child(step: str, name: str, file: Path) -> dict[str, Any]:
    """Run this script again for one step; BLAS has its threads from the environment."""
    threads = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    command = [sys.executable, __file__, *sys.argv[1:], "--recipes", name]
    done = subprocess.run(
        [*command, "--step", step, "--file", str(file)],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name}: {step} failed with {done.returncode}")
    row: dict[str, Any] = json.loads(done.stdout)
    return row


if __name__ == "__main__":
    main()
