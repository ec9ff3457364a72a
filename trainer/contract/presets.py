"""The defaults that depend on algorithm and environment. A flag overrides a preset.

What stands nowhere here has the default of its field in `config`, tuned for A2C on CartPole.
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
    # Its rewards are hundreds, and so is what an entropy bonus has to hold its own against: with
    # less of it the greedy policy hovers till the clock runs out where the sampled one lands.
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
    """The preset of a pair: what stands for the algorithm anywhere, then for the pair itself."""
    return PRESETS.get((algorithm, "*"), {}) | PRESETS.get((algorithm, environment), {})
