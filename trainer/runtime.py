"""What the libraries below are told through the environment, before they are imported."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

_LEVEL = "--xla_backend_optimization_level"
_FEW = 512  # neurons


def prepare() -> None:
    """Settings for programs as small as ours. What the user has set stays."""
    # One thread: for matrices of a policy's size OpenBLAS' threads cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Above level 2 XLA compiles for half as long again, for programs that are no faster.
    flags = os.environ.get("XLA_FLAGS", "")
    if _LEVEL not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_LEVEL}=2".strip()


def prefer_one_core(neurons: int = 0) -> None:
    """For programs of few neurons; those that see images are larger than they say.

    On two cores a small program takes as long as on one, or longer, and leaves none to others. A
    large one gains a tenth or two.

    Args:
        neurons: of a layer, those of all agents together.
    """
    if neurons <= _FEW:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For TensorFlow: a quarter of its import is the garbage collector going through what stays."""
    gc.disable()
    try:
        yield
        gc.freeze()  # nor later
    finally:
        gc.enable()
