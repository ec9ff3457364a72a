"""What the libraries below are told through the environment, before they are imported."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

_FEW = 512  # neurons
# Above level 2 XLA compiles for half as long again, for programs that are no faster.
_ALWAYS = {"--xla_backend_optimization_level": "2"}
# A call of a program on two cores is dearer than on one, and hardly faster.
_ONE_CORE_A_CALL = {
    "--xla_cpu_multi_thread_eigen": "false",
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
    "--xla_disable_hlo_passes": "cpu-parallel-task-assigner",
}


def prepare() -> None:
    """Settings for programs as small as ours. What the user has set stays."""
    # One thread: for matrices of a policy's size OpenBLAS' threads cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _tell_the_compiler(_ALWAYS)


def prefer_one_core(neurons: int = 0) -> None:
    """For programs of few neurons; those that see images are larger than they say.

    On two cores a small program takes as long as on one, or longer, and leaves none to others. A
    large one gains a tenth or two.

    Args:
        neurons: of a layer, those of all agents together.
    """
    if neurons <= _FEW:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def prefer_one_core_a_call(cores: int) -> None:
    """For small programs that are called side by side, on so many cores."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cores))
    _tell_the_compiler(_ONE_CORE_A_CALL)


def _tell_the_compiler(flags: dict[str, str]) -> None:
    """What the user has not told it."""
    told = os.environ.get("XLA_FLAGS", "")
    new = [f"{name}={value}" for name, value in flags.items() if name not in told]
    os.environ["XLA_FLAGS"] = " ".join([told, *new]).strip()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For TensorFlow: a quarter of its import is the garbage collector going through what stays."""
    gc.disable()
    try:
        yield
        gc.freeze()  # nor later
    finally:
        gc.enable()
