"""``onnxruntime.InferenceSession`` over a :class:`refquant_runtime.Session`.

Names, shapes and types of the ends, ``run`` and its relatives, threads, metadata, profiling; errors
are of the same names. What is taken and has no effect: levels of optimization, logging, arenas:
there is one plan, and it has the bits of the file.

Left out, each an error that says what to do: see
:data:`refquant_runtime.compat.onnxruntime_errors.ABSENT_FROM_SESSION`.

References: onnxruntime 1.32, Python API.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from refquant_runtime.compat.onnxruntime_binding import IOBinding
from refquant_runtime.compat.onnxruntime_errors import (
    ABSENT_FROM_SESSION,
    Absent,
    BindingError,
    Fail,
    InvalidArgument,
    absent,
)
from refquant_runtime.compat.onnxruntime_feeds import checked, described
from refquant_runtime.compat.onnxruntime_open import CPU, check_providers, opened
from refquant_runtime.compat.onnxruntime_options import (
    ModelMetadata,
    NodeArg,
    RunOptions,
    SessionOptions,
)
from refquant_runtime.compat.onnxruntime_profile import Profile
from refquant_runtime.compat.onnxruntime_values import OrtValue
from refquant_runtime.errors import InputError

__all__ = ["InferenceSession"]

Array = NDArray[Any]


class InferenceSession:
    """A model that is ready to run, from the path or the bytes of a ``.rq`` file.

    Providers that are not there are a ``UserWarning``, and the CPU is used, as in onnxruntime.
    """

    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike[str],
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, Mapping[str, Any]]] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,
        enable_fallback: int | bool = True,
        **others: Any,
    ) -> None:
        check_providers(providers, provider_options)
        self._options = sess_options if sess_options is not None else SessionOptions()
        options = self._options
        self._profile = Profile(options.profile_file_prefix) if options.enable_profiling else None
        if options.optimized_model_filepath:
            raise Absent(
                f"optimized_model_filepath {options.optimized_model_filepath!r}: nothing is "
                "written here, a .rq file is what it is; leave it away"
            )
        self._session = opened(path_or_bytes, options.intra_op_num_threads)
        self._graph = self._session.graph
        if self._profile is not None:
            lasted = sum(self._session.startup_seconds.values()) * 1e6
            self._profile.add("Session", "session_initialization", 0, lasted)

    def __getattr__(self, name: str) -> Any:
        """Refuse what onnxruntime has and this has not, with the reason."""
        raise absent("InferenceSession", name, ABSENT_FROM_SESSION)

    def get_inputs(self) -> list[NodeArg]:
        """Return the inputs, in their order."""
        return self._described(self._session.inputs)

    def get_outputs(self) -> list[NodeArg]:
        """Return the outputs, in their order."""
        return self._described(self._graph.outputs)

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Return nothing: constants are constant."""
        return []

    def get_modelmeta(self) -> ModelMetadata:
        """Return what the file says of itself."""
        meta = {str(key): str(value) for key, value in self._graph.meta.items()}
        return ModelMetadata(self._graph.name, meta)

    def get_providers(self) -> list[str]:
        """Return the one provider."""
        return [CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """Return the options of the one provider: none."""
        return {CPU: {}}

    def get_session_options(self) -> SessionOptions:
        """Return the options that were given, or the defaults."""
        return self._options

    def set_providers(
        self,
        providers: Sequence[str | tuple[str, Mapping[str, Any]]] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Warn of providers that are not there; a new session would be this one: its state goes."""
        check_providers(providers, provider_options)
        self._session.reset()

    def enable_fallback(self) -> None:
        """Do nothing: there is no other provider to fall back to."""

    def disable_fallback(self) -> None:
        """Do nothing: there is no other provider to fall back to."""

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[Array]:
        """Return the outputs of these names (None or none: all), in that order.

        Inputs may be lists, where numbers become what the input has, or :class:`OrtValue` s.
        """
        self._check_missing(input_feed)
        return self._run(output_names, input_feed, run_options)

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        callback: Callable[[list[Array], Any, str], object],
        user_data: Any,
        run_options: RunOptions | None = None,
    ) -> None:
        """Run in a thread; ``callback(outputs, user_data, error)`` is called there.

        What is fed must stay as it is until then. ``error`` is ``""``, or what went wrong: then
        there are no outputs. Two such runs are one after the other, in no promised order.
        """
        self._check_missing(input_feed)

        def work() -> None:
            outputs: list[Array] = []
            said = ""
            try:
                outputs = self._run(output_names, input_feed, run_options)
            except Exception as error:  # nobody else hears of it in this thread
                said = str(error) or type(error).__name__
            callback(outputs, user_data, said)

        threading.Thread(target=work, name="refquant-run-async").start()

    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: Mapping[str, OrtValue],
        run_options: RunOptions | None = None,
    ) -> list[OrtValue]:
        """Return the outputs as values."""
        self._check_missing(input_dict_ort_values)
        for name, value in input_dict_ort_values.items():
            if not isinstance(value, OrtValue):
                raise InvalidArgument(
                    f"{name}: must be an OrtValue, got {type(value).__name__}; use run() for arrays"
                )
        return [OrtValue(a) for a in self._run(output_names, input_dict_ort_values, run_options)]

    def io_binding(self) -> IOBinding:
        """Return bindings of this session, empty."""
        return IOBinding(self)

    def run_with_iobinding(
        self, iobinding: IOBinding, run_options: RunOptions | None = None
    ) -> None:
        """Run on what is bound; outputs are in the binding."""

        def run(names: list[str], feed: Mapping[str, Array]) -> list[Array]:
            try:
                self._check_missing(feed)
                return self._run(names, feed, run_options)
            except Fail:
                raise
            except ValueError as error:
                raise BindingError(f"Error in execution: {error}") from error

        iobinding.fill(run)

    def end_profiling(self) -> str:
        """Write what was measured; return the file, or ``""`` where nothing was asked for."""
        return self._profile.end(self._session.profile(5)) if self._profile is not None else ""

    def get_profiling_start_time_ns(self) -> int:
        """Return when the session was made, by ``time.monotonic_ns()``; 0 without profiling."""
        return self._profile.start_ns if self._profile is not None else 0

    def release_captured_graph(self, graph_annotation_id: int = 0) -> None:
        """Do nothing: that is about GPUs."""

    # -- private --------------------------------------------------------------------------------

    def _described(self, names: Iterable[str]) -> list[NodeArg]:
        sizes = self._options._sizes
        return [described(self._graph.values[name], sizes) for name in names]

    def _check_missing(self, feed: Any) -> None:
        if not isinstance(feed, Mapping):
            raise InvalidArgument(f"the feed maps names to arrays, got {type(feed).__name__}")
        missing = [name for name in self._session.inputs if name not in feed]
        if missing:
            raise ValueError(
                f"Required inputs ({missing}) are missing from input feed ({list(feed)})."
            )

    def _run(
        self,
        output_names: Sequence[str] | None,
        feed: Mapping[str, Any],
        run_options: RunOptions | None,
    ) -> list[Array]:
        if run_options is not None and run_options.terminate:
            raise Fail("Exiting due to terminate flag being set to true.")
        names = list(output_names) if output_names else list(self._graph.outputs)
        for name in names:
            if name not in self._graph.outputs:
                raise InvalidArgument(
                    f"Invalid output name:{name}; the outputs are {list(self._graph.outputs)}"
                )
        sizes = self._options._sizes
        feeds = {name: checked(self._graph, sizes, name, array) for name, array in feed.items()}
        begin = self._profile.now() if self._profile is not None else 0.0
        try:
            results = self._session.run(feeds)
        except InputError as error:
            raise InvalidArgument(str(error)) from error
        if self._profile is not None:
            self._profile.add("Session", "model_run", begin, self._profile.now() - begin)
        return [results[name] for name in names]
