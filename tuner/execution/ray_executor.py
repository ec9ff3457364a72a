"""Runs trials on a Ray cluster: Ray assigns each trial a node, where an actor runs it.

A trial waits in a placement group, which reserves its CPUs and GPUs; an autoscaling cluster adds
machines for it. If a node is lost, its trials continue on other nodes from their checkpoints in
the job dir.

More than 250 lines, since any message of a node may start, move or end trials: placing trials and
receiving messages change the same lists.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner.execution import machine_faults, ray_cluster
from tuner.execution.metric_file import merged
from tuner.execution.ray_cluster import RayError
from tuner.execution.ray_node import News, Node, NodeSettings
from tuner.execution.ray_state import NodeState, RayTrial, first_line, last_line, why_lost
from tuner.execution.trial import FAILED, METRIC, Outcome, Trial, outcome
from tuner.execution.trial_command import Task

_MOST_MOVES = 5  # to another node, before a trial counts as failed
_SILENCE = 30.0  # seconds without an answer before a node is reported
_STOPPING = 80.0  # seconds after a stop request before a trial is given up
_WAIT = 15.0  # seconds of waiting for a machine before it is reported
_SPARE = 1.0  # seconds that a free reservation is kept for the next trial
_LEAVE = 25.0  # seconds for a node's processes to end
_NODE_FAULTS = (machine_faults.NO_ROOM, machine_faults.NO_MEMORY, machine_faults.BAD_DISK)


class RayExecutor:
    """Runs trials on the nodes of a cluster. Close it."""

    def __init__(
        self,
        address: str,
        settings: NodeSettings,
        folder: Path,
        *,
        gpus: float = 0.0,
        prepare: Callable[[Task], None] = lambda task: None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Connects to the cluster.

        Args:
            folder: the study's, on this machine.
            gpus: that a trial takes.
            prepare: called before a trial goes to another node.

        Raises:
            RayError: there is no cluster at that address, or no Ray here.
        """
        self._ray = ray_cluster.connect(address)
        self._settings, self._folder, self._gpus = settings, folder, gpus
        self._prepare, self._notify = prepare, notify
        self._nodes: dict[str, NodeState] = {}
        self._waiting: list[RayTrial] = []
        self._spare: list[tuple[float, Any]] = []  # groups of trials that have just ended
        self._held: list[Any] = []  # placement groups that keep trials off refused nodes
        self._ended: list[tuple[Trial, Outcome]] = []
        self._refusals: list[str] = []
        self._idle_since = time.monotonic()
        self._gave_up = self._reported_waiting = False

    def submit(self, task: Task) -> Trial:
        task.job_dir.mkdir(parents=True, exist_ok=True)
        trial = RayTrial(task)
        self._wait_for_node(trial)
        return trial

    def poll(self) -> list[tuple[Trial, Outcome]]:
        """Places trials and receives messages of nodes; returns the trials that ended.

        Raises:
            RayError: no node may run trials, or the cluster does not answer.
        """
        try:
            self._place()
            for key, node in list(self._nodes.items()):
                self._receive(key, node)
        except (self._ray.exceptions.RaySystemError, ConnectionError) as error:
            raise RayError(
                f"The Ray cluster stopped answering ({first_line(error)}). The same command"
                " continues the study."
            ) from error
        self._check_progress()
        while self._spare and time.monotonic() - self._spare[0][0] > _SPARE:
            self._remove(self._spare.pop(0)[1])
        ended, self._ended = self._ended, []
        return ended

    def stop(self, trial: Trial, reason: str) -> None:
        assert isinstance(trial, RayTrial)
        if trial.stopping:
            return
        trial.stopping, trial.give_up_at = reason, time.monotonic() + _STOPPING
        for node in self._nodes.values():
            if trial in node.trials and trial.started is not None:
                node.actor.stop.remote(trial.task.name, reason)
                return
        for node in self._nodes.values():
            if trial in node.trials:
                node.trials.remove(trial)
        if trial in self._waiting:
            self._waiting.remove(trial)
        self._end(trial, outcome(trial, 143))

    def close(self) -> None:
        """Ends the trainer processes on all nodes, and leaves the cluster."""
        closing = [node.actor.close.remote() for node in self._nodes.values() if node.check is None]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=_LEAVE)
        for node in self._nodes.values():
            node.token.unlink(missing_ok=True)
        self._ray.shutdown()  # ends actors and placement groups

    def _wait_for_node(self, trial: RayTrial) -> None:
        """Asks Ray for a node with room for the trial."""
        from ray.util.placement_group import placement_group

        if self._spare:
            trial.group, trial.started = self._spare.pop()[1], None
            self._waiting.append(trial)
            return
        bundle = {"CPU": self._settings.cpus} | ({"GPU": self._gpus} if self._gpus else {})
        trial.group, trial.started = (
            placement_group([bundle], name=f"{trial.task.name}, {uuid.uuid4().hex[:8]}"),
            None,
        )
        self._waiting.append(trial)

    def _place(self) -> None:
        """Starts trials on the nodes that Ray has reserved for them."""
        from ray.util.placement_group import placement_group_table

        if not self._waiting:
            return
        groups = placement_group_table()
        for trial in list(self._waiting):
            found = groups.get(trial.group.id.hex(), {})
            if found.get("state") != "CREATED":
                continue
            node = self._node(found["bundles_to_node_id"][0])
            self._waiting.remove(trial)
            if node.refused:  # keep its reservation, or Ray would choose the node again
                self._held.append(trial.group)
                self._wait_for_node(trial)
            else:
                node.trials.append(trial)
                if node.check is None:
                    self._start(trial, node)

    def _node(self, key: str) -> NodeState:
        """A node's state; starts its actor and its check at the first call."""
        if key not in self._nodes:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            [row] = [row for row in self._ray.nodes() if row["NodeID"] == key]
            name = f"{row['NodeManagerHostname']} ({row['NodeManagerAddress']}, {key[:8]})"
            actor = self._ray.remote(Node).options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(key, soft=False),
                max_concurrency=100,
                name=f"trials on {key}-{uuid.uuid4().hex[:8]}",
            )
            made = actor.remote(self._settings, key[:8], row["Resources"].get("CPU", 1.0))
            token = self._folder / f".node-{uuid.uuid4().hex}"
            token.touch()
            check = made.check.remote(token.name)
            self._nodes[key] = NodeState(name, made, check, token)
        return self._nodes[key]

    def _start(self, trial: RayTrial, node: NodeState) -> None:
        """Starts a trial on a node that passed its check."""
        metric = trial.task.job_dir / METRIC
        if self._settings.bucket and trial.moves:
            metric.unlink(missing_ok=True)  # the last node's upload is newer
        self._prepare(trial.task)
        reports = metric.read_bytes() if self._settings.bucket and metric.exists() else None
        folder = trial.task.job_dir.relative_to(self._folder).as_posix()
        trial.started = time.monotonic()
        node.actor.submit.remote(trial.task, folder, reports, self._devices(trial))
        if node.news is None:
            node.news, node.last_answer = node.actor.news.remote(), time.monotonic()

    def _devices(self, trial: RayTrial) -> str | None:
        """The GPUs that Ray reserved for a trial."""
        if not self._gpus:
            return None
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        asked = self._ray.remote(_visible_devices).options(
            num_cpus=0,
            num_gpus=self._gpus,
            scheduling_strategy=PlacementGroupSchedulingStrategy(trial.group),
        )
        return str(self._ray.get(asked.remote(), timeout=60))

    def _receive(self, key: str, node: NodeState) -> None:
        """Processes a node's answers, if there are any."""
        try:
            if node.check is not None and self._is_ready(node.check):
                self._checked(node, self._ray.get(node.check))
            if node.news is not None and self._is_ready(node.news):
                news, node.news = self._ray.get(node.news), None
                node.last_answer, node.silent = time.monotonic(), False
                for each in news:
                    self._take(node, each)
                if any(trial.started is not None for trial in node.trials):
                    node.news = node.actor.news.remote()
        except self._ray.exceptions.RayTaskError as error:  # an error in our code or of its disk
            raise RayError(f"Node {node.name} failed: {last_line(error)}") from error
        except self._ray.exceptions.RaySystemError:
            raise
        except self._ray.exceptions.RayError as error:
            self._lose(key, node, error)
            return
        for trial in [each for each in node.trials if each.give_up_at < time.monotonic()]:
            node.trials.remove(trial)
            self._end(trial, outcome(trial, -9))
        waits = node.news is not None and time.monotonic() - node.last_answer > _SILENCE
        if waits and not node.silent:
            node.silent = True
            self._notify(f"Node {node.name} has not answered for {_SILENCE:.0f} s.")

    def _is_ready(self, answer: Any) -> bool:
        return bool(self._ray.wait([answer], timeout=0)[0])

    def _checked(self, node: NodeState, fault: str) -> None:
        node.check = None
        folder_is_theirs = self._settings.bucket or self._sees_files_of(node)
        if not fault and not folder_is_theirs:
            fault = (
                f"has another folder at {self._settings.folder}. Give a job dir that all nodes"
                " share: a bucket or a shared folder"
            )
        node.token.unlink(missing_ok=True)
        if fault:
            self._refuse(node, f"Node {node.name} {fault}.")
        else:
            for trial in node.trials:
                self._start(trial, node)

    def _sees_files_of(self, node: NodeState) -> bool:
        found = list(self._folder.glob(f"{node.token.name}-*"))
        for file in found:
            file.unlink(missing_ok=True)
        return bool(found)

    def _refuse(self, node: NodeState, sentence: str) -> None:
        """Excludes a node; trials that wait for it go to other nodes."""
        self._notify(f"{sentence} It gets no trials.")
        self._refusals.append(sentence)
        node.refused = True
        for trial in [trial for trial in node.trials if trial.started is None]:
            node.trials.remove(trial)
            self._held.append(trial.group)
            self._wait_for_node(trial)

    def _take(self, node: NodeState, news: News) -> None:
        """Processes one message about a trial."""
        trial = next((each for each in node.trials if each.task.name == news.name), None)
        if trial is None:  # it was given up
            return
        trial.measurements = merged(trial.measurements, news.measurements)
        if news.outcome is None:
            return
        node.trials.remove(trial)
        fault = news.outcome.machine_fault
        if fault in _NODE_FAULTS and not node.refused:
            self._refuse(node, f"Node {node.name} could not run {trial.task.name}: {fault}.")
        if fault in _NODE_FAULTS and self._others_can_run() and self._may_move(trial):
            self._held.append(trial.group)
            self._wait_for_node(trial)
            return
        ended = dataclasses.replace(news.outcome, measurements=tuple(trial.measurements))
        self._end(trial, ended, hold=node.refused)

    def _others_can_run(self) -> bool:
        return any(
            row["Alive"]
            and row["Resources"].get("CPU", 0) >= self._settings.cpus
            and not (row["NodeID"] in self._nodes and self._nodes[row["NodeID"]].refused)
            for row in self._ray.nodes()
        )

    def _may_move(self, trial: RayTrial) -> bool:
        trial.moves += 1
        return trial.moves <= _MOST_MOVES and not trial.stopping

    def _lose(self, key: str, node: NodeState, error: Exception) -> None:
        """Removes a lost node; its trials continue on other nodes."""
        del self._nodes[key]
        node.token.unlink(missing_ok=True)
        moved = []
        for trial in node.trials:
            if self._may_move(trial):
                self._remove(trial.group)
                self._wait_for_node(trial)
                moved.append(trial.task.name)
            elif trial.stopping:
                self._end(trial, outcome(trial, -9))
            else:
                fault = machine_faults.NODE_LOST
                reports = tuple(trial.measurements)
                self._end(trial, Outcome(FAILED, fault, -9, reports, 0, 0, (), fault))
        goes_on = f"; {', '.join(moved)} {'go' if len(moved) > 1 else 'goes'} on elsewhere"
        self._notify(f"Node {node.name} {why_lost(error)}{goes_on if moved else ''}.")

    def _end(self, trial: RayTrial, ended: Outcome, *, hold: bool = False) -> None:
        if hold:
            self._held.append(trial.group)
        else:
            self._spare.append((time.monotonic(), trial.group))
        self._ended.append((trial, ended))

    def _remove(self, group: Any) -> None:
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(group)

    def _check_progress(self) -> None:
        """Reports a wait for machines once; raises RayError if all nodes are excluded."""
        if not self._waiting or any(node.trials for node in self._nodes.values()):
            self._idle_since = time.monotonic()
            return
        if self._gave_up or time.monotonic() - self._idle_since < _WAIT / 3:
            return
        if self._refusals and not self._others_can_run():
            self._gave_up = True
            raise RayError(f"No node of the cluster can run trials. {self._refusals[-1]}")
        if not self._reported_waiting and time.monotonic() - self._idle_since > _WAIT:
            self._reported_waiting = True
            gpus = f" and {self._gpus:g} GPUs" if self._gpus else ""
            self._notify(f"Waiting for a node with {self._settings.cpus:g} CPUs{gpus} free.")


def _visible_devices() -> str:
    """Runs on a node: the GPUs of its reservation."""
    import ray

    return ",".join(str(each) for each in ray.get_gpu_ids())
