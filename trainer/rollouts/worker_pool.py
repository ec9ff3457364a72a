"""Environments in processes of their own, by Gymnasium's AsyncVectorEnv with shared memory."""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numpy.typing import NDArray

from trainer.environments.errors import EnvironmentFault
from trainer.environments.spec import Environment
from trainer.rollouts.environment_pool import EnvironmentPool, LocalPool, Steps

DEADLINE = 300.0  # seconds for a step or reset, after which a worker counts as hung
CLOSING_DEADLINE = 10.0
AUTO_WORKERS = 64  # at most, with `auto`
IDLE, STEP, RESET = range(3)  # what an environment of a group is to do


class Group(gym.Env[Any, Any]):
    """What a worker runs: a few environments as one.

    An action holds a command and its argument for each of them, `[count, 2]`: to step with an
    action, or to reset with a seed. A fault comes back in `info`: an exception would end the
    worker and print a traceback of Gymnasium's.
    """

    def __init__(self, environment: Environment, sizes: Sequence[int], worker: int) -> None:
        self._pool = LocalPool(environment, sizes[worker])
        first = sum(sizes[:worker])
        self._own = slice(first, first + sizes[worker])  # among all workers' environments
        count, shape = max(sizes), environment.observation_shape
        self.action_space = spaces.Box(0, 2**31, (count, 2), np.int64)
        low, high = (0, 255) if environment.pixels else (-np.inf, np.inf)
        dtype = environment.encoder.dtype
        self.observation_space = spaces.Dict(
            {
                "observations": spaces.Box(low, high, (count, *shape), dtype),
                "rewards": spaces.Box(-np.inf, np.inf, (count,), np.float64),
                "over": spaces.MultiBinary((2, count)),  # terminated, truncated
            }
        )
        self._last = {
            "observations": np.zeros((count, *shape), dtype),
            "rewards": np.zeros(count),
            "over": np.zeros((2, count), np.int8),
        }

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        # Ctrl-C reaches every process of the terminal; the trainer ends its workers itself.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        info = {}
        try:
            self._obey(action)
        except EnvironmentFault as fault:
            info = {"fault": str(fault), "details": fault.details}
        return self._last, 0.0, False, False, info

    def _obey(self, action: NDArray[np.int64]) -> None:
        pool, last = self._pool, self._last
        commands, arguments = action.T
        if len(starting := np.flatnonzero(commands == RESET)):
            seeds = arguments[starting].tolist()
            last["observations"][starting] = pool.reset(starting.tolist(), seeds)
        if len(going := np.flatnonzero(commands == STEP)):
            steps = pool.step(going.tolist(), arguments[going])
            last["observations"][going] = steps.observations
            last["rewards"][going] = steps.rewards
            last["over"][:, going] = steps.terminated, steps.truncated

    def states(self) -> list[NDArray[np.uint8]]:
        return self._pool.states()

    def restore_states(self, states: Sequence[NDArray[np.uint8]], ages: Sequence[int]) -> None:
        """Takes its share of the states of all workers' environments."""
        self._pool.restore(states[self._own], ages[self._own])

    def close_environments(self) -> None:
        self._pool.close()


