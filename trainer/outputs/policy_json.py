"""`policy.json`: a policy at the start, half way and at the end, as numbers that anybody can read.

A policy is dense layers with tanh between them; the last gives the logits of the actions.
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
from trainer.outputs.policy_snapshots import Milestone
from trainer.storage.job_dir import JobDir


def save_policy(job_dir: JobDir, environment: Environment, policy: Sequence[Milestone]) -> None:
    """Writes the file, if there is any policy to tell of. Raises OSError."""
    if policy:
        job_dir.write_text(POLICY, policy_text(environment, policy))


def policy_text(environment: Environment, policy: Sequence[Milestone]) -> str:
    content = {
        "environment": environment.id,
        "max_episode_steps": environment.max_episode_steps,
        "actions": environment.num_actions,
        "snapshots": [
            {
                "label": milestone.label,
                "steps": milestone.steps,
                "score": milestone.score,
                "layers": [
                    {"kernel": [numbers(row) for row in kernel], "bias": numbers(bias)}
                    for kernel, bias in milestone.layers
                ],
            }
            for milestone in policy
        ],
    }
    return json.dumps(content, allow_nan=False) + "\n"


def numbers(values: NDArray[np.float32]) -> list[Any]:
    """With the fewest digits that restore the bits; null for what JSON has no number for."""
    return [float(str(x)) if math.isfinite(x) else None for x in values]
