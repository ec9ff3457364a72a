"""`python -m tuner run`, from a file to best.json, with a stand-in for the trainer."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import ROOT, cloudless_environment
from tests.support import tuner_of_fakes
from tests.support.terminals import Screen
from tests.support.waiting import wait_until
from tuner.__main__ import main
from tuner.cloud import jobs
from tuner.commands import run
from tuner.spec.loader import load
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, Parameter, StudySpec, TrialJob
from tuner.study import plan_from_command

TEMPLATES = ROOT / "templates"
PLAIN = (
    (TEMPLATES / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Place:
    """A folder with a search space, a study, and a book of how trials behave."""

    def __init__(self, path: Path) -> None:
        self.path, self.study = path, path / "study"
        self.write(PLAIN)
        self.behave({})

    def write(self, text: str) -> None:
        (self.path / "space.yaml").write_text(text, encoding="utf-8")

    def behave(self, book: Mapping[str, str]) -> None:
        (self.path / "fake.json").write_text(json.dumps(book), encoding="utf-8")

    def start(
        self,
        *flags: str,
        fake: str = "fake_trainer.py",
        out: Any = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """The tuner in a process of its own; with the real trainer where `fake` is empty."""
        command = tuner_of_fakes.command(fake) if fake else [sys.executable, "-m", "tuner"]
        return subprocess.Popen(
            [*command, "run", "space.yaml", "--job-dir", "study", *flags],
            cwd=self.path,
            env=cloudless_environment()
            | {"FAKE": str(self.path / "fake.json")}
            | dict(environment or {}),
            stdout=out,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *flags: str) -> Ended:
        """The same in this process."""
        out, err = io.StringIO(), io.StringIO()
        words = ["run", "space.yaml", "--job-dir", "study", *flags]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(words, tuner_of_fakes.stand_in())
            except SystemExit as end:
                code = int(str(end.code or 0))
        return Ended(code, out.getvalue(), err.getvalue())

    def starts(self, folder: str) -> list[list[str]]:
        """The command lines with which a trial was started."""
        try:
            lines = (self.study / folder / "starts").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.JSONDecoder().raw_decode(line[line.index("[") :])[0] for line in lines]

    def json(self, name: str) -> Any:
        return json.loads((self.study / name).read_text(encoding="utf-8"))

    def wait_for(self, ready: Callable[[], bool]) -> None:
        wait_until(ready)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    return Place(tmp_path)


def alive(process: int) -> bool:
    """Whether it runs; in some containers nobody takes away what has ended."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def test_a_study_from_search_to_test(place: Place) -> None:
    ended = place.run("--max-trials", "3", "--candidates", "2")
    assert (ended.code, ended.err) == (0, "")
    warning, *lines = ended.out.splitlines()
    assert "warning: 3 trials find little" in warning
    assert lines[0] == (
        "tune: 3 trials of 2 seeds, 1 at a time, the best iqm of mean_score; everything goes to"
        " study"
    )
    assert lines[1].startswith("trial 1: 89.5 [89.0, 90.0] after")
    assert any(line.startswith("winner   trial ") for line in lines)
    first = place.starts("1")[0]
    args = load((TEMPLATES / "smoke.yaml").read_bytes(), "f").job.args
    assert first == [
        *args, "--seed=0", "--seeds=2", "--job-dir", "study/1", "--learning_rate=0.01"
    ]  # fmt: skip
    best = place.json("best.json")
    # Tuned, confirmed and tested on seeds that have nothing in common.
    assert best["seeds"] == {
        "tuning": 0,
        "confirming with 5 of 10 seeds": 1,
        "confirming with the other 5 of 10 seeds": 2,
        f"testing trial {best['trial']} with 20 seeds": 3,
    }
    defaults = place.starts("test-3/defaults")[0]
    assert defaults == [*args, "--seed=3", "--seeds=20", "--job-dir", "study/test-3/defaults"]
    assert best["test"]["winner"]["agents"] == 20
    # The stand-in's agents lose a point each: 2 of them have a mean of -0.5, 20 one of -9.5.
    assert best["optimism_gap"] == pytest.approx(9.0)
    # The second of the two candidates has clearly lost by the first half of the fresh seeds.
    assert "confirm: 1 trial on 5 more; 1 of 2 have clearly lost\n" in ended.out
    assert sorted(found["agents"] for found in best["confirm"].values()) == [5, 10]
    assert best["environment_steps"] == 1000 * (3 * 2 + 2 * 5 + 5 + 2 * 20)
    assert best["cpu_seconds"] > 0
    assert (place.study / "events.out.tfevents.study").exists()
    # Each trial's command is an artefact; the stand-in makes neither videos nor curves.
    assert len(list((place.study / "artifacts").iterdir())) == 3
    assert best["reproduce"]["seed"] == 3 and best["reproduce"]["curve_sha256"] is None
    job = jobs.ai_platform_job(place.json("study.json"))
    assert (job.name, job.state, len(job.trials)) == ("study", "SUCCEEDED", 3)
    assert all(trial.state == "SUCCEEDED" and trial.step == 20 for trial in job.trials)


