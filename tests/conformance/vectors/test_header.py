"""The header compiles without a warning, and holds the bytes."""

import subprocess
from pathlib import Path

import pytest

from refquant_conformance.vectors.header import header
from refquant_conformance.vectors.read import read
from tests.conformance.vectors.files import OP, small


def test_the_header_compiles_and_holds_the_bytes(tmp_path: Path) -> None:
    vectors = list(read("x.json", small()))
    (tmp_path / "v.h").write_text(header(vectors, contract="onnx"), "utf-8")
    (tmp_path / "m.c").write_text(
        '#include "v.h"\n#include <string.h>\n#include <stdio.h>\nint main(void) {\n'
        "  size_t n = sizeof refquant_vectors / sizeof *refquant_vectors, i, bytes = 0;\n"
        "  for (i = 0; i < n; i++) bytes += refquant_vectors[i].data[0].size;\n"
        '  printf("%zu %zu\\n", n, bytes);\n  return strcmp(refquant_vectors[0].op, '
        f'"{OP}") != 0;\n}}\n',
        "utf-8",
    )
    strict = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
    subprocess.run(["cc", *strict, "-o", tmp_path / "m", tmp_path / "m.c"], check=True)
    said = subprocess.run([tmp_path / "m"], capture_output=True, text=True, check=True).stdout
    size = sum(v.case.inputs["x"].nbytes for v in vectors)
    assert said == f"{len(vectors)} {size}\n", said
    with pytest.raises(ValueError, match="no vector has an answer"):
        header(vectors, contract="nobody")
