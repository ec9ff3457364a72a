"""A trainer of policy-gradient and actor-critic agents, made to be tuned.

`from trainer import train, load` is its Python API. Nothing slow is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.api import load as load
    from trainer.api import train as train

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("train", "load"):
        from trainer import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
