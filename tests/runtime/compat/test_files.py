"""Models of other formats are refused with the command that makes a `.rq` file of them."""

from pathlib import Path

import pytest

from refquant_runtime import FormatError, InputError
from refquant_runtime.compat.files import open_session
from tests.runtime.zoo import feeds_of, file_of


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("m.onnx", b"\x08\x0a", "m.onnx: is an ONNX model; make a .rq file of it with `refquant"),
        ("m.tflite", b"", "refquant import m.tflite -o m.rq"),
        ("m.bin", b"\x1c\0\0\0TFL3", "m.bin: is a TFLite model"),
        ("m.gguf", b"GGUF", "m.gguf: is a GGUF model"),
    ],
)
def test_other_models_are_named(tmp_path: Path, name: str, head: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(InputError) as caught:
        open_session(tmp_path / name, None, 1)
    assert said in str(caught.value), f"{caught.value}"


@pytest.mark.parametrize("content", [b"", b"\x08\x0a rest of a protobuf", b"\x1c\0\0\0TFL3 \0"])
def test_bytes_of_others_are_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=f"{len(content)} bytes: are no .rq file"):
        open_session(None, content, 1)


def test_bytes_are_a_model_and_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session = open_session(None, file_of("movement"), 1)
    assert session.run(feeds_of("movement", 1)), "it runs"
    assert not list(tmp_path.iterdir()), "the file is gone"
    with pytest.raises(FormatError):
        open_session(None, file_of("movement")[:-1], 1)
    assert not list(tmp_path.iterdir()), "after an error, too"
