"""`python -m tuner run` that is killed or interrupted, or meets another tuner."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.workspaces import Workspace
from tuner.cloud import jobs


def alive(process: int) -> bool:
    """Whether it runs; a container without an init process keeps zombies."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def test_the_cost_of_interrupted_trials_is_counted(workspace: Workspace) -> None:
    workspace.behave({"1": "work and hang"})
    process = workspace.start("--max-trials", "1", "--candidates", "1")
    workspace.wait_for(lambda: (workspace.study / "1" / "hangs").exists())
    process.terminate()
    process.communicate(timeout=30)
    workspace.behave({})
    ended = workspace.run("--max-trials", "1", "--candidates", "1")
    assert "tune: 1 trial of 2 seeds," in ended.out
    started = workspace.json("best.json")["cpu_seconds"]
    assert started > 1.5, "the first attempt computed for that long"


def test_nothing_is_lost_when_the_tuner_is_killed(workspace: Workspace) -> None:
    workspace.behave({"3": "hang"})
    process = workspace.start("--max-trials", "4", "--candidates", "1", "--parallel", "2")
    workspace.wait_for(lambda: (workspace.study / "3" / "hangs").exists())
    workspace.wait_for(lambda: len(workspace.starts("4")) == 1)
    process.kill()
    process.communicate()
    left = int((workspace.study / "3" / "starts").read_text().split()[0])
    assert alive(left), "it runs on, alone"
    workspace.behave({})
    ended = workspace.run("--max-trials", "4", "--candidates", "1", "--parallel", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [len(workspace.starts(str(n))) for n in (1, 2, 3)] == [1, 1, 2]
    assert workspace.starts("3")[0] == workspace.starts("3")[1]
    assert not alive(left)
    trials = jobs.ai_platform_job(workspace.json("study.json")).trials
    assert [trial.state for trial in trials] == ["SUCCEEDED"] * 4


def test_ctrl_c_ends_after_the_running_trials(workspace: Workspace) -> None:
    workspace.behave({"all": "wait 2"})
    process = workspace.start("--candidates", "1")
    workspace.wait_for(lambda: len(workspace.starts("1")) == 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "Ctrl-C: no new trials; the running ones end first. Press again to stop at once." in out
    assert "trial 1: 89.5" in out
    assert out.endswith("The study was stopped; the same command continues it.\n")
    assert workspace.starts("2") == []


@pytest.mark.parametrize("signals, code", [([2, 2], 130), ([15], 143)])
def test_a_second_ctrl_c_ends_at_once_and_the_same_command_continues(
    workspace: Workspace, signals: list[int], code: int
) -> None:
    workspace.behave({"1": "hang"})
    process = workspace.start("--candidates", "1", "--max-trials", "2")
    workspace.wait_for(lambda: (workspace.study / "1" / "hangs").exists())
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert not alive(int((workspace.study / "1" / "starts").read_text().split()[0]))
    told = workspace.json("study.json")
    assert told["state"] == "CANCELLED"
    assert [trial["state"] for trial in told["trainingOutput"]["trials"]] == ["QUEUED"]
    workspace.behave({})
    assert workspace.run("--candidates", "1", "--max-trials", "2").code == 0
    assert [len(workspace.starts(n)) for n in ("1", "2")] == [2, 1]


def test_a_second_tuner_in_a_folder_is_refused(workspace: Workspace) -> None:
    workspace.behave({"1": "hang"})
    process = workspace.start()
    workspace.wait_for(lambda: (workspace.study / "1" / "hangs").exists())
    assert workspace.run() == (
        1,
        "",
        "error: Another tuner works in study. Wait for it, or choose another folder.\n",
    )
    process.terminate()
    process.communicate(timeout=30)
