"""The header compiles without a warning, and a device reads the bytes, types and shapes from it."""

import subprocess
from pathlib import Path

import pytest

from refquant_conformance.vectors.generate import generate
from refquant_conformance.vectors.header import header
from refquant_conformance.vectors.read import Vector, published_vectors, read
from refquant_conformance.wire import dumps
from tests.conformance.vectors.files import OP, small

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
PROGRAM = """#include "v.h"
#include <stdio.h>
#include <string.h>
int main(void) {
  size_t n = sizeof refquant_vectors / sizeof *refquant_vectors;
  for (const struct refquant_vector *v = refquant_vectors; v < refquant_vectors + n; v++) {
    printf("%s %s %d %s %zu:", v->op, v->scheme, v->number, v->params, v->expected);
    for (size_t i = 0; i < v->arrays; i++) {
      const struct refquant_array *a = v->data + i;
      printf(" %s %s [", a->name, a->type);
      for (size_t k = 0; k < a->rank; k++) printf(" %zu", a->shape[k]);
      printf(" ] ");
      for (size_t k = 0; k < a->size; k++) printf("%02x", a->bytes[k]);
    }
    puts("");
  }
  return 0;
}
"""


def _line(vector: Vector, contract: str) -> str:
    (outputs,) = [e.outputs for e in vector.expected if contract in e.contracts]
    case, words = vector.case, []
    for name, array in [*case.inputs.items(), *(outputs or {}).items()]:
        shape = " ".join(["[", *map(str, array.shape), "]"])
        words.append(f" {name} {case.types[name]} {shape} {array.tobytes().hex()}")
    listed = {k: ",".join(map(str, v)) if type(v) is tuple else v for k, v in case.params.items()}
    params = " ".join(f"{name}={value}" for name, value in listed.items())
    start = f"{case.op} {case.scheme} {vector.number} {params} {len(case.inputs)}:"
    return start + "".join(words)


@pytest.mark.parametrize("op", [OP, "lstm", "move"])
def test_a_program_reads_from_the_header_what_stands_in_the_file(op: str, tmp_path: Path) -> None:
    data = small() if op == OP else dumps(generate(op)).encode()
    vectors = [v for v in read("x.json", data) if any("onnx" in e.contracts for e in v.expected)]
    assert vectors, "onnx has no answer"
    (tmp_path / "v.h").write_text(header(vectors, contract="onnx"), "utf-8")
    (tmp_path / "m.c").write_text(PROGRAM, "utf-8")
    subprocess.run(["cc", *STRICT, "-o", tmp_path / "m", tmp_path / "m.c"], check=True)
    said = subprocess.run([tmp_path / "m"], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [_line(vector, "onnx") for vector in vectors], "other vectors"


def test_who_has_no_answer_has_no_header() -> None:
    with pytest.raises(ValueError, match="no vector has an answer of the contract 'nobody'"):
        header(read("x.json", small()), contract="nobody")


@pytest.mark.slow
def test_the_header_of_every_operator_compiles(tmp_path: Path) -> None:
    cells: dict[tuple[str, str], list[Vector]] = {}
    for vector in published_vectors():
        cells.setdefault((vector.case.op, vector.case.scheme), []).append(vector)
    (tmp_path / "m.c").write_text(PROGRAM, "utf-8")
    for (op, scheme), vectors in cells.items():
        answered = [e for vector in vectors for e in vector.expected if e.outputs is not None]
        assert answered, f"{op} {scheme}: every answer is a refusal"
        contract = answered[0].contracts[0]
        (tmp_path / "v.h").write_text(header(vectors, contract=contract), "utf-8")
        done = subprocess.run(["cc", *STRICT, "-fsyntax-only", tmp_path / "m.c"], check=False)
        assert done.returncode == 0, f"{op} {scheme} does not compile"
