"""Every exception that onnxruntime has there, by name."""

from onnxruntime.capi import onnxruntime_pybind11_state as real

from refquant_runtime.compat.onnxruntime.capi import onnxruntime_pybind11_state as ours


def test_the_names_are_theirs() -> None:
    theirs = {
        name
        for name, kind in vars(real).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert theirs == set(ours.__all__), f"{theirs ^ set(ours.__all__)}"


def test_all_are_exceptions() -> None:
    for name in ours.__all__:
        assert issubclass(getattr(ours, name), ValueError), name
    assert len({getattr(ours, name) for name in ours.__all__}) == len(ours.__all__), "distinct"
