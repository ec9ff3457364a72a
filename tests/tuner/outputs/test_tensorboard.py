"""TensorBoard's own backend reads a study: its trials, its hyperparameters, its metric."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from trainer.outputs.event_file import TensorBoardReporter
from trainer.storage.job_dir import JobDir
from tuner.outputs import tensorboard
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, DOUBLE, INTEGER, LOG, Parameter, StudySpec

SPEC = StudySpec(
    "score",  # a service may call the metric so; the trainer's events never do
    (
        Parameter("learning-rate", DOUBLE, 1e-4, 0.1, scale=LOG),
        Parameter("hidden_neurons", INTEGER, 8, 128),
        Parameter("batch_size", DISCRETE, values=(64.0, 256.0)),
        Parameter("num_envs", CATEGORICAL, words=("2", "4")),
        Parameter("learning_rate_decay", CATEGORICAL, words=("linear", "none")),
    ),
)
RUNS = {
    "1": {"learning_rate": 0.01, "hidden_neurons": 32, "seed": 0, "score": 400.0},
    "2": {"learning_rate": 0.05, "hidden_neurons": 64, "seed": 0, "score": 450.0},
    "confirm-1/2": {"learning_rate": 0.05, "hidden_neurons": 64, "seed": 1, "score": 440.0},
    "test-2/winner": {"learning_rate": 0.05, "hidden_neurons": 64, "seed": 2, "score": 430.0},
}


def refuse(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study's folder, with events as the trainer writes them."""
    tensorboard.keep(tmp_path, SPEC, refuse)
    for name, values in RUNS.items():
        others = {"batch_size": 256, "num_envs": 2, "learning_rate_decay": "linear", "gamma": 0.9}
        settings = {name: value for name, value in values.items() if name != "score"}
        reporter = TensorBoardReporter(JobDir(tmp_path / name), settings | others)
        reporter.report(10, {"mean_score": 1.0})
        reporter.report(20, {"mean_score": values["score"]}, final=True)
        reporter.close()
    return tmp_path


def backend(folder: Path) -> tuple[Any, Any, Any]:
    """What TensorBoard serves for a log dir: its context, the experiment and a lister of runs."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import (
        api_pb2,
        backend_context,
        get_experiment,
        list_session_groups,
    )

    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(
        base_plugin.TBContext(logdir=str(folder), data_provider=provider)
    )
    whose = (RequestContext(), context, "")
    found = get_experiment.Handler(*whose, api_pb2.GetExperimentRequest()).run()
    column = api_pb2.ColParams(metric=found.metric_infos[0].name, order=api_pb2.ORDER_DESC)
    query = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, col_params=[column],
        aggregation_type=api_pb2.AGGREGATION_AVG,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_RUNNING, api_pb2.STATUS_UNKNOWN],
    )  # fmt: skip
    listed = list_session_groups.Handler(*whose, query).run()
    return api_pb2, found, listed.session_groups


def test_the_experiment_has_the_domains_of_the_search(study: Path) -> None:
    api_pb2, found, _ = backend(study)
    infos = {info.name: info for info in found.hparam_infos}
    assert set(infos) == {
        "learning_rate", "hidden_neurons", "batch_size", "num_envs", "learning_rate_decay", "seed"
    }  # fmt: skip
    for name, low, high in (("learning_rate", 1e-4, 0.1), ("hidden_neurons", 8, 128)):
        interval = infos[name].domain_interval
        assert (interval.min_value, interval.max_value) == (low, high)
        assert infos[name].type == api_pb2.DATA_TYPE_FLOAT64
    assert list(infos["batch_size"].domain_discrete) == [64, 256]
    assert list(infos["num_envs"].domain_discrete) == [2, 4]
    assert list(infos["learning_rate_decay"].domain_discrete) == ["linear", "none"]
    assert infos["learning_rate_decay"].type == api_pb2.DATA_TYPE_STRING
    [metric] = found.metric_infos
    assert (metric.name.tag, metric.display_name) == ("mean_score", "score")


def test_every_trial_is_listed_with_its_values_and_its_score(study: Path) -> None:
    *_, groups = backend(study)
    table = {
        group.name: (
            group.hparams["learning_rate"].number_value,
            group.hparams["hidden_neurons"].number_value,
            group.hparams["seed"].number_value,
            [value.value for value in group.metric_values],
        )
        for group in groups
    }
    assert table == {
        name: (run["learning_rate"], run["hidden_neurons"], run["seed"], [run["score"]])
        for name, run in RUNS.items()
    }
    assert [group.name for group in groups] == ["2", "confirm-1/2", "test-2/winner", "1"]


def test_the_file_is_written_once_and_no_other_file_remains(tmp_path: Path) -> None:
    tensorboard.keep(tmp_path, SPEC, refuse)
    before = (tmp_path / tensorboard.FILE).read_bytes()
    tensorboard.keep(tmp_path, SPEC, refuse)
    assert (tmp_path / tensorboard.FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [tensorboard.FILE]


def test_errors_are_warnings(tmp_path: Path) -> None:
    told: list[str] = []
    tensorboard.keep(tmp_path / "missing", SPEC, told.append)
    assert told == [
        "no table of trials for TensorBoard: No such file or directory"
        f" ({tmp_path}/missing/{tensorboard.FILE})"
    ]


@pytest.mark.parametrize("missing", ["tensorflow", "tensorboard"])
def test_it_needs_no_tensorflow_and_a_study_no_tensorboard(tmp_path: Path, missing: str) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.modules[{missing!r}] = None\n"
        "from tests.tuner.outputs.test_tensorboard import SPEC, tensorboard as experiment\n"
        f"experiment.keep(Path({str(tmp_path)!r}), SPEC, print)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / tensorboard.FILE).exists() == (missing == "tensorflow")
    assert ("pip install '.[tuner]'" in done.stdout) == (missing == "tensorboard")
