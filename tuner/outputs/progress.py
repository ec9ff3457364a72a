"""Progress of a running study: a line for each ended trial, and a table of the running ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interquartile_mean, interval
from trainer.contract.text import score, several, shown, with_interval
from tuner.execution.trial import FAILED, INFEASIBLE, LOG, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task
from tuner.outputs.terminal import labelled
from tuner.search.trial_record import Record


def trial_line(record: Record, flags: Sequence[str], is_best: bool) -> str:
    """A trial that has ended, in one line."""
    end = record.state
    if record.reason:
        end += f" ({record.reason})"
    elif record.value is not None:
        end = score(record.value)
        if record.scores.scores:
            end = with_interval(record.value, *interval(record.scores.scores))
    star = ", best so far" if is_best else ""
    return f"trial {record.number}: {end} after {record.seconds:.0f} s{star}: {shown_flags(flags)}"


def part_line(task: Task, outcome: Outcome, scores: Scores) -> str:
    """A run of confirm or test that has ended, in one line."""
    end = outcome.state
    if outcome.state == SUCCEEDED:
        values = scores.scores or (scores.reported or 0.0,)
        end = with_interval(float(interquartile_mean(values)), *interval(values))
    return f"{task.name}: {end} after {outcome.seconds:.0f} s"


def last_words(task: Task, outcome: Outcome) -> list[str]:
    """The last lines of a run that failed, and the path of its log."""
    if outcome.state not in (FAILED, INFEASIBLE):
        return []
    return [*(f"    {line}" for line in outcome.last_lines), f"    log: {task.job_dir / LOG}"]


def refusal(task: Task, outcome: Outcome) -> str:
    """The trainer's message about its command line."""
    message = outcome.last_lines[-1] if outcome.last_lines else "it printed no message"
    return f"The trainer refuses the command of {task.name}: {message} (log: {task.job_dir / LOG})"


def shown_flags(flags: Sequence[str]) -> str:
    """Flags with rounded numbers, for display."""
    words = []
    for flag in flags:
        name, _, value = flag.removeprefix("--").partition("=")
        try:
            value = f"{float(value):.4g}"
        except ValueError:
            value = shown(value)
        words.append(f"{name} {value}")
    return ", ".join(words)


def table(
    running: Sequence[Trial],
    records: Sequence[Record],
    best: Record | None,
    max_trials: int,
    parallel: int,
) -> list[str]:
    """The running trials, the best so far, and the estimated time left."""
    lines = [""]
    for trial in running:
        last = trial.measurements[-1:]
        news = "".join(f"  {score(value)} at {step:,} steps" for step, value in last)
        waits = "waits for a machine"
        time_ = waits if trial.started is None else f"{time.monotonic() - trial.started:.0f} s"
        lines.append(f"{trial.task.name}  {time_}{news}")
    if best is not None and best.value is not None:
        lines.append(labelled("best", f"trial {best.number}: {score(best.value)}"))
    seconds_each = [record.seconds for record in records if record.over]
    left = max_trials - len(seconds_each)
    if seconds_each and left > 0:
        seconds = statistics.fmean(seconds_each) * left / parallel
        text = f"{several(left, 'trial')}, about {seconds:.0f} s; then confirm and test"
        lines.append(labelled("left", text))
    return lines
