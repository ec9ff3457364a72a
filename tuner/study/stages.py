"""Runs a study's stages: tune, confirm, test; each on seeds of its own.

The best score of a search overestimates its trial. So the best trials are trained again on fresh
seeds, and the one selected by those is tested on other seeds.
"""

from __future__ import annotations

from tuner.outputs.results import StudyResult
from tuner.study.confirm import confirm
from tuner.study.final_test import test
from tuner.study.study_run import StudyFailed, StudyRun
from tuner.study.tune import tune


def run(study_run: StudyRun) -> StudyResult:
    """Runs all three stages. Finished runs are not repeated.

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
