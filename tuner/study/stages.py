"""Runs a study's stages: tune, confirm, test; each on seeds of its own.

What is chosen by a score looks better than it is. So the search only proposes: its best trials
are trained again on fresh seeds, and the one that is chosen by those on others still.
"""

from __future__ import annotations

from tuner.outputs.results import Findings
from tuner.study.confirm import confirm
from tuner.study.final_test import test
from tuner.study.study_run import StudyFailed, StudyRun
from tuner.study.tune import tune


def run(study_run: StudyRun) -> Findings:
    """Carries out all three. What was done before is not done again.

    Raises:
        StudyFailed: too many trials failed, or none has a score.
        Interrupted: the user asked for an end; the same command continues the study.
    """
    try:
        tune(study_run)
        return test(study_run, confirm(study_run))
    except StudyFailed:
        study_run.write_study("FAILED")
        raise
