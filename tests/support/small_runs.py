"""Runs of a few hundred steps, in this process."""

from __future__ import annotations

from trainer.contract.command_line import parse
from trainer.environments import spec
from trainer.run.state import RunState

SMALL = (
    *("--total_steps", "600", "--evaluation_every", "150"),
    *("--validation_episodes", "2", "--evaluation_episodes", "2"),
    *("--seeds", "2", "--hidden_neurons", "4", "--num_envs", "2", "--batch_size", "6"),
)
KINDS = {
    "a2c compiled": ("--algorithm", "a2c"),
    "pg compiled": ("--algorithm", "pg"),
    "a2c gymnasium": ("--algorithm", "a2c", "--collector", "gymnasium"),
    "pg gymnasium": ("--algorithm", "pg", "--collector", "gymnasium"),
    "a2c Acrobot": ("--environment", "Acrobot-v1", "--batch_size", "64"),
}


def make(*flags: str, goal: float | None = None) -> RunState:
    command = parse([*SMALL, *flags])
    return RunState(command, spec.find(command.options.environment), goal)
