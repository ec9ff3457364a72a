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
    ("a2c", "Acrobot-v1"): {"num_envs": 16},
}


def preset(algorithm: str, environment: str) -> dict[str, float | int | str]:
    """The preset of a pair: what stands for the algorithm anywhere, then for the pair itself."""
    return PRESETS.get((algorithm, "*"), {}) | PRESETS.get((algorithm, environment), {})
