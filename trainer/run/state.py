"""The state of a run: agents, environments and progress; built from a command, saved, restored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.agents.algorithms import ALGORITHMS
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Purpose, Streams
from trainer.contract import provenance
from trainer.contract.job_files import CHECKPOINT
from trainer.contract.settings import Batching, Command
from trainer.environments.cartpole import VERSIONS
from trainer.environments.spec import Environment
from trainer.outputs.metrics import Report
from trainer.outputs.policy_snapshots import PolicySnapshots, Snapshot
from trainer.process import signals
from trainer.rollouts.collector import Collector
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.gymnasium_collector import GymnasiumCollector
from trainer.storage.checkpoint import Checkpoint, CheckpointError, prefixed, without_prefix, write
from trainer.storage.job_dir import JobDir
from trainer.training.learners import CompiledLearner, Learner, SteppedLearner
from trainer.training.loop import Step, Steps, drive, training_loop
from trainer.training.progress import Evaluation, Plan, Progress

log = logging.getLogger("trainer")


class RunState:
    """Agents, the environments that they act in, and their progress."""

    def __init__(self, command: Command, environment: Environment, goal: float | None) -> None:
        """`goal` is the score that counts as solved; None if no score does.

        Raises:
            ValueError: the networks cannot be built for such observations.
        """
        options = command.options
        self.command, self.environment = command, environment
        self.streams = Streams([(options.seed, agent) for agent in range(options.seeds)])
        self.agents = make_agents(command, environment, self.streams)
        self.collector = make_collector(
            command, environment, self.agents.architecture, self.streams
        )
        self.learner = make_learner(self.agents, self.collector, options.total_steps)
        self.progress = Progress(make_plan(command, goal), options.seeds)
        initial = self.agents.state.averaged.numpy()
        self.snapshots = PolicySnapshots(self.agents.architecture, initial)
        self.restarts = 0
        self._versions = provenance.versions()

    def training_steps(
        self,
        on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
        on_round: Callable[[], None] = lambda: None,
    ) -> Steps:
        """The training loop of this run; `on_round` is called where the state can be saved."""

        def evaluated(evaluation: Evaluation) -> None:
            weights = self.agents.state.averaged.numpy()
            self.snapshots.keep(
                len(self.progress.evaluations), evaluation.training, self.progress.steps,
                evaluation.scores, weights,
            )  # fmt: skip
            on_evaluation(evaluation)

        return training_loop(self.progress, evaluated, on_round)

    def train(self, on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None) -> None:
        """Trains until every agent has stopped."""
        drive(self.training_steps(on_evaluation), self.execute)

    def execute(self, step: Step) -> Any:
        """Carries out a step for this run alone."""
        match step:
            case Step.LEARN:
                return self.learn()
            case Step.VALIDATE:
                return self.validate()
            case Step.SCORE:
                return self.returns(greedy=True), self.returns(greedy=False)

    def learn(self) -> None:
        """Takes the agents some rounds towards their next evaluation."""
        progress = self.progress
        with signals.held():  # a checkpoint must not hold part of a round
            progress.advance(
                self.learner.learn(progress.steps, progress.training, progress.next_evaluation)
            )

    def validate(self) -> NDArray[np.float64]:
        """Mean greedy validation returns `[P]` of the policies that changed; NaN for the others."""
        returns = self.collector.play(
            self.agents.state.averaged,
            self.progress.plan.validation_episodes,
            Purpose.VALIDATION,
            len(self.progress.evaluations),
            greedy=True,
            active=self.progress.to_score,
        )
        return np.asarray(returns.mean(axis=1))

    def policy(self, agent: int) -> list[Snapshot]:
        """An agent's policy before training, half way, and now."""
        steps, score = int(self.progress.steps[agent]), self.progress.score_of(agent)
        return self.snapshots.of(agent, steps, score, self.agents.state.averaged.numpy())

    def returns(self, *, greedy: bool) -> NDArray[np.float64]:
        """Returns `[P, episodes]` of the current policies, over fresh episodes."""
        episodes = self.command.options.evaluation_episodes
        weights = self.agents.state.averaged
        return self.collector.play(weights, episodes, Purpose.FINAL, 0, greedy=greedy)

    def close(self) -> None:
        """Closes the environments."""
        self.collector.close()

    def recording_seed(self, agent: int) -> int:
        """The seed of the episode that is recorded of an agent."""
        return int(self.streams.generator(Purpose.RECORDING, agent, 0).integers(2**31))

    def save(self, job_dir: JobDir, reports: list[Report]) -> None:
        """Writes the checkpoint, between two rounds. Raises OSError."""
        arrays = {
            **prefixed("agents", self.agents.snapshot()),
            **prefixed("collector", self.collector.snapshot()),
            **prefixed("progress", self.progress.snapshot()),
            **prefixed("milestones", self.snapshots.snapshot()),  # the format's name for them
        }
        header = {
            "settings": self.command.values,
            "versions": self._versions,
            "restarts": self.restarts,
            # The process that ends the run makes the final report again.
            "reports": [report._asdict() for report in reports if not report.final],
        }
        job_dir.write(CHECKPOINT, lambda path: write(path, Checkpoint(header, arrays)))

    def restore(self, checkpoint: Checkpoint) -> list[Report]:
        """Restores the state that the checkpoint holds; returns the reports made until then.

        Raises:
            CheckpointError: it is not a checkpoint of this run.
        """
        header, arrays = checkpoint
        try:
            json.dumps(header["reports"], allow_nan=False)
            reports = [Report(**report) for report in header["reports"]]
            restarts = int(header["restarts"]) + 1
            before = dict(header["versions"])
            if not all(report.is_valid() for report in reports):
                raise TypeError
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError("its header lacks what a checkpoint says") from error
        self.agents.restore(without_prefix("agents", arrays))
        self.collector.restore(without_prefix("collector", arrays))
        self.progress.restore(without_prefix("progress", arrays))
        self.snapshots.restore(without_prefix("milestones", arrays))
        self.restarts = restarts
        now = self._versions
        if different := [name for name in sorted(now) if before.get(name) != now[name]]:
            log.warning(
                "The checkpoint was made with other versions of %s. The run continues, but its"
                " results may differ in the last bits.",
                ", ".join(f"{name} ({before.get(name)}, now {now[name]})" for name in different),
            )
        return reports


