"""A report is what its schema says, whatever was found."""

import json
import struct
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.subject import Local

SCHEMA = json.loads(
    files("refquant_conformance.report").joinpath("report.schema.json").read_text("utf-8")
)


def reported(backend: str) -> dict[str, Any]:
    found = judge(
        Local(load_backend(backend)),
        ops=("quantize_linear",),
        schemes=("f32_i8",),
        properties=("QDQ-02", "QDQ-03"),
    )
    made: dict[str, Any] = json.loads(json.dumps(document(found), allow_nan=False))
    return made


@pytest.mark.parametrize("backend", ["reference:onnx", "mutant:half_away"])
def test_reports_are_what_the_schema_says(backend: str) -> None:
    report = reported(backend)
    problems = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(report))
    assert not problems, f"{problems[0].json_path}: {problems[0].message}"
    assert report["results"], "nothing was reported"


def test_the_schema_can_refuse() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = reported("mutant:half_away")
    for place, wrong in (
        (("backend",), None),
        (("results", 0, "verdict"), "MAYBE"),
        (("results", 0, "counterexample"), None),  # it fails: it must have one
        (("results", 0, "counterexample", "case", "inputs", "x", "hex"), "0"),
        (("summary",), {"PASSED": 1}),
    ):
        copy = json.loads(json.dumps(report))
        where = copy
        for key in place[:-1]:
            where = where[key]
        where[place[-1]] = wrong
        valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(copy)
        assert not valid, f"a report with {place} = {wrong} is what the schema says"


def test_a_counterexample_is_the_request_and_both_answers() -> None:
    line = reported("mutant:half_away")["results"][0]
    found = line["counterexample"]
    x = found["case"]["inputs"]["x"]
    (value,) = struct.unpack("<f", bytes.fromhex(x["hex"]))
    assert (x["type"], x["shape"]) == ("float32", [1]), f"not the smallest case: {x}"
    assert found["numbers"]["x"] == [repr(value)], f"{found['numbers']} is not {value}"
    assert value % 1 == 0.5, f"{value} is no tie, and half away differs at ties only"
    assert found["expected"]["y"]["numbers"] != found["observed"]["y"]["numbers"], f"{found}"
    assert line["clause"].startswith("ONNX QuantizeLinear-21"), f"{line['clause']}"
