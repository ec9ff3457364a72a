"""`policy.json`: a policy at the start, in the middle and at the end of training, as plain numbers.

A policy is a stack of dense layers with tanh between them; the last gives the actions' logits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.contract.job_files import POLICY
from trainer.environments.spec import Environment
from trainer.outputs.policy_snapshots import Snapshot
from trainer.storage.job_dir import JobDir


def save_policy(job_dir: JobDir, environment: Environment, policy: Sequence[Snapshot]) -> None:
    """Writes the file, unless there are no snapshots. Raises OSError."""
    if policy:
        job_dir.write_text(POLICY, policy_text(environment, policy))


def policy_text(environment: Environment, policy: Sequence[Snapshot]) -> str:
    content = {
        "environment": environment.id,
        "max_episode_steps": environment.max_episode_steps,
        "actions": environment.num_actions,
        "snapshots": [
            {
                "label": snapshot.label,
                "steps": snapshot.steps,
                "score": snapshot.score,
                "layers": [
                    {"kernel": [numbers(row) for row in kernel], "bias": numbers(bias)}
                    for kernel, bias in snapshot.layers
                ],
            }
            for snapshot in policy
        ],
    }
    return json.dumps(content, allow_nan=False) + "\n"


def numbers(values: NDArray[np.float32]) -> list[Any]:
    """Numbers with the fewest digits that restore the bits; None for those that are not finite."""
    return [float(str(x)) if math.isfinite(x) else None for x in values]
