"""One measured training in a process of its own: `python -m benchmarks.workloads '{...}'`.

Prints JSON: seconds to import, trace and compile, steps per second of all agents with learning, and
the seconds of a collection, an update and an evaluation, each called on its own.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

FAR = 10**12  # steps; more than any measured run takes


def ours(
    *,
    collector: str = "compiled",
    algorithm: str = "a2c",
    seeds: int = 1,
    seconds: float = 6.0,
    **hyperparameters: Any,
) -> dict[str, float]:
    """Our trainer on CartPole-v1, learning without evaluations."""
    begun = time.perf_counter()
    from trainer.contract.settings import Batching, Hyperparameters
    from trainer.process import tensorflow_env

    tensorflow_env.prepare()
    width = hyperparameters.get("hidden_neurons", Hyperparameters.hidden_neurons)
    tensorflow_env.prefer_one_core(seeds * width)
    with tensorflow_env.importing():
        import tensorflow  # noqa: F401
    import numpy as np

    from trainer.agents.networks import Architecture
    from trainer.agents.population import Agents
    from trainer.agents.random_streams import Purpose, Streams
    from trainer.environments import spec
    from trainer.environments.cartpole import VERSIONS
    from trainer.rollouts.compiled_collector import CompiledCollector
    from trainer.rollouts.gymnasium_collector import GymnasiumCollector
    from trainer.training.learners import CompiledLearner, SteppedLearner

    imported = time.perf_counter()
    settings = Hyperparameters(**hyperparameters)
    batching = Batching(settings, algorithm)
    streams = Streams([(0, agent) for agent in range(seeds)])
    critic = algorithm == "a2c"
    architecture = Architecture((4,), 2, settings.hidden_neurons, critic)
    agents = Agents(algorithm, architecture, [settings] * seeds, streams)
    if collector == "compiled":
        gather: Any = CompiledCollector(
            VERSIONS["CartPole-v1"], architecture, batching.num_envs, batching.steps, streams
        )
    else:
        environment = spec.find("CartPole-v1")
        gather = GymnasiumCollector(
            environment, architecture, batching.num_envs, batching.steps, streams
        )
    learner: Any = (
        CompiledLearner(agents, gather, FAR)
        if collector == "compiled"
        else SteppedLearner(agents, gather, FAR)
    )
    training, steps = np.ones(seeds, bool), np.zeros(seeds, np.int64)
    built = time.perf_counter()
    if collector == "compiled":
        learner.trace(steps, training, FAR)
    traced = time.perf_counter()
    steps = learner.learn(steps, training, FAR).steps
    first_update = time.perf_counter()

    before, start = steps.sum(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        steps = learner.learn(steps, training, FAR).steps
    rate = (steps.sum() - before) / (time.perf_counter() - start)

    collecting, updating, evaluating = [], [], []
    for _ in range(20):  # the parts, each compiled on its own; the first call of each compiles
        t0 = time.perf_counter()
        rollout = gather.collect(agents.state.weights, training)
        np.asarray(rollout.mask)
        t1 = time.perf_counter()
        agents.update(rollout, np.ones(seeds), training).finite.numpy()
        t2 = time.perf_counter()
        gather.play(agents.state.averaged, 20, Purpose.VALIDATION, 0, greedy=True)
        t3 = time.perf_counter()
        collecting.append(t1 - t0)
        updating.append(t2 - t1)
        evaluating.append(t3 - t2)
    rows = float(np.prod(rollout.mask.shape))
    return {
        "steps_per_second": rate,
        "import_seconds": imported - begun,
        "build_seconds": built - imported,
        "trace_seconds": traced - built,
        "compile_seconds": first_update - traced,
        "first_update_seconds": first_update - begun,
        "collect_seconds": statistics.median(collecting),
        "update_seconds": statistics.median(updating),
        "evaluate_seconds": statistics.median(evaluating),
        "seconds_per_round": rows / rate,
        "update_flop": _update_flop(architecture, rows),
    }


def stable_baselines3(*, seconds: float = 20.0) -> dict[str, float]:
    """Stable-Baselines3's A2C on CartPole-v1 with 8 environments and its own defaults."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Clock(BaseCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.start, self.first = 0.0, 0

        def _on_step(self) -> bool:
            if not self.start and self.num_timesteps >= 2_000:  # warm by then
                self.start, self.first = time.perf_counter(), self.num_timesteps
            return not self.start or time.perf_counter() - self.start < seconds

    clock = Clock()
    model = A2C("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8), device="cpu", seed=0)
    model.learn(10**9, callback=clock)
    rate = (clock.num_timesteps - clock.first) / (time.perf_counter() - clock.start)
    return {"steps_per_second": rate}


def matrix_multiply() -> dict[str, float]:
    """The highest speed of TensorFlow's float32 matrix multiplication, in flop per second."""
    import tensorflow as tf

    best = 0.0
    for size in (512, 1024, 2048):
        a = tf.random.stateless_normal((size, size), (0, 1))
        (a @ a).numpy()
        for _ in range(10):
            start = time.perf_counter()
            (a @ a).numpy()
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return {"flop_per_second": best}


def _update_flop(architecture: Any, rows: float) -> float:
    """Floating-point operations of the matrix products in one update of `rows` transitions."""
    total = 0.0
    for head, layers in architecture.layers.items():
        products = sum(2 * a * b for a, b in layers)
        first = 2 * layers[0][0] * layers[0][1]
        # forward once, backward twice but for the inputs; the critic's next values once more
        total += 3 * products - first + (products if head == "critic" else 0)
    return total * rows


if __name__ == "__main__":
    call = json.loads(sys.argv[1])
    print(json.dumps(globals()[call.pop("workload")](**call)))
