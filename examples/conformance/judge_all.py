"""Judge every installed backend, one report each, and make one page of all.

What is not installed is skipped, with a sentence that says how to install it. A backend that
deviates is a finding and no failure of this program: it ends with 1 if our own runtime has a red
line, if a backend that is installed could not be asked, or if seeds disagree about a verdict.

    python examples/conformance/judge_all.py --reports reports
    python examples/conformance/judge_all.py --reports reports torch torch:decomposed mlx

NumPy's OpenBLAS adds in another order on other processors, and `onnx:qdq` with it. The judge knows
the order of its kernels for SkylakeX: a processor with AVX-512 VNNI is told to take these; others
take what OpenBLAS takes, and their report says so. `--openblas-kernels` chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refquant_conformance.adapters import BackendError, MissingBackendError, names
from refquant_conformance.adapters.engine import cpu_flags
from refquant_conformance.judge import Judgement, judge
from refquant_conformance.profiles import PROFILES
from refquant_conformance.report.document import document
from refquant_conformance.report.findings import findings
from refquant_conformance.report.page import page
from refquant_conformance.report.standing import standing, standing_table
from refquant_conformance.side_by_side import DEFAULT_JOBS
from refquant_conformance.stability import wavering
from refquant_conformance.subject import Worker
from refquant_conformance.verdict import RED

NO_ENGINES = ("reference", "mutant", "cmd")
SETTINGS = {
    "onnxruntime": ("onnxruntime", "onnxruntime:qdq"),
    "onnx": ("onnx", "onnx:qdq"),
    "litert": ("litert:xnnpack", "litert:builtin", "litert:reference"),
    "torch": ("torch", "torch:decomposed", "torch:fake"),
    "qonnx": ("qonnx", "qonnx:half_up"),
}
"""The settings that are backends of their own, where a name has some."""


def everybody() -> list[str]:
    """Return every backend that there is to ask, installed or not."""
    known = [name for name in names() if name not in NO_ENGINES]
    return [setting for name in known for setting in SETTINGS.get(name, (name,))]


def judged(spec: str, profile: str, seeds: Sequence[int], jobs: int) -> list[Judgement]:
    """Return the judgements of one backend; ``MissingBackendError`` if it is not installed."""
    subject = Worker(spec)
    try:
        return [judge(subject, profile=PROFILES[profile], seed=seed, jobs=jobs) for seed in seeds]
    finally:
        subject.close()


def line(spec: str, report: dict[str, Any], seconds: float) -> str:
    """Return what is to be said of one report on one line; the time is that of one seed."""
    row = standing(report)
    counts = Counter(report["summary"])
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    version = report["backend"]["version"]
    named = f"{row.identified} of {row.cells} identified, {row.exact} exact"
    return f"{spec} {version}: {named}; {told}; {seconds:.0f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, write, say what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backends", nargs="*", help="names of 'list' (default: all)")
    parser.add_argument("--reports", type=Path, required=True, help="a folder for the reports")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="ci", help="(default ci)")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default 0)")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on (default 1)")
    parser.add_argument("--jobs", type=int, default=DEFAULT_JOBS, help="cells asked at once")
    known = "SkylakeX" if "avx512_vnni" in cpu_flags() else ""
    parser.add_argument("--openblas-kernels", default=known, help="(default SkylakeX, if it can)")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="write the findings, too")
    chosen = parser.parse_args(arguments)
    if chosen.openblas_kernels:
        os.environ["OPENBLAS_CORETYPE"] = chosen.openblas_kernels  # read by the workers' NumPy
    chosen.reports.mkdir(parents=True, exist_ok=True)
    reports, failed = [], False
    for spec in chosen.backends or everybody():
        started = time.perf_counter()
        try:
            seeds = range(chosen.seed, chosen.seed + max(1, chosen.seeds))
            by_seed = judged(spec, chosen.profile, seeds, max(1, chosen.jobs))
        except MissingBackendError as absent:
            print(f"{spec}: skipped, {absent}", flush=True)
            continue
        except BackendError as error:
            print(f"{spec}: not asked, {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        seconds = (time.perf_counter() - started) / len(by_seed)
        report = document(by_seed[0])
        file = chosen.reports / f"{spec.replace(':', '-')}.json"
        file.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        print(line(spec, report, seconds), flush=True)
        for one in wavering(by_seed):
            print(f"  depends on the seed: {one}", flush=True)
            failed = True
        reports.append(report)
        own = spec.partition(":")[0] == "runtime"
        failed |= own and any(one["verdict"] in RED for one in report["results"])
    print(standing_table(reports), end="")
    (chosen.reports / "page.html").write_bytes(page(reports))
    if chosen.findings is not None:
        chosen.findings.write_text(findings(reports), "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
