"""Weight only: float arithmetic on weights that a file holds as codes."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import dequantize
from refquant.model.build import Builder
from refquant.model.coded import coded_reals
from refquant.model.encode_tables import encode_weight
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.metrics import tensor_bytes
from refquant.model.params import qparams_of
from refquant.model.quantize import quantize
from refquant.model.quantize_weight_only import quantize_weight_only
from refquant.model.reals import reals
from refquant.model.recipe import Override, Recipe, Weights, recipe
from refquant.numerics.blocks import parameter_shape
from tests.refquant.model.small_cnn import samples, small_cnn

WEIGHTS = ("stem.weight", "dw.w", "pw.w", "side.w", "fc.w", "head.w")


def _recipe(weights: Weights, *overrides: Override) -> Recipe:
    return Recipe("r", "weight_only", "ort", weights=weights, overrides=overrides)


def test_it_computes_what_dequantized_weights_compute() -> None:
    q = quantize(small_cnn(), recipe("w4_group32_weight_only"))
    plain = fold(small_cnn())
    for name in WEIGHTS:
        plain.constants[name][...] = dequantize(q.constants[name], qparams_of(q, name))
    x = samples(3)
    assert run(q, x)["y"].tobytes() == run(plain, x)["y"].tobytes(), "the same float32 program"


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_dtypes_blocks_and_depthwise(bits: int, symmetric: bool) -> None:
    rules = Weights(bits, symmetric, granularity="group", group_size=16)
    q = quantize(small_cnn(), _recipe(rules))
    blocks = {name: q.values[name].quant.block_shape for name in WEIGHTS}  # type: ignore[union-attr]
    assert blocks == {
        "stem.weight": (1, 1, 3, 3), "dw.w": (1, 1, 3, 3), "pw.w": (1, 8, 1, 1),
        "side.w": (1, 8, 1, 1), "fc.w": (16, 1), "head.w": (1, 6),
    }, blocks  # fmt: skip
    dtypes = {name: q.values[name].dtype for name in WEIGHTS}
    eight = rules.dtype if bits == 8 else "int8"
    assert dtypes.pop("dw.w") == eight, "depthwise weights keep 8 bits"
    assert set(dtypes.values()) == {rules.dtype}, dtypes
    for name in WEIGHTS:
        scales = q.constants[f"{name}/scale"]
        assert scales.shape == parameter_shape(q.constants[name].shape, blocks[name] or ()), name
    assert ("fc.w/zero_point" in q.constants) != symmetric, "a zero point a block"


def test_an_override_has_its_way_with_depthwise_weights() -> None:
    q = quantize(small_cnn(), _recipe(Weights(4), Override("dw", weights={"bits": 4})))
    assert q.values["dw.w"].dtype == "int4", q.values["dw.w"]


def test_another_size_of_groups_fits_depthwise_weights_too() -> None:
    base = Weights(4, granularity="group", group_size=32)
    q = quantize(small_cnn(), _recipe(base, Override("*", weights={"group_size": 8})))
    kept = q.values["dw.w"]
    assert kept.dtype == "int8", "8 bits, as nobody named others"
    assert kept.quant is not None, "codes"
    assert kept.quant.block_shape == (1, 1, 2, 3), "at most 8 of 9"
    assert q.values["fc.w"].quant.block_shape == (8, 1), "the others"  # type: ignore[union-attr]


def test_fewer_bits_take_fewer_bytes() -> None:
    sizes = [
        tensor_bytes(quantize(small_cnn(), _recipe(Weights(bits))))["fc.w"] for bits in (8, 4, 2)
    ]
    assert sizes == [3000, 1500, 750], sizes


def test_everything_else_is_as_folding_left_it() -> None:
    q, plain = quantize(small_cnn(), recipe("w8_weight_only")), fold(small_cnn())
    assert [n.name for n in q.nodes] == [n.name for n in plain.nodes], "the same nodes"
    assert {n.op for n in q.nodes if n.contract == "ort"} == {"Conv", "MatMul", "Gemm"}
    for name in ("stem.bias", "fc.b", "head.b"):
        assert np.array_equal(q.constants[name], plain.constants[name]), f"{name} is float32"
    assert q.contracts == {"ort": preset("ort")}, "one contract, for the codes' meaning"


@pytest.mark.parametrize("format", ["nf4", "fp8_e4m3", "mxfp4", "nvfp4"])
def test_a_format_s_codes_are_those_of_the_format(format: str) -> None:
    """One table a graph, shared; the reals are what `refquant.formats` makes of the same blocks."""
    plain = fold(small_cnn())
    rules = {"fc": Weights(format=format), "pw": Weights(format=format)}
    b = quantize_weight_only(plain, rules, contract=preset("ort"))
    q = b.graph(plain.outputs)
    tables = {value.quant.table for value in q.values.values() if value.quant is not None}
    assert len(tables) == (1 if format in ("nf4", "fp8_e4m3") else 2), f"{tables}"
    w = plain.constants["fc.w"]
    block = q.values["fc.w"].quant.block_shape  # type: ignore[union-attr]
    alone = encode_weight(w, format=format, block_shape=block)
    assert reals(q, "fc.w", q.constants["fc.w"]).tobytes() == coded_reals(alone).tobytes(), "reals"


def test_the_hook_refuses_algorithms_that_need_data() -> None:
    with pytest.raises(ValueError, match=r"node 'fc': weights\.algorithm must be 'rtn' here"):
        quantize_weight_only(fold(small_cnn()), {"fc": Weights(4, algorithm="gptq")},
                             contract=preset("ort"))  # fmt: skip


def test_weights_that_are_alike_are_there_once_and_others_get_a_name() -> None:
    """Two layers share a constant; one format twice is one constant, two formats are two."""
    b = Builder("g")
    x, w = b.input("x", ("N", 64)), b.constant("w", np.eye(64, dtype=np.float32))
    ys = [b.node("MatMul", [x, w], name=name) for name in ("a", "c")]
    g, ort = b.graph(ys), preset("ort")
    same = quantize_weight_only(g, dict.fromkeys("ac", Weights(format="nvfp4")), contract=ort)
    assert [n.inputs[1] for n in same.nodes] == ["w", "w"], "one"
    two = {"a": Weights(format="nvfp4"), "c": Weights(format="mxfp4")}
    assert [n.inputs[1] for n in quantize_weight_only(g, two, contract=ort).nodes] == ["w", "w/c"]
