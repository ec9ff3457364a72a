"""`python -m tuner run` with failing trials, or an invalid command, file or folder."""

from __future__ import annotations

import pytest

from tests.support.workspaces import PLAIN, Workspace


def test_failed_trials_show_their_last_words_and_cost_nothing_else(workspace: Workspace) -> None:
    workspace.behave({"2": "fail"})
    ended = workspace.run("--max-trials", "4", "--candidates", "1")
    assert ended.code == 0
    assert "    something\n    went wrong\n    log: study/2/trial.log\n" in ended.out
    states = [t["state"] for t in workspace.json("study.json")["trainingOutput"]["trials"]]
    assert states == ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_too_many_failures_end_the_study(workspace: Workspace) -> None:
    workspace.behave({"all": "fail", "1": "diverge"})
    ended = workspace.run()
    assert ended.code == 1
    assert ended.err == (
        "error: 2 of 4 trials failed; maxFailedTrials allows fewer than 2. Fix the errors in"
        " their logs; the same command continues the study.\n"
    )
    workspace.behave({})
    assert workspace.run("--candidates", "1").code == 0
    assert [len(workspace.starts(str(n))) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_trials_ended_by_machine_faults_are_run_again_by_the_same_command(
    workspace: Workspace,
) -> None:
    workspace.behave({"1": "die", "2": "fail", "3": "die"})
    ended = workspace.run("--max-trials", "3", "--seeds", "2")
    assert (ended.code, "2 of" in ended.err) == (1, False), "one failed by its own fault"
    assert "No trial in study has a score." in ended.err
    assert "trial 1: FAILED (signal 9 ended it: it was killed from outside)" in ended.out
    workspace.behave({})
    assert workspace.run("--max-trials", "4", "--seeds", "2", "--candidates", "1").code == 0
    assert [len(workspace.starts(str(n))) for n in (1, 2, 3, 4)] == [2, 1, 2, 1]
    states = [trial["state"] for trial in workspace.json("study.json")["trainingOutput"]["trials"]]
    assert states == ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_a_machine_that_ends_every_trial_ends_the_study(workspace: Workspace) -> None:
    workspace.behave({"all": "die"})
    ended = workspace.run()
    assert ended.code == 1
    assert ended.err == (
        "error: 2 trials in a row ended because of the machine: it was killed from outside. Fix"
        " that; the same command runs them again.\n"
    )
    assert not workspace.starts("3")


def test_a_refused_command_ends_the_study_with_the_trainers_sentence(workspace: Workspace) -> None:
    workspace.behave({"all": "refuse"})
    ended = workspace.run()
    assert ended.code == 1
    assert ended.err == (
        "error: The trainer refuses the command of trial 1: `gamma` must be good, but is not. (log:"
        " study/1/trial.log)\n"
    )
    assert workspace.starts("2") == []
    workspace.behave({})
    assert workspace.run("--candidates", "1").code == 0
    assert len(workspace.starts("1")) == 2, "it is tried again once its cause is mended"


def test_without_any_score_there_is_no_result(workspace: Workspace) -> None:
    ended = workspace.run("--max-trials", "2", "--objective", "steps_to_solve", "--timeout", "0")
    assert (ended.code, ended.out.count("trial 1")) == (1, 0)
    assert "error: No trial in study has a score." in ended.err


def test_another_search_space_is_refused_and_nothing_is_touched(workspace: Workspace) -> None:
    workspace.run("--max-trials", "1", "--candidates", "1")
    before = (workspace.study / "study.journal").read_bytes()
    workspace.write(PLAIN.replace("maxValue: 0.05", "maxValue: 0.1"))
    ended = workspace.run()
    assert ended.code == 1
    assert "parameters learning_rate maxValue 0.05 (now 0.1). Choose another folder." in ended.err
    assert (workspace.study / "study.journal").read_bytes() == before


def test_an_error_of_lint_ends_it_before_trial_1(workspace: Workspace) -> None:
    workspace.write(PLAIN.replace("minValue: 0.001", "minValue: 0.0"))
    ended = workspace.run()
    assert (ended.code, ended.out) == (1, "")
    assert "space.yaml:26:17: error: learning_rate" in ended.err
    assert not workspace.study.exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ("--trainer-args=--gama=0.9",),
            "--trainer-args: the trainer has no flag --gama. Did you mean gamma?",
        ),
        (("--trainer-args='",), "--trainer-args cannot be split into words: No closing"),
        (("--test-seeds", "19"), "19 is not a whole number of 20 or more"),
        (("--confirm-seeds", "9"), "9 is not a whole number of 10 or more"),
        (("--timeout", "soon"), "soon is not a time. Give one such as 90, 15m or 2h"),
        (("--job-dir", "gs://b/s"), "A gs:// address must name a bucket"),
        (("--job-dir", "gs:/bucket/s"), "A gs:// address must start with gs://"),
        (("--job-dir", "gs://bucket"), "A gs:// address must name a folder in the bucket"),
        (("--seeds", "0"), "0 is not a whole number of 1 or more"),
        (("--objective", "best"), "--objective: 'best' is not one of iqm, mean, "),
    ],
)
def test_a_bad_command_ends_with_2_and_one_sentence(
    workspace: Workspace, flags: tuple[str, ...], message: str
) -> None:
    ended = workspace.run(*flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ") and message in ended.err
    assert ended.err.count("\n") == 1
    assert not workspace.study.exists()


def test_a_folder_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    workspace.study.write_text("a file")
    ended = workspace.run()
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: The study's files could not be read or written: File exists (study). The same"
        " command continues the study.\n"
    )


def test_a_study_file_that_breaks_on_the_way_is_named(workspace: Workspace) -> None:
    workspace.behave({"2": "ruin the study"})
    ended = workspace.run()
    assert ended.code == 1
    assert ended.err.startswith("error: study/study.journal cannot be used: ")
    assert ended.err.count("\n") == 1
