"""The bytes say what a file is; a name helps only where the bytes are nobody's."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.g2p_gru import g2p_graphs
from refquant.model.loaders.minilm import minilm_graph
from refquant.model.loaders.smollm2_gguf import llama_graph
from refquant.model.loaders.sources import PARTS, find_source, open_model
from refquant.model.loaders.tensors import ModelFileError, Tensors
from refquant.model.loaders.whisper_ct2 import whisper_graphs
from refquant.model.rq import RqFormatError, read_rq, write_rq
from tests.refquant.model.importers.onnx_models import model, node
from tests.refquant.model.importers.test_tflite_read import SMALL
from tests.refquant.model.loaders import on_disk, tiny


def files(folder: Path) -> dict[str, Path]:
    """A file for each loader, under the name that its world gives it."""
    made = {
        "bert": on_disk.minilm(folder / "bert") / "model.safetensors",
        "whisper": on_disk.whisper(folder / "whisper") / "model.bin",
        "llama": on_disk.llama(folder / "m.gguf"),
        "g2p": on_disk.g2p(folder / "checkpoint20.npz"),
        "rq": folder / "m.rq",
        "tflite": folder / "m.tflite",
        "onnx": folder / "m.onnx",
    }
    small = model([node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 2]}, ["y"],
                  {"w": np.ones((2, 9), np.float32)})  # fmt: skip
    made["onnx"].write_bytes(small.SerializeToString())
    made["tflite"].write_bytes(SMALL[:-6])  # the last table is empty, nobody misses its end
    write_rq(made["rq"], known()["bert"][0])
    return made


def known() -> dict[str, tuple[Graph, ...]]:
    """What the loaders make, straight from the tensors."""
    bert = minilm_graph(Tensors("m", tiny.minilm_arrays()), heads=2)
    return {
        "bert": (bert,),
        "rq": (bert,),
        "whisper": whisper_graphs(Tensors("m", tiny.whisper_arrays())),
        "llama": (llama_graph(tiny.llama_file(), path="m", positions=None),),
        "g2p": g2p_graphs(Tensors("m", tiny.g2p_arrays())),
        "tflite": (tflite_graph(SMALL, path="m"),),
    }


@pytest.mark.parametrize("loader", sorted(PARTS.keys() - {"onnx"}))  # it has no mark
@pytest.mark.parametrize("name", ["{}", "model", "model.rq", "model.npz", "model.onnx"])
def test_the_bytes_decide_under_any_name(loader: str, name: str, tmp_path: Path) -> None:
    given = files(tmp_path)[loader]
    path = given.with_name(name.format(given.name))
    given.rename(path)
    source = find_source(path)
    assert (source.loader, source.file) == (loader, path), f"{source}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for part, graph in zip(PARTS[loader] or (None,), known()[loader], strict=True):
        got = open_model(path, part=part)
        imported = {"file": path.name, "sha256": digest, "loader": loader, "part": part}
        meta = graph.meta if loader == "rq" else {**graph.meta, "imported": imported}
        assert got == replace(graph, meta=meta), f"{part or loader}: another graph"


def test_a_folder_stands_for_the_model_in_it(tmp_path: Path) -> None:
    made = files(tmp_path)
    for loader in ("bert", "whisper"):
        assert find_source(made[loader].parent).file == made[loader], loader
    for loader in ("llama", "g2p"):
        folder = tmp_path / f"of_{loader}"
        folder.mkdir()
        made[loader].rename(folder / made[loader].name)
        assert find_source(folder).loader == loader, loader


def test_a_folder_with_none_or_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"the folder has no model\.safetensors"):
        open_model(tmp_path)
    on_disk.llama(tmp_path / "a.gguf")
    on_disk.llama(tmp_path / "b.gguf")
    with pytest.raises(ModelFileError, match=r"the folder has a\.gguf, b\.gguf; give the path"):
        open_model(tmp_path)


@pytest.mark.parametrize("loader", sorted(PARTS))
def test_a_part_is_needed_exactly_where_there_are_several(loader: str, tmp_path: Path) -> None:
    path = files(tmp_path)[loader]
    if not PARTS[loader]:
        with pytest.raises(ModelFileError, match="one graph without a part 'encoder'; leave"):
            open_model(path, part="encoder")
        return
    with pytest.raises(ModelFileError, match=r"the parts 'encoder', 'decoder'; choose one"):
        open_model(path)
    with pytest.raises(ModelFileError, match="has no part 'head', but 'encoder', 'decoder'"):
        open_model(path, part="head")


def test_onnx_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "m.ONNX"
    with pytest.raises(ModelFileError, match=r"m\.ONNX: cannot be read: No such file"):
        open_model(path)
    path.write_bytes(b"\x08\x07\x12\x04abcd")
    with pytest.raises(ModelFileError, match=r"m\.ONNX: the model has no graph; export it again"):
        open_model(path)
    made = model([node("Relu", ["x"], ["y"])], {"x": ["N", 2]}, ["y"]).SerializeToString()
    path.write_bytes(made)
    graph = open_model(path)
    assert [n.op for n in graph.nodes] == ["Relu"], "the graph"
    told = graph.meta["imported"]
    assert (told["loader"], told["sha256"]) == ("onnx", hashlib.sha256(made).hexdigest()), "whose"


def test_a_contract_is_for_tflite_only(tmp_path: Path) -> None:
    made = files(tmp_path)
    graph = open_model(made["tflite"], contract="tflite_reference")
    assert graph.meta["tool"] == "tflite_reference", "as asked"
    with pytest.raises(ModelFileError, match="only TFLite models take a contract; leave it away"):
        open_model(made["bert"], contract="xnnpack")


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no model that this version reads; it reads .rq, .tflite, .onnx"),
        (b"# Text, of any kind, which is no model at all", "is no model that this version reads"),
        (bytes(64), "is no model that this version reads"),
        (zipped("a.txt"), "is no model that this version reads"),
        (zipped(), "is no model that this version reads"),
        (b"PK\3\4 and then nothing", "is no model that this version reads"),
        (zipped("archive/data.pkl", "archive/0"), "is a pickle of PyTorch.*as safetensors"),
        (on_disk.ctranslate2({}, spec="TransformerSpec"), "must be a CTranslate2 Whi.*, got 'Tr"),
        (zipped("w.npy", "b.npy"), "is an .npz of other arrays than g2p-en's"),
        (zipped("enc_emb.npy"), "is no .npz archive"),
    ],
)
def test_what_is_nobodys_is_refused_in_one_sentence(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ModelFileError, match=f"model: {said}") as caught:
        open_model(tmp_path / "model", part="encoder" if b"enc_emb" in data else None)
    assert "\n" not in str(caught.value), f"{caught.value}"


@pytest.mark.parametrize("loader", sorted(PARTS))
def test_every_cut_of_every_file_is_refused(loader: str, tmp_path: Path) -> None:
    path = files(tmp_path)[loader]
    whole = path.read_bytes()
    for end in {*range(0, 80), *range(80, len(whole), max(1, len(whole) // 60))}:
        path.write_bytes(whole[:end])
        with pytest.raises((ModelFileError, RqFormatError), match=path.name):
            open_model(path, part=PARTS[loader][0] if PARTS[loader] else None)


@pytest.mark.parametrize("name", ["m.rq", "m.gguf", "m.safetensors", "m.npz", "m", "m/n"])
def test_what_is_not_there_is_said(name: str, tmp_path: Path) -> None:
    part = "encoder" if name.endswith("npz") else None
    with pytest.raises(ValueError, match=rf"{name}.*[Nn]o such file"):
        open_model(tmp_path / name, part=part)


def test_a_path_with_a_nul_is_no_path() -> None:
    with pytest.raises(ModelFileError, match=r"such file|null"):
        open_model("a\0b")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    arrays = tiny.whisper_arrays()
    arrays["encoder/conv1/bias"] = np.full(8, np.nan, np.float16)
    (tmp_path / "model.bin").write_bytes(on_disk.ctranslate2(arrays))
    with pytest.raises(ModelFileError, match="'encoder/conv1/bias' has NaN or infinity"):
        open_model(tmp_path, part="encoder")


def test_an_imported_graph_is_written_and_read(tmp_path: Path) -> None:
    graph = open_model(on_disk.minilm(tmp_path / "minilm"))
    write_rq(tmp_path / "m.rq", graph)
    assert read_rq(tmp_path / "m.rq") == graph, "meta and all"


Edit = Callable[[Path], object]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda f: on_disk.minilm(f, num_attention_heads=3), "of 8 for 3 heads"),
        (lambda f: on_disk.minilm(f, num_attention_heads="2"), "num_attention_heads must be at"),
        (lambda f: on_disk.minilm(f, layer_norm_eps=0), r"layer_norm_eps must be in \(0, 1\)"),
        (lambda f: on_disk.minilm(f, hidden_act="relu"), "hidden_act must be 'gelu', got 'relu'"),
        (lambda f: on_disk.minilm(f, model_type="roberta"), "model_type must be 'bert'"),
        (lambda f: on_disk.minilm(f, is_decoder=True), "is_decoder must be False"),
        (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), r"must be an object, got \[\]"),
        (lambda f: (f / "config.json").unlink(), r"is not MiniLM \(384 wide\), and no config"),
        (lambda f: shutil.move(f / "config.json", f / "c") and (f / "config.json").mkdir(),
         "cannot be read: Is a directory"),
    ],
)  # fmt: skip
def test_the_configuration_is_asked_for_what_tensors_do_not_say(
    edit: Edit, said: str, tmp_path: Path
) -> None:
    folder = on_disk.minilm(tmp_path / "minilm")
    edit(folder)
    with pytest.raises(ModelFileError, match=said):
        open_model(folder)


@pytest.mark.parametrize("suffix", [".onnx", ".ONNX"])
def test_a_model_that_is_not_there(suffix: str) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        open_model(f"model{suffix}")
