"""Environment variables for TensorFlow, Keras and XLA; set before they are imported."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

SMALL = 512  # neurons
# Above level 2, XLA compiles 1.5 times as long, and the programs are no faster.
_ALWAYS = {"--xla_backend_optimization_level": "2"}
# A call of a small program costs more on two cores than on one, and is hardly faster.
_ONE_CORE_A_CALL = {
    "--xla_cpu_multi_thread_eigen": "false",
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
    "--xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}


def prepare() -> None:
    """Settings for small programs. The user's own settings are kept, except for Keras' backend."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the models are made from TensorFlow's variables
    # One thread: for matrices of a policy's size, OpenBLAS' threads cost more than they gain.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _set_xla_flags(_ALWAYS)


def prefer_one_core(neurons: int = 0) -> None:
    """For programs with few neurons, unless they see images, which makes them large.

    On two cores a small program takes as long as on one, or longer. A large one gains 10 to 20%.

    Args:
        neurons: in a layer, of all agents together.
    """
    if neurons <= SMALL:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def prefer_one_core_a_call(cores: int) -> None:
    """For small programs that several threads call at once, on this number of cores."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cores))
    _set_xla_flags(_ONE_CORE_A_CALL)


def _set_xla_flags(flags: dict[str, str]) -> None:
    """Sets the flags that the user has not set."""
    before = os.environ.get("XLA_FLAGS", "")
    new = [f"{name}={value}" for name, value in flags.items() if name not in before]
    os.environ["XLA_FLAGS"] = " ".join([before, *new]).strip()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Imports TensorFlow without garbage collection, which takes a quarter of the time."""
    gc.disable()
    try:
        yield
        gc.freeze()  # what has been imported stays, so later collections skip it
    finally:
        gc.enable()