def test_the_same_command_goes_on_and_repeats_nothing(place: Place) -> None:
    place.run("--max-trials", "2", "--candidates", "1")
    before = place.json("study.json")["trainingOutput"]["trials"]
    ended = place.run("--max-trials", "4", "--candidates", "1")
    assert "2 trials have ended before." in ended.out
    assert place.json("study.json")["trainingOutput"]["trials"][:2] == before
    assert [len(place.starts(str(n))) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_failed_trials_show_their_last_words_and_cost_nothing_else(place: Place) -> None:
    place.behave({"2": "fail"})
    ended = place.run("--max-trials", "4", "--candidates", "1")
    assert ended.code == 0
    assert "    something\n    went wrong\n    log: study/2/trial.log\n" in ended.out
    states = [t["state"] for t in place.json("study.json")["trainingOutput"]["trials"]]
    assert states == ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_candidates_that_are_close_are_both_confirmed_to_the_end_and_only_once(
    place: Place,
) -> None:
    # Rates 0.01 and 0.012 differ by two points, and agents by four.
    place.write(PLAIN.replace("minValue: 0.001", "minValue: 0.01").replace("0.05", "0.012"))
    flags = ("--max-trials", "2", "--candidates", "2")
    place.behave({"confirm 1": "hang", "confirm 2": "hang"})
    process = place.start(*flags)
    place.wait_for(lambda: any(place.study.glob("confirm-1/*/hangs")))
    process.terminate()
    process.communicate(timeout=30)
    place.behave({})
    ended = place.run(*flags)
    assert "confirm: 2 trials on 5 more; 0 of 2 have clearly lost\n" in ended.out
    ours = {word for n in (1, 2) for words in place.starts(f"confirm-1/{n}") for word in words}
    rest = {word for n in (1, 2) for words in place.starts(f"confirm-2/{n}") for word in words}
    assert {"--seed=1", "--seeds=5"} <= ours and {"--seed=2", "--seeds=5"} <= rest
    assert "--video=false" in ours & rest, "nobody watches them"
    filmed = [word for part in ("1", "2", "test-3/winner") for word in place.starts(part)[0]]
    assert not any(word.startswith("--video") for word in filmed)
    best = place.json("best.json")
    assert [found["agents"] for found in best["confirm"].values()] == [10, 10]
    place.run(*flags)
    assert place.json("best.json")["confirm"] == best["confirm"]


def test_what_an_interrupted_trial_has_cost_is_counted(place: Place) -> None:
    place.behave({"1": "work and hang"})
    process = place.start("--max-trials", "1", "--candidates", "1")
    place.wait_for(lambda: (place.study / "1" / "hangs").exists())
    process.terminate()
    process.communicate(timeout=30)
    place.behave({})
    ended = place.run("--max-trials", "1", "--candidates", "1")
    assert "tune: 1 trial of 2 seeds," in ended.out
    started = place.json("best.json")["cpu_seconds"]
    assert started > 1.5, "the first attempt computed for that long"


def test_too_many_failures_end_the_study(place: Place) -> None:
    place.behave({"all": "fail", "1": "diverge"})
    ended = place.run()
    assert ended.code == 1
    assert ended.err == (
        "error: 2 of 4 trials failed; maxFailedTrials allows fewer than 2. Mend what their logs"
        " say; the same command continues the study.\n"
    )
    place.behave({})
    assert place.run("--candidates", "1").code == 0
    assert [len(place.starts(str(n))) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_what_the_machine_ended_is_run_again_by_the_same_command(place: Place) -> None:
    place.behave({"1": "die", "2": "fail", "3": "die"})
    ended = place.run("--max-trials", "3", "--seeds", "2")
    assert (ended.code, "2 of" in ended.err) == (1, False), "one failed by its own fault"
    assert "No trial in study has a score." in ended.err
    assert "trial 1: FAILED (signal 9 ended it: it was killed from outside)" in ended.out
    place.behave({})
    assert place.run("--max-trials", "4", "--seeds", "2", "--candidates", "1").code == 0
    assert [len(place.starts(str(n))) for n in (1, 2, 3, 4)] == [2, 1, 2, 1]
    states = [trial["state"] for trial in place.json("study.json")["trainingOutput"]["trials"]]
    assert states == ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_a_machine_that_ends_every_trial_ends_the_study(place: Place) -> None:
    place.behave({"all": "die"})
    ended = place.run()
    assert ended.code == 1
    assert ended.err == (
        "error: 2 trials in a row ended because of the machine: it was killed from outside. Mend"
        " that; the same command runs them again.\n"
    )
    assert not place.starts("3")


def test_a_refused_command_ends_the_study_with_the_trainers_sentence(place: Place) -> None:
    place.behave({"all": "refuse"})
    ended = place.run()
    assert ended.code == 1
    assert ended.err == (
        "error: The trainer refuses the command of trial 1: `gamma` must be good, but is not. (log:"
        " study/1/trial.log)\n"
    )
    assert place.starts("2") == []
    place.behave({})
    assert place.run("--candidates", "1").code == 0
    assert len(place.starts("1")) == 2, "it is tried again once its cause is mended"


def test_a_trial_that_cannot_win_is_stopped(place: Place) -> None:
    place.write((TEMPLATES / "smoke.yaml").read_text(encoding="utf-8"))
    place.behave({"2": "do badly"})
    ended = place.run("--max-trials", "3", "--candidates", "1")
    assert ended.code == 0
    assert "STOPPED (the median rule stopped it)" in ended.out
    assert place.json("study.json")["trainingOutput"]["trials"][1]["isTrialStoppedEarly"]


def test_without_any_score_there_is_no_result(place: Place) -> None:
    ended = place.run("--max-trials", "2", "--objective", "steps_to_solve", "--timeout", "0")
    assert (ended.code, ended.out.count("trial 1")) == (1, 0)
    assert "error: No trial in study has a score." in ended.err


def test_a_file_for_vertex_is_run_and_answered_in_its_dialect(place: Place) -> None:
    service = ("--image", "gcr.io/p/a2c:1", "--job-dir", "gs://bucket/job")
    assert main(["vertex", "space.yaml", *service, "--output", "space.yaml"]) == 0
    assert place.run("--max-trials", "2", "--candidates", "1").code == 0
    job = jobs.vertex_job(place.json("study.json"))
    assert [(trial.state, trial.step) for trial in job.trials] == [("SUCCEEDED", 20)] * 2


def test_a_grid_ends_with_its_last_point(place: Place) -> None:
    grid = PLAIN.replace("maxTrials: 4", "maxTrials: 9\n    algorithm: GRID_SEARCH").replace(
        "type: DOUBLE\n      minValue: 0.001\n      maxValue: 0.05\n"
        "      scaleType: UNIT_LOG_SCALE",
        "type: DISCRETE\n      discreteValues: [0.005, 0.02, 0.05]",
    )
    place.write(grid)
    assert place.run("--candidates", "1").code == 0
    assert place.json("best.json")["flags"] == ["--learning_rate=0.02"]
    trials = place.json("study.json")["trainingOutput"]["trials"]
    rates = [trial["hyperparameters"]["learning_rate"] for trial in trials]
    assert rates[0] == "0.005", "the nearest to the trainer's default"
    assert sorted(rates) == ["0.005", "0.02", "0.05"]


def test_a_trainer_without_a_manifest_is_judged_by_its_metric(place: Place) -> None:
    place.behave({"all": "leave no manifest"})
    assert place.run("--max-trials", "2", "--candidates", "1").code == 0
    assert place.json("best.json")["test"]["winner"]["agents"] == 1


def test_the_warnings_of_lint_are_printed_for_what_the_command_asks(place: Place) -> None:
    place.write(PLAIN.replace("  - --seeds=2\n", "").replace("maxTrials: 4", "maxTrials: 8"))
    ended = place.run("--max-trials", "2", "--seeds", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [line for line in ended.out.splitlines() if ": warning: " in line] == [
        "space.yaml:17:16: warning: 2 trials find little among 1 parameter. Write 4 or more, four a"
        " parameter, or tune fewer."
    ]


def test_another_search_space_is_refused_and_nothing_is_touched(place: Place) -> None:
    place.run("--max-trials", "1", "--candidates", "1")
    before = (place.study / "study.journal").read_bytes()
    place.write(PLAIN.replace("maxValue: 0.05", "maxValue: 0.1"))
    ended = place.run()
    assert ended.code == 1
    assert "parameters learning_rate maxValue 0.05 (now 0.1). Take another folder." in ended.err
    assert (place.study / "study.journal").read_bytes() == before


def test_nothing_is_lost_when_the_tuner_is_killed(place: Place) -> None:
    place.behave({"3": "hang"})
    process = place.start("--max-trials", "4", "--candidates", "1", "--parallel", "2")
    place.wait_for(lambda: (place.study / "3" / "hangs").exists())
    place.wait_for(lambda: len(place.starts("4")) == 1)
    process.kill()
    process.communicate()
    left = int((place.study / "3" / "starts").read_text().split()[0])
    assert alive(left), "it runs on, alone"
    place.behave({})
    ended = place.run("--max-trials", "4", "--candidates", "1", "--parallel", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [len(place.starts(str(n))) for n in (1, 2, 3)] == [1, 1, 2]
    assert place.starts("3")[0] == place.starts("3")[1]
    assert not alive(left)
    trials = jobs.ai_platform_job(place.json("study.json")).trials
    assert [trial.state for trial in trials] == ["SUCCEEDED"] * 4


def test_ctrl_c_ends_after_the_running_trials(place: Place) -> None:
    place.behave({"all": "wait 2"})
    process = place.start("--candidates", "1")
    place.wait_for(lambda: len(place.starts("1")) == 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "Ctrl-C: no new trials; the running ones end first. Again: at once." in out
    assert "trial 1: 89.5" in out
    assert out.endswith("The study was stopped; the same command continues it.\n")
    assert place.starts("2") == []


@pytest.mark.parametrize("signals, code", [([2, 2], 130), ([15], 143)])
def test_twice_ends_at_once_and_the_same_command_goes_on(
    place: Place, signals: list[int], code: int
) -> None:
    place.behave({"1": "hang"})
    process = place.start("--candidates", "1", "--max-trials", "2")
    place.wait_for(lambda: (place.study / "1" / "hangs").exists())
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert not alive(int((place.study / "1" / "starts").read_text().split()[0]))
    told = place.json("study.json")
    assert told["state"] == "CANCELLED"
    assert [trial["state"] for trial in told["trainingOutput"]["trials"]] == ["QUEUED"]
    place.behave({})
    assert place.run("--candidates", "1", "--max-trials", "2").code == 0
    assert [len(place.starts(n)) for n in ("1", "2")] == [2, 1]


@pytest.mark.parametrize(
    "redirection", [">&-", "2>&-", "<&- >&- 2>&-", "| true", ">/dev/full", ">/dev/full 2>&1"]
)
def test_a_study_goes_on_whatever_becomes_of_its_streams(place: Place, redirection: str) -> None:
    words = ["run", "space.yaml", "--job-dir", "study", "--max-trials=1", "--candidates=1"]
    command = shlex.join([*tuner_of_fakes.command(), *words])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
        env=cloudless_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr
    assert place.json("best.json")["trial"] == 1
    whole = (place.study / "study.journal").read_text()
    assert all(json.loads(line) for line in whole.splitlines()), "nothing else is in it"


@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize(
    "environment",
    [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}],
    ids=str,
)
def test_on_a_terminal_no_number_is_broken_and_the_table_goes_away(
    place: Place, columns: int, environment: dict[str, str]
) -> None:
    place.behave({"1": "wait 1.2"})
    with Screen(columns=columns, rows=24) as screen:
        process = place.start(
            *("--max-trials", "1", "--candidates", "1"), out=screen.slave,
            environment={"TERM": "xterm"} | environment,
        )  # fmt: skip
        lines: list[str] = []
        while process.poll() is None:
            lines = screen.lines()
        lines = screen.lines()
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    text = " ".join(" ".join(lines).split())
    assert "trial 1: 89.5 [89.0, 90.0] after" in text
    assert "best.json has the flags to paste." in text
    assert "left" not in text, "the table is gone"
    drew = "\x1b[" in screen.raw
    assert drew == (environment.get("TERM") != "dumb")
    for line in lines:
        assert len(line) <= columns


def test_a_second_tuner_in_a_folder_is_refused(place: Place) -> None:
    place.behave({"1": "hang"})
    process = place.start()
    place.wait_for(lambda: (place.study / "1" / "hangs").exists())
    assert place.run() == (
        1,
        "",
        "error: Another tuner works in study. Wait for it, or take another folder.\n",
    )
    process.terminate()
    process.communicate(timeout=30)


def test_an_error_of_lint_ends_it_before_trial_1(place: Place) -> None:
    place.write(PLAIN.replace("minValue: 0.001", "minValue: 0.0"))
    ended = place.run()
    assert (ended.code, ended.out) == (1, "")
    assert "space.yaml:26:17: error: learning_rate" in ended.err
    assert not place.study.exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ("--trainer-args=--gama=0.9",),
            "--trainer-args: the trainer has no flag --gama. Did you mean gamma?",
        ),
        (("--trainer-args='",), "--trainer-args must be words of a shell, but: No closing"),
        (("--test-seeds", "19"), "must be a whole number, 20 or more, but is 19"),
        (("--confirm-seeds", "9"), "must be a whole number, 10 or more, but is 9"),
        (("--timeout", "soon"), "must be a time such as 90, 15m, 2h, but is soon"),
        (("--job-dir", "gs://b/s"), "A gs:// address must name a bucket"),
        (("--job-dir", "gs:/bucket/s"), "A gs:// address must start with gs://"),
        (("--job-dir", "gs://bucket"), "A gs:// address must name a folder in the bucket"),
        (("--seeds", "0"), "must be a whole number, 1 or more, but is 0"),
        (("--objective", "best"), "--objective: 'best' is not one of iqm, mean, "),
    ],
)
def test_a_bad_command_ends_with_2_and_one_sentence(
    place: Place, flags: tuple[str, ...], message: str
) -> None:
    ended = place.run(*flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ") and message in ended.err
    assert ended.err.count("\n") == 1
    assert not place.study.exists()


def test_a_folder_that_cannot_be_written_is_named(place: Place) -> None:
    place.study.write_text("a file")
    ended = place.run()
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: The study's files could not be read or written: File exists (study). The same"
        " command continues the study.\n"
    )


def test_a_study_file_that_breaks_on_the_way_is_named(place: Place) -> None:
    place.behave({"2": "ruin the study"})
    ended = place.run()
    assert ended.code == 1
    assert ended.err.startswith(
        "error: study/study.journal must be a study's file that can be read"
    )
    assert ended.err.count("\n") == 1


def spec(*parameters: Parameter, args: tuple[str, ...] = ()) -> StudySpec:
    return StudySpec("mean_score", parameters, job=TrialJob(args=args))


def test_defaults_are_those_of_the_algorithm_and_as_near_as_the_range_comes() -> None:
    found = plan_from_command.defaults(load((TEMPLATES / "hyperparam.yaml").read_bytes(), "f"))
    assert found == {
        "gamma": 0.99, "learning_rate": 0.01, "hidden_neurons": 32, "critic_weight": 1.0,
        "entropy": 1e-5, "batch_size": 256,
    }  # fmt: skip
    found = plan_from_command.defaults(load((TEMPLATES / "hyperparam_pg.yaml").read_bytes(), "f"))
    assert (found["learning_rate"], found["num_envs"]) == (0.007, 4)
    found = plan_from_command.defaults(
        spec(
            Parameter("batch_size", DISCRETE, values=(64.0, 512.0)),
            Parameter("learning_rate_decay", CATEGORICAL, words=("none",)),
            Parameter("algorithm", CATEGORICAL, words=("pg",)),
            args=("--batch_size=500", "--learning_rate_decay=none"),
        )
    )
    assert found == {"batch_size": 512.0, "learning_rate_decay": "none"}


def test_no_more_trials_than_cores_run_at_a_time_unless_one_asks(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    place.write(PLAIN.replace("maxParallelTrials: 1", "maxParallelTrials: 3"))
    study = load((place.path / "space.yaml").read_bytes(), "f")
    assert plan(study, "--engine", "process").parallel == 1
    assert plan(study, "--engine", "process", "--parallel", "2").parallel == 2
    assert plan(study).parallel == 3, "in a stack they share the cores"


def plan(study: StudySpec, *flags: str) -> Any:
    parser = argparse.ArgumentParser()
    run.add_flags(parser)
    return plan_from_command.make_plan(study, parser.parse_args(["f", "--job-dir", "d", *flags]))


@pytest.mark.faults
def test_a_real_study_from_search_to_test(place: Place) -> None:
    place.write((TEMPLATES / "smoke.yaml").read_text(encoding="utf-8"))
    process = place.start("--max-trials", "2", "--candidates", "1", fake="")
    out, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (0, ""), out
    best = place.json("best.json")
    assert best["test"]["winner"]["agents"] == best["test"]["defaults"]["agents"] == 20
    assert 0 < best["test"]["winner"]["interquartile_mean"] <= 500
    assert best["environment_steps"] >= 2000 * (2 * 2 + 10 + 2 * 20)
    assert best["trials_until_solved"] is None
    trials = jobs.ai_platform_job(place.json("study.json")).trials
    # Early stopping is on: the second may lose against the first.
    assert trials[0].state == "SUCCEEDED" and trials[1].state.startswith("SUCCEEDED")
    trial = best["trial"]
    for folder in (
        "1",
        f"confirm-1/{trial}",
        f"confirm-2/{trial}",
        "test-3/winner",
        "test-3/defaults",
    ):
        assert json.loads((place.study / folder / "manifest.json").read_bytes())["scores"]
        filmed = (place.study / folder / "recording.mp4").exists()
        assert filmed is not folder.startswith("confirm")
