"""Planted bugs of the host: memory, threads, instruction sets, fusion, modes, what was kept.

The arithmetic of these backends is right for one contiguous array on one thread, asked once.
"""

import ctypes
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.quantize import QUANTIZE
from refquant_conformance.mutants.mutant import Host, Mutant, Run
from refquant_conformance.protocol import Array, Case, Result, Unsupported

__all__ = ["MUTANTS"]

_OP = "quantize_linear"
_SCHEMES = ("f32_u8",)
_PROBE = QUANTIZE.probes("f32_u8")[0].inputs["x"].size


def _changed(result: Result, change: Callable[[Array], None]) -> Result:
    """Return the result with a changed copy of ``y``."""
    y = result.outputs["y"].copy()
    change(y)
    return replace(result, outputs={**result.outputs, "y": y})


def _flip_last(y: Array) -> None:
    if y.size:
        y.reshape(-1)[-1] ^= 1


def _contiguous_only(case: Case, honest: Run) -> Result:
    """Read on from the first element, whatever the strides say."""
    x = case.inputs["x"]
    if x.size and not x.flags.c_contiguous:
        first = x.ctypes.data
        values = [ctypes.c_float.from_address(first + 4 * (i % 2)).value for i in range(x.size)]
        x = np.array(values, np.float32).reshape(x.shape)
    return honest(replace(case, inputs={**case.inputs, "x": x}))


def _empty(case: Case, honest: Run) -> Result:
    """Compute one element of an empty tensor."""
    if case.inputs["x"].size == 0:
        return Result({"y": np.zeros(1, np.uint8)})
    return honest(case)


def _rank(case: Case, honest: Run) -> Result:
    """Give a scalar another code."""
    made = honest(case)
    return _changed(made, _flip_last) if case.inputs["x"].ndim == 0 else made


def _neighbours(case: Case, honest: Run) -> Result:
    """Compute the first element of a tile of about 500 from the last one."""
    x = case.inputs["x"].copy()
    if 500 <= x.size < 512 and case.layout == "contiguous":
        x.reshape(-1)[0] = x.reshape(-1)[-1]
    return honest(replace(case, inputs={**case.inputs, "x": x}))


def _tail_of_67(case: Case, honest: Run) -> Result:
    """Forget the vectors' rest of three where there is exactly one whole vector before it."""
    made = honest(case)
    return _changed(made, _flip_last) if case.inputs["x"].size == 67 else made


def _in_place(case: Case, honest: Run) -> Result:
    """Use the caller's array to compute in."""
    made = honest(case)
    if case.inputs["x"].ndim:
        case.inputs["x"][...] = made.outputs["y"]
    return made


def _two_threads(case: Case, honest: Run, host: Host) -> Result:
    """Let the second thread end one element early."""
    made = honest(case)
    return _changed(made, _flip_last) if host.knobs.get("threads") == 2 else made


def _old_machine(case: Case, honest: Run, host: Host) -> Result:
    """Lose the last element where there are no masks."""
    made = honest(case)
    return _changed(made, _flip_last) if host.knobs.get("isa") == "avx2" else made


def _unfused(case: Case, honest: Run, host: Host) -> Result:
    """Compute in another way where nothing is fused."""
    made = honest(case)
    unfused = host.knobs.get("graph_optimization") == "none"
    return _changed(made, _flip_last) if unfused else made


def _first_caller(case: Case, honest: Run, host: Host) -> Result:
    """Keep the scale that an array was quantized with first."""
    key = case.inputs["x"].tobytes()
    scale = host.memory.setdefault(key, case.inputs["scale"])
    return honest(replace(case, inputs={**case.inputs, "scale": scale}))


def _at_once_again(case: Case, honest: Run, host: Host) -> Result:
    """Answer the same question in another way when it is asked twice in a row."""
    x = case.inputs["x"]
    parameters = (case.inputs["scale"].tobytes(), case.inputs["zero_point"].tobytes())
    asked = (x.tobytes(), x.strides, x.ctypes.data % 16, *parameters)
    again = host.memory.get("asked") == asked and not host.prepared
    host.memory["asked"] = asked
    made = honest(case)
    return _changed(made, _flip_last) if again else made


def _leaves_mode(mode: int) -> Callable[[Case, Run], Result]:
    """Leave the caller with another floating-point mode: what glibc's fesetround takes."""

    def run(case: Case, honest: Run) -> Result:
        made = honest(case)
        if case.environment != "default":
            ctypes.CDLL("libm.so.6").fesetround(mode)
        return made

    return run


