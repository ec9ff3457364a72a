"""Connects to a Ray cluster. The only module that imports Ray; it does so on connecting."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import tuner
from trainer.contract.errors import Error

# The cluster's dashboard and its machines' logs show neither of them.
_QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class RayError(Error):
    """The Ray cluster cannot be used, or stopped answering."""


def connect(address: str) -> Any:
    """Connects this process to a cluster, and returns the module `ray`.

    The code of both packages goes to the nodes, so that they run the tuner's.

    Raises:
        RayError: Ray is not installed, or there is no such cluster.
    """
    # Authentication by default: without it, anyone who reaches the cluster can run code there.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise RayError(
            "Ray is not installed, which --engine ray needs. Run: pip install '.[ray]'"
        ) from error
    root = Path(tuner.__file__).parent.parent
    try:
        ray.init(
            address=address,
            namespace="tuner",
            runtime_env={
                "py_modules": [str(root / "tuner"), str(root / "trainer")],
                "excludes": ["__pycache__"],
            },
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray raises many kinds, without a common base
        raise RayError(f"No Ray cluster at {address}: {_hint(error)}") from error
    # Ray would print the nodes' logs; the executor reports the important events itself.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _hint(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "auth" in text.lower() and "token" in text.lower():
        return (
            "its token is missing or another one. Set RAY_AUTH_TOKEN, or copy the cluster's"
            " ~/.ray/auth_token here; RAY_AUTH_MODE=disabled is for a cluster without one."
        )
    if "Version mismatch" in text:
        return f"it has another version. {text.partition('Version mismatch')[2].strip(': ')[:300]}"
    return (
        f"{text[:200].rstrip('.')}. Start one with RAY_AUTH_MODE=token ray start --head, or give"
        " its --address."
    )
