"""Defaults that depend on the algorithm and the environment. A flag overrides a preset.

All other defaults are those of the fields in `settings`, tuned for A2C on CartPole.
"""

from __future__ import annotations

PRESETS: dict[tuple[str, str], dict[str, float | int | str]] = {
    ("pg", "*"): {
        "learning_rate": 7e-3,
        "num_envs": 4,
        "adam_epsilon": 1e-5,
        "averaging": 0.9,
    },
    ("ppo", "*"): {
        "learning_rate": 1e-3,
        "hidden_neurons": 64,
        "critic_weight": 0.5,
        "gae_lambda": 0.95,
        "num_envs": 8,
        "adam_beta_1": 0.9,
        "adam_epsilon": 1e-5,
        "max_gradient_norm": 0.5,
        "averaging": 0.0,
        "value_scale": 1.0,
    },
    ("a2c", "Acrobot-v1"): {"num_envs": 16},
    # Rewards are in the hundreds, so the entropy bonus must be larger too: with a smaller one the
    # sampled policy lands, but the greedy policy hovers until the time limit.
    ("a2c", "LunarLander-v3"): {
        "hidden_neurons": 64,
        "batch_size": 2048,
        "num_envs": 8,
        "entropy": 0.3,
        "value_scale": 100.0,
        "adam_epsilon": 1e-3,
        "total_steps": 2_000_000,
        "evaluation_every": 100_000,
    },
}


def preset(algorithm: str, environment: str) -> dict[str, float | int | str]:
    """The preset of the algorithm, updated by that of algorithm and environment."""
    return PRESETS.get((algorithm, "*"), {}) | PRESETS.get((algorithm, environment), {})