def _clears_flush(case: Case, honest: Run) -> Result:
    """Restore the mode of program start instead of the caller's."""
    made = honest(case)
    if case.environment == "flush_to_zero":
        library = ctypes.CDLL("libm.so.6")
        library.fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV
    return made


def _fallback(case: Case, honest: Run) -> Result:
    """Give far scales to another kernel, under the name of the first."""
    kernel = {"kernel": "fast"}
    if float(case.inputs["scale"]) == 1.0 and case.inputs["x"].size == _PROBE:
        axes: dict[str, str | bool | float] = {
            **{"rounding": "half_away", "scale_op": "divide_f32", "nan": "qmin"},
            **{"zero_point_at": "after_rounding", "clamp": "after_rounding"},
            "overflow": "saturate",
        }
        outputs = QUANTIZE.compute(case, axes)
        return Result(outputs or {}, kernel)
    return replace(honest(case), provenance=kernel)


def _constant(case: Case, honest: Run) -> Result:
    """Fold a constant of the model with one too many."""
    made = honest(case)
    return _changed(made, _flip_last) if case.params.get("constant_weights") == 1 else made


def _one_probe(case: Case, honest: Run) -> Result:
    """Be wrong in one element of one scale, where nobody but X-18 looks."""
    made = honest(case)
    probe = QUANTIZE.probes("f32_u8")[5].inputs
    asked = all(case.inputs[name].tobytes() == probe[name].tobytes() for name in probe)
    return _changed(made, _flip_last) if asked else made


def _short_counter(case: Case, honest: Run) -> Result:
    """Count elements with 16 bits: those beyond have the codes of the first ones."""
    y = honest(case).outputs["y"].copy()
    flat = y.reshape(-1)
    flat[1 << 16 :] = np.resize(flat[: 1 << 16], flat[1 << 16 :].shape)
    return Result({"y": y})


def _claims(case: Case, honest: Run) -> Result:
    """List what is not computed."""
    raise Unsupported("this build has no quantizers")


def _bug(
    name: str, sentence: str, zoo: str, killer: str, run: Callable[[Case, Run], Result]
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, _OP, _SCHEMES, run)


def _hosted(
    name: str,
    sentence: str,
    zoo: str,
    killer: str,
    hosted: Callable[[Case, Run, Host], Result],
    knobs: dict[str, tuple[str | int, ...]] | None = None,
) -> Mutant:
    return Mutant(name, sentence, zoo, killer, _OP, _SCHEMES, hosted=hosted, knobs=knobs or {})


MUTANTS = (
    _bug("empty_is_one", "an empty tensor has one element", "2.9", "X-01", _empty),
    _bug("scalar_is_zero", "a tensor without axes has another code", "-", "X-02", _rank),
    _bug("strides_ignored", "arrays are read as if they were contiguous", "-", "X-03",
         _contiguous_only),
    _bug("batch_leaks", "an element is computed from another one", "-", "X-04", _neighbours),
    _hosted("thread_split", "with two threads the last element is wrong", "-", "X-05",
            _two_threads, {"threads": (1, 2)}),
    _bug("vector_rest", "the rest behind one whole vector is wrong", "2.3", "X-06", _tail_of_67),
    _hosted("isa_rest", "without masks the last element is wrong", "2.1", "X-07", _old_machine,
            {"isa": ("avx512", "avx2")}),
    _hosted("fusion_differs", "a graph that is not fused computes otherwise", "2.4", "X-08",
            _unfused, {"graph_optimization": ("all", "none")}),
    _hosted("first_caller", "the first caller's scale is kept", "2.11", "X-10", _first_caller),
    _hosted("at_once_again", "the same question at once again is answered otherwise", "-", "X-11",
            _at_once_again),
    _bug("in_place", "the input is computed in", "-", "X-12", _in_place),
    _bug("clears_flush", "the caller's flush-to-zero is cleared", "2.3", "X-13", _clears_flush),
    _bug("leaves_rounding", "the caller's rounding mode is replaced", "2.3", "X-14",
         _leaves_mode(0)),
    Mutant("other_kernel", "large scales fall back to a kernel with other ties", "2.8", "X-16", _OP,
           _SCHEMES, _fallback),
    Mutant("constant_folded", "constant weights are folded wrongly", "-", "X-09", "matmul_integer",
           ("u8_i8",), _constant),
    _bug("one_probe", "one element of one scale is wrong", "-", "X-18", _one_probe),
    _bug("short_counter", "elements are counted with 16 bits", "-", "X-19", _short_counter),
    _bug("claims_all", "a cell is listed and not computed", "-", "X-15", _claims),
)  # fmt: skip