class WorkerPool:
    """Environments shared out evenly to workers. One that dies or hangs is a fault."""

    def __init__(self, environment: Environment, count: int, workers: int) -> None:
        self._environment = environment
        workers = min(workers, count)
        sizes = [len(part) for part in np.array_split(np.arange(count), workers)]
        # Where each environment is: its worker, and its place in the worker's group.
        self._worker = np.repeat(np.arange(workers), sizes)
        self._slot = np.concatenate([np.arange(size) for size in sizes])
        self._commands = np.zeros((workers, max(sizes), 2), np.int64)
        forked = "forkserver" in multiprocessing.get_all_start_methods()
        if forked:  # a fork of this process might inherit a lock of TensorFlow's threads
            multiprocessing.set_forkserver_preload([__name__])
        with _no_main_module():
            self._vector = AsyncVectorEnv(
                [functools.partial(Group, environment, sizes, worker) for worker in range(workers)],
                context="forkserver" if forked else "spawn",
                copy=False,
                autoreset_mode=AutoresetMode.DISABLED,
            )
        self._sound = True
        atexit.register(self.close)

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> NDArray[Any]:
        return self._run(RESET, indices, np.asarray(seeds)).observations

    def step(self, indices: Sequence[int], actions: NDArray[np.integer[Any]]) -> Steps:
        return self._run(STEP, indices, actions)

    def states(self) -> list[NDArray[np.uint8]]:
        return [state for group in self._call("states") for state in group]

    def restore(self, states: Sequence[NDArray[np.uint8]], ages: Sequence[int]) -> None:
        self._call("restore_states", list(states), list(ages))

    def close(self) -> None:
        """Closes the environments, then ends the processes, whatever they are doing."""
        atexit.unregister(self.close)
        if self._vector.closed:
            return
        if self._sound:
            with contextlib.suppress(Exception):
                self._vector.call_async("close_environments")
                self._vector.call_wait(CLOSING_DEADLINE)
        for process in self._vector.processes:
            process.kill()  # an environment's threads might outlive anything milder
        for process, pipe in zip(self._vector.processes, self._vector.parent_pipes, strict=True):
            process.join()
            if pipe is not None:
                pipe.close()
        self._vector.closed = True

    def _run(self, command: int, indices: Sequence[int], arguments: NDArray[Any]) -> Steps:
        index = np.asarray(indices)
        workers, slots = self._worker[index], self._slot[index]
        self._commands[..., 0] = IDLE
        self._commands[workers, slots, 0] = command
        self._commands[workers, slots, 1] = arguments
        with self._watched():
            self._vector.step_async(self._commands)
            found, *_, infos = self._vector.step_wait(DEADLINE)
        if "fault" in infos:
            first = int(np.flatnonzero(infos["_fault"])[0])
            raise EnvironmentFault(infos["fault"][first], infos["details"][first])
        over = found["over"][workers, :, slots].astype(bool)
        return Steps(
            found["observations"][workers, slots],
            found["rewards"][workers, slots],
            over[:, 0],
            over[:, 1],
        )

    def _call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        with self._watched():
            self._vector.call_async(name, *arguments)
            return self._vector.call_wait(DEADLINE)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Raises EnvironmentFault if a worker ends or stops answering."""
        if not self._sound:
            raise EnvironmentFault(f"The workers of {self._environment.id} have ended.")
        try:
            yield
        except multiprocessing.TimeoutError as error:
            self._sound = False
            waiting = [
                str(number)
                for number, pipe in enumerate(self._vector.parent_pipes)
                if pipe is not None and not pipe.poll()
            ]
            raise EnvironmentFault(
                f"{self._environment.id} hangs: worker {', '.join(waiting)} did not answer within"
                f" {DEADLINE:g} s."
            ) from error
        except (EOFError, OSError) as error:
            self._sound = False
            raise EnvironmentFault(
                f"{self._environment.id} is gone: {self._obituary()}."
            ) from error

    def _obituary(self) -> str:
        for number, process in enumerate(self._vector.processes):
            process.join(1.0 if process.exitcode is None else None)
            if (code := process.exitcode) is not None:
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                return f"worker {number} ended with {how}"
        return "a worker does not answer"


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keeps new processes from importing the main module, and TensorFlow with it.

    A script without `if __name__ == "__main__"` would even start itself again in each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def open_pool(environment: Environment, count: int, workers: str) -> EnvironmentPool:
    """`count` environments; `workers` is the flag's value."""
    wanted = min(count, AUTO_WORKERS) if workers == "auto" else int(workers)
    if wanted <= 1:
        return LocalPool(environment, count)
    return WorkerPool(environment, count, wanted)


if TYPE_CHECKING:
    _pool: type[EnvironmentPool] = WorkerPool
