"""Sums of reals in an engine's order: the engine, the oracle, and what the orders differ in."""

import numpy as np
import pytest

from refquant_conformance.adapters.engine import imported
from refquant_conformance.arithmetic.real_sums import ORDERS, block_of, real_sums
from refquant_conformance.oracle_real_sums import real_sum_exact

SHAPES = [(1, 1), (1, 5), (1, 17), (4, 1), (7, 1), (2, 1), (5, 8), (3, 33), (2, 70), (2, 130)]


def drawn(rows: int, columns: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows * 1000 + columns * 10 + k)
    shapes = (rows, k), (k, columns), (columns,)
    a, b, bias = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    return a, b, bias


def product_of(op: str, feeds: dict[str, np.ndarray]) -> np.ndarray:
    onnx, engine = imported("onnx", "onnxruntime"), imported("onnxruntime", "onnxruntime")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(op, list(feeds), ["y"])],
        "g",
        [helper.make_tensor_value_info(n, real, list(v.shape)) for n, v in feeds.items()],
        [helper.make_tensor_value_info("y", real, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    options = engine.SessionOptions()
    options.intra_op_num_threads = 1
    session = engine.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: np.ndarray = session.run(["y"], feeds)[0]
    return found


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
@pytest.mark.parametrize("k", [1, 4, 7, 8, 21, 140, 1100])
def test_the_order_of_mlas_is_onnxruntimes(rows: int, columns: int, k: int) -> None:
    a, b, bias = drawn(rows, columns, k)
    alone, added = product_of("MatMul", {"a": a, "b": b}), {"a": a, "b": b, "c": bias}
    assert (real_sums(a, b, order="reals_mlas") == alone).all(), "MatMul"
    ours = real_sums(a, b, order="reals_mlas", start=bias)
    assert (ours == product_of("Gemm", added)).all(), "Gemm"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [*SHAPES, (1, 7), (9, 1)])
def test_the_oracle_counts_the_same(order: str, transposed: bool, rows: int, columns: int) -> None:
    for k in (1, 6, 13, 150):
        a, b, bias = drawn(rows, columns, k)
        whole = real_sums(a, b, order=order, start=bias, transposed=transposed)
        for at in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)}:
            counted = real_sum_exact(
                a[at[0]].tolist(),
                b[:, at[1]].tolist(),
                order=order,
                shape=(rows, columns),
                at=at,
                start=float(bias[at[1]]),
                transposed=transposed,
            )
            assert float(whole[at]) == counted, f"{order}, K = {k}, output {at}"


def test_the_orders_differ() -> None:
    a, b, _ = drawn(5, 8, 1100)
    one, other = (real_sums(a, b, order=order) for order in ORDERS)
    assert (one != other).any(), "a long sum is the same float32 in both orders"


def test_blocks_are_longer_where_columns_are_few() -> None:
    assert [block_of(n, 5000) for n in (1, 16, 17, 32, 33, 64, 65, 128)] == [
        *(1024, 1024, 512, 512, 256, 256, 128, 128)
    ], "panels of 16 K numbers"
    assert block_of(20, 20) == 128, "as many columns as K"


def test_nothing_sums_to_what_is_there() -> None:
    a, b = np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32)
    for order in ORDERS:
        assert real_sums(a, b, order=order, start=np.ones(3)).tolist() == [[1.0] * 3] * 2, order


@pytest.mark.parametrize("value", [1.0, 255.0, 0.1])
def test_one_long_sum_is_the_sum_of_a_pair(value: float) -> None:
    a = np.full((1, 3000), value, np.float32)
    a[0, ::7] = np.float32(-0.3) if value == 0.1 else 2
    both = real_sums(np.concatenate([a, a]), a.T, order="reals_fused")
    assert (real_sums(a, a.T, order="reals_fused") == both[0]).all(), "the way alone differs"
