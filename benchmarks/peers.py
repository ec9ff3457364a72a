"""`python -m benchmarks.peers`: Stable-Baselines3 with the same task, budget, seeds and evaluation.

Compares its A2C and PPO, with the settings that RL-Zoo publishes for CartPole-v1, with our
defaults: greedy mean return of 100 fresh episodes of the final policy after 100k steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.machine import describe, in_fresh_process, save, table

STEPS = 100_000
# https://github.com/DLR-RM/rl-baselines3-zoo: hyperparams/a2c.yml and hyperparams/ppo.yml
RL_ZOO: dict[str, dict[str, Any]] = {
    "A2C": {"n_envs": 8, "ent_coef": 0.0},
    "PPO": {
        "n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98,
        "n_epochs": 20, "ent_coef": 0.0, "learning_rate": 0.001, "clip_range": 0.2,
        "linear": ["learning_rate", "clip_range"],
    },
}  # fmt: skip


def peer(name: str, seed: int) -> dict[str, float]:
    """Trains one agent with Stable-Baselines3; returns its score and the seconds of training."""
    import stable_baselines3 as sb3
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    settings = dict(RL_ZOO[name])
    for key in settings.pop("linear", []):
        start = settings[key]
        settings[key] = lambda remaining, start=start: remaining * start
    env = make_vec_env("CartPole-v1", n_envs=settings.pop("n_envs"), seed=seed)
    started = time.monotonic()
    model = getattr(sb3, name)("MlpPolicy", env, seed=seed, device="cpu", **settings)
    model.learn(STEPS)
    seconds = time.monotonic() - started
    fresh = make_vec_env("CartPole-v1", n_envs=8, seed=10_000 + seed)
    score, _ = evaluate_policy(model, fresh, n_eval_episodes=100, deterministic=True)
    return {"score": float(score), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="seeds of each system (default: 40)")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peer:
        print(json.dumps(peer(chosen.peer[0], int(chosen.peer[1]))))
        return

    runs: dict[str, list[dict[str, float]]] = {}
    with ThreadPoolExecutor(2) as pool:
        for name in RL_ZOO:
            runs[f"Stable-Baselines3 {name}, RL-Zoo settings"] = list(
                pool.map(
                    lambda seed, name=name: in_fresh_process(
                        "benchmarks.peers", "--peer", name, str(seed)
                    ),
                    range(chosen.seeds),
                )
            )
    for algorithm in ("a2c", "pg"):
        started = time.monotonic()
        scores = in_fresh_process("benchmarks.peers_ours", algorithm, str(chosen.seeds), str(STEPS))
        each = (time.monotonic() - started) / chosen.seeds
        runs[f"ours, {algorithm.upper()}, defaults"] = [
            {"score": score, "seconds": each} for score in scores
        ]
    print(f"{describe()['processor']}, {describe()['cores']} cores; {STEPS:,} steps a seed\n")
    print(_table(runs))
    save("peers", {"steps": STEPS, "settings": RL_ZOO, "runs": runs})


def _table(runs: dict[str, list[dict[str, float]]]) -> str:
    from trainer.outputs.scores import interquartile_mean, interval

    rows: list[list[object]] = [
        ["system", "seeds", "mean", "interquartile mean [95%]", "worst", "at least 475", "s a seed"]
    ]
    for name, of_name in runs.items():
        scores = np.array([run["score"] for run in of_name])
        low, high = interval(scores)
        middle = f"{float(interquartile_mean(scores)):.1f} [{low:.0f}, {high:.0f}]"
        rows.append(
            [name, len(scores), f"{scores.mean():.1f}", middle, f"{scores.min():.1f}",
             int((scores >= 475).sum()), f"{np.mean([run['seconds'] for run in of_name]):.1f}"]
        )  # fmt: skip
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
