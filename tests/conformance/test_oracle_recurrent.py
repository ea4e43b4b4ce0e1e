"""Steps of an LSTM and a GRU by hand."""

from refquant_conformance.oracle_recurrent import gru_exact, lstm_exact

ZEROS = [[0.0]]


def test_without_weights_every_gate_is_half_open() -> None:
    ys, c = lstm_exact([[5.0]] * 2, ZEROS * 4, ZEROS * 4, None, [0.0], [2.0], function="stepwise")
    assert c == [0.5], f"half of half of 2: {c}"
    assert len(ys) == 2, "an output a step"
    states = gru_exact([[5.0]] * 2, ZEROS * 3, ZEROS * 3, None, [2.0], function="stepwise",
                       late=True)  # fmt: skip
    assert states == [[1.0], [0.5]], f"{states}"


def test_a_reset_gate_that_is_shut_hides_the_state_or_its_product_only() -> None:
    """The reset gate is 0, the bias of the product with the state 1; late, it is reset too."""
    bias = [0.0, -200.0, 0.0, 0.0, 0.0, 1.0]
    early, late = (
        gru_exact([[0.0]], ZEROS * 3, ZEROS * 3, bias, [0.0], function="stepwise", late=late)[0][0]
        for late in (False, True)
    )
    assert late == 0.0, f"half of tanh(0): {late}"
    assert 0.38 < early < 0.381, f"half of tanh(1): {early}"