def make_plan(command: Command, goal: float | None) -> Plan:
    options = command.options
    return Plan(
        options.total_steps,
        options.evaluation_every,
        options.validation_episodes,
        goal,
        None if options.stop_at_score == "none" else options.stop_after,
    )


def make_agents(command: Command, environment: Environment, streams: Streams) -> Agents:
    algorithm, hyperparameters = command.options.algorithm, command.hyperparameters
    architecture = Architecture(
        environment.observation_shape,
        environment.num_actions,
        hyperparameters.hidden_neurons,
        critic=ALGORITHMS[algorithm].critic,
    )
    return Agents(algorithm, architecture, [hyperparameters] * streams.num_agents, streams)


def make_collector(
    command: Command, environment: Environment, architecture: Architecture, streams: Streams
) -> Collector:
    batching = Batching(command.hyperparameters, command.options.algorithm)
    gymnasium = command.options.collector == "gymnasium" or environment.customised
    if gymnasium or environment.id not in VERSIONS:
        return GymnasiumCollector(
            environment,
            architecture,
            batching.num_envs,
            batching.steps,
            streams,
            command.options.env_workers,
        )
    return CompiledCollector(
        VERSIONS[environment.id], architecture, batching.num_envs, batching.steps, streams
    )


def make_learner(agents: Agents, collector: Collector, total_steps: int) -> Learner:
    if isinstance(collector, CompiledCollector):
        return CompiledLearner(agents, collector, total_steps)
    return SteppedLearner(agents, collector, total_steps)
