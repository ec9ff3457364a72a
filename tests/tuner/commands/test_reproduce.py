"""`python -m tuner reproduce` recognises the same run, and a different one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TIMEOUT, TINY_RUN, FinishedRun, cloudless_environment
from tests.support.best_files import BEST
from tests.support.tuner_of_fakes import stand_in
from tests.tuner.test_main import tuner
from trainer.storage.run_files import read_scores
from tuner.execution.trial_command import TRAINER
from tuner.outputs import recipe, results


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(best: dict[str, Any]) -> None:
        for name in path[:-1]:
            best = best[name]
        del best[path[-1]]

    return change


@pytest.mark.parametrize(
    "change, says",
    [
        (without("reproduce"), "it lacks reproduce."),
        (without("flags"), "it lacks flags."),
        (without("reproduce", "curve_sha256"), "it lacks curve_sha256."),
        (without("test", "winner", "interval"), "it lacks interval."),
        (lambda b: b.update(flags="--gamma=1"), "it has flags, seeds or scores"),
        (lambda b: b["reproduce"].update(seed="1"), "it has flags, seeds or scores"),
        (lambda b: b["reproduce"].update(other_flags=[1]), "it has flags, seeds or scores"),
        (lambda b: b["test"]["winner"].update(interval=[1]), "it has flags, seeds or scores"),
        (lambda b: b["test"].update(winner={}), "it lacks interval."),
    ],
)
def test_an_incomplete_file_is_refused_with_a_message(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    best = json.loads(json.dumps(BEST))
    change(best)
    file = tmp_path / "best.json"
    file.write_text(json.dumps(best))
    ended = tuner("reproduce", str(file), "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.err and ended.err.count("\n") == 1
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '{"a": 1}', '{"flags": '])
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text(text)
    ended = tuner("reproduce", str(tmp_path / "f"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "is not a study's best.json: it" in ended.err


@pytest.fixture
def best(tmp_path: Path, finished_run: FinishedRun) -> dict[str, Any]:
    """best.json of a study whose winner in the test was a run of the real trainer."""
    scores = read_scores(finished_run.job_dir, None)
    args, flags = list(TINY_RUN), ["--learning_rate=0.01"]
    return {
        "metric": "mean_score", "args": args, "flags": flags,
        "test": {"winner": results.summary(scores)},
        "reproduce": recipe.record(finished_run.job_dir, (0, 2), args, flags),
    }  # fmt: skip


def reproduce(
    tmp_path: Path, best: dict[str, Any], *more: str, trainer: Sequence[str] = TRAINER
) -> Any:
    (tmp_path / "best.json").write_text(json.dumps(best))
    return tuner("reproduce", str(tmp_path / "best.json"), *more, trainer=trainer)


def test_the_real_trainer_reproduces_to_the_last_bit(tmp_path: Path, best: dict[str, Any]) -> None:
    again = best["reproduce"]
    assert again["machine"]["processor"] and again["versions"]["trainer"]
    assert again["other_flags"]["gamma"] == 0.99
    assert not {"learning_rate", "total_steps", "seed", "seeds"} & again["other_flags"].keys()
    where = ("--job-dir", str(tmp_path / "again"))
    ended = reproduce(tmp_path, best, *where)
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert ended.out.endswith("reproduced: every agent scored the same to the last bit\n")
    # A finished run in that folder would not be repeated.
    ended = reproduce(tmp_path, best, *where)
    assert ended.code == 1 and "which would not be repeated" in ended.err


def test_a_stacked_run_is_also_reproduced_to_the_last_bit(tmp_path: Path) -> None:
    """As it learned then, in a stack; the others need not be there."""
    flags = ["--learning_rate=0.01"]
    runs = {"winner": [*TINY_RUN, *flags], "other": [*TINY_RUN, "--seeds=3", "--batch_size=32"]}
    orders = [
        {"id": name, "arguments": [*words, "--job_dir", str(tmp_path / name)],
         "log": str(tmp_path / f"{name}.log")}
        for name, words in runs.items()
    ]  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "trainer.batch"],
        input="".join(json.dumps(order) + "\n" for order in reversed(orders)),
        text=True, capture_output=True, check=True, env=cloudless_environment(), timeout=TIMEOUT,
    )  # fmt: skip
    winner = tmp_path / "winner"
    best = {
        "metric": "mean_score", "args": list(TINY_RUN), "flags": flags,
        "test": {"winner": results.summary(read_scores(winner, None))},
        "reproduce": recipe.record(winner, (0, 2), TINY_RUN, flags),
    }  # fmt: skip
    assert best["reproduce"]["stacked"] is True
    ended = reproduce(tmp_path, best, "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert ended.out.endswith("reproduced: every agent scored the same to the last bit\n")


def test_with_one_flag_changed_the_real_trainer_does_not(
    tmp_path: Path, best: dict[str, Any]
) -> None:
    best["flags"] = ["--learning_rate=0.011"]
    ended = reproduce(tmp_path, best, "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.err) == (1, ""), ended.out
    assert "not reproduced: machine and versions are the same" in ended.out


def test_another_trainers_version_is_refused_before_it_trains(
    tmp_path: Path, best: dict[str, Any]
) -> None:
    best["reproduce"]["versions"]["trainer"] = "0.0.9"
    best["args"].append("--total_steps=100000000")
    ended = reproduce(tmp_path, best, "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.out.count("\n")) == (1, 1)
    assert ended.err == (
        "error: The trainer here is version 0.1.0, but the study had version 0.0.9. Install that"
        " version.\n"
    )


def test_a_failed_run_is_reported_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    (tmp_path / "fake.json").write_text('{"all": "fail"}')
    ended = reproduce(tmp_path, BEST, "--job-dir", str(tmp_path / "again"), trainer=stand_in())
    assert ended.code == 1
    assert ended.err == (
        "error: The run failed with exit code 1"
        f" (log: {tmp_path}/again/trial.log). Its last line: went wrong\n"
    )


# Files of strangers


@pytest.mark.parametrize(
    "words, says",
    [
        (["--job_dir=/elsewhere"], "sets job_dir, which only the command may"),
        (["--job-dir", "/elsewhere"], "sets job_dir, which only the command may"),
        (["--overwrite"], "sets overwrite, which only the command may"),
        (["--no-such-flag=1"], "--no-such-flag=1 is not a flag of the trainer"),
        (["-x"], "-x is not a flag of the trainer"),
    ],
)
@pytest.mark.parametrize("where", ["args", "flags", "other_flags"])
def test_no_flag_of_a_file_decides_where_files_go(
    where: str, words: list[str], says: str, tmp_path: Path
) -> None:
    best = json.loads(json.dumps(BEST))
    if where == "other_flags":
        name, _, value = words[0].lstrip("-").partition("=")
        best["reproduce"][where][name] = value or True
    else:
        best[where] += words
    (tmp_path / "best.json").write_text(json.dumps(best))
    ended = tuner("reproduce", str(tmp_path / "best.json"), "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert says in ended.err or where == "other_flags"
    assert [path.name for path in tmp_path.iterdir()] == ["best.json"]


def test_a_file_imports_no_module_that_the_command_does_not_name(tmp_path: Path) -> None:
    best = json.loads(json.dumps(BEST))
    best["args"] += ["--environment=strangers_module:Env-v0"]
    (tmp_path / "best.json").write_text(json.dumps(best))
    ended = tuner("reproduce", str(tmp_path / "best.json"), "--job-dir", str(tmp_path / "again"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("add --environment strangers_module:Env-v0\n")
    assert not (tmp_path / "again").exists()
