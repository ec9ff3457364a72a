"""The models of a run that was cut short."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trainer import recover
from trainer.contract.command_line import parse
from trainer.contract.job_files import CHECKPOINT, METRICS, MODEL, SAVED_MODEL, SETTINGS
from trainer.environments import spec
from trainer.run.state import RunState
from trainer.storage.checkpoint import Checkpoint, CheckpointError, read, write
from trainer.storage.job_dir import JobDir

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FLAGS = (
    *("--collector", "gymnasium", "--seeds", "2", "--hidden_neurons", "4"),
    *("--total_steps", "60", "--evaluation_every", "30", "--validation_episodes", "1"),
)
in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def run() -> RunState:
    """Two agents that have scarcely learned; the second did better."""
    run = RunState(parse(FLAGS), spec.find("CartPole-v1"), None)
    run.progress.scores = np.array([9.0, 10.0])
    run.progress.steps = np.array([30, 40])
    return run


@pytest.fixture(scope="module")
def original(run: RunState, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What such a run leaves when it is killed."""
    job_dir = JobDir(tmp_path_factory.mktemp("killed"))
    job_dir.write_json(SETTINGS, {"settings": run.command.values})
    job_dir.write_text(METRICS, "{}\n")
    run.save(job_dir, [])
    return job_dir.path


@pytest.fixture
def killed(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "job"))


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Recovers in vain; the one line that says why."""

    def refused(code: int, *arguments: str) -> str:
        capfd.readouterr()
        try:
            ended: object = recover.main(arguments)
        except SystemExit as end:
            ended = end.code
        assert ended == code
        out, line = capfd.readouterr()
        assert re.fullmatch(r"error: [^\n]+(?<!\.\.)\n", line), line
        assert out == ""
        return line

    return refused


def test_both_models_are_of_the_best_agent_and_load(
    killed: Path, run: RunState, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (killed / CHECKPOINT).read_bytes()
    assert recover.main([str(killed), "--output", str(tmp_path / "models")]) == 0
    told = capfd.readouterr()
    assert told.out == f"{tmp_path}/models holds {MODEL} and {SAVED_MODEL} as of 40 steps.\n"
    assert told.err == ""
    assert sorted(os.listdir(tmp_path / "models")) == [MODEL, SAVED_MODEL]
    assert (killed / CHECKPOINT).read_bytes() == before
    model = keras.saving.load_model(tmp_path / "models" / MODEL, safe_mode=True)
    served = tf.saved_model.load(str(tmp_path / "models" / SAVED_MODEL))
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    answer = served.signatures["serving_default"](observations=tf.constant(observations))
    expected = [run.agents.act_greedily(1, x) for x in observations]
    assert answer["action"].numpy().tolist() == expected
    np.testing.assert_allclose(
        model(observations)["probabilities"], answer["probabilities"], atol=1e-6
    )


def test_without_an_output_the_models_join_the_run(killed: Path) -> None:
    files = set(os.listdir(killed))
    assert recover.main([str(killed)]) == 0
    assert set(os.listdir(killed)) == files | {MODEL, SAVED_MODEL}


def test_a_checkpoint_is_found_where_a_service_wanted_it(killed: Path, tmp_path: Path) -> None:
    (killed / "checkpoints").mkdir()
    (killed / CHECKPOINT).rename(killed / "checkpoints" / "last")
    (killed / SETTINGS).write_text(json.dumps({"places": {CHECKPOINT: "checkpoints/last"}}))
    assert recover.main([str(killed), "--output", str(tmp_path / "models")]) == 0


# What cannot be recovered


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, refusal: Any) -> None:
    line = refusal(2, str(tmp_path / "none"))
    assert f"{tmp_path / 'none'} holds no {CHECKPOINT}." in line
    assert not (tmp_path / "none").exists()


def test_a_folder_without_a_checkpoint_is_refused(killed: Path, refusal: Any) -> None:
    (killed / CHECKPOINT).unlink()
    assert f"holds no {CHECKPOINT}" in refusal(2, str(killed))


def test_a_bucket_needs_an_output(refusal: Any) -> None:
    assert "give --output" in refusal(2, "gs://bucket/job")


@pytest.mark.parametrize("address", ["gs://bucket", "s3://bucket/job", "gs://bucket/a//b"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path, refusal: Any) -> None:
    assert f"got '{address}'" in refusal(2, address, "--output", str(tmp_path / "models"))


def test_a_flag_that_is_none_is_refused(killed: Path, refusal: Any) -> None:
    assert "--outputs" in refusal(2, str(killed), "--outputs=x")


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_refused_by_name(
    damage: bytes | None, killed: Path, refusal: Any
) -> None:
    whole = (killed / CHECKPOINT).read_bytes()
    (killed / CHECKPOINT).write_bytes(whole[:-9] if damage is None else damage)
    files = sorted(os.listdir(killed))
    assert refusal(1, str(killed)) == (
        f"error: Checkpoint {killed}/{CHECKPOINT} cannot be used: it is damaged, or not a"
        " checkpoint.\n"
    )
    assert sorted(os.listdir(killed)) == files


def test_a_checkpoint_without_weights_is_refused(killed: Path, refusal: Any) -> None:
    header, arrays = read((killed / CHECKPOINT).read_bytes())
    rest = {name: x for name, x in arrays.items() if name != "agents.weights"}
    write(killed / CHECKPOINT, Checkpoint(header, rest))
    assert "cannot be used: it has no weights." in refusal(1, str(killed))


def test_an_output_that_cannot_be_written_is_an_error(
    killed: Path, tmp_path: Path, refusal: Any
) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(1, str(killed), "--output", str(tmp_path / "file" / "models"))
    assert "the models could not be saved: Not a directory." in line


def with_settings(killed: Path, **changes: Any) -> None:
    header, arrays = read((killed / CHECKPOINT).read_bytes())
    header = {**header, "settings": {**header["settings"], **changes}}
    write(killed / CHECKPOINT, Checkpoint(header, arrays))


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "Gone-v0"},
        {"environment": "Pendulum-v1"},
        {"environment": "Acrobot-v1"},
        {"environment": 7},
        {"algorithm": "dqn"},
        {"collector": "none"},
        {"hidden_neurons": "4"},
        {"hidden_neurons": 4.5},
        {"hidden_neurons": True},
        {"hidden_neurons": 0},
        {"hidden_neurons": 5},
        {"learning_rate": "fast"},
        {"learning_rate": None},
        {"metric_tag": 7},
        {"stop_at_score": []},
        {"seeds": 3},
        {"seed": -1},
    ],
    ids=str,
)
def test_settings_that_are_none_are_refused(
    changes: dict[str, Any], killed: Path, refusal: Any
) -> None:
    with_settings(killed, **changes)
    assert f"Checkpoint {killed}/{CHECKPOINT} cannot be used: " in refusal(1, str(killed))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = sorted(parse([]).values)


@given(found=st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
@example({"metric_tag": 7})
@example({"stop_at_score": {}})
@example({"learning_rate": 10**400})
@example({"algorithm": []})
def test_whatever_settings_are_found_they_are_a_command_or_refused(found: Any) -> None:
    try:
        command = recover.command_of({"settings": found})
    except CheckpointError:
        return
    parts = [f"--{name}={value}" for name, value in command.values.items()]
    if not any("\0" in part or "\ud800" <= max(part) <= "\udfff" for part in parts):
        assert parse(parts).values == command.values


def test_the_settings_of_a_run_are_its_command(run: RunState) -> None:
    header = json.loads(json.dumps({"settings": run.command.values}))
    assert recover.command_of(header).values == run.command.values


@pytest.mark.parametrize(
    "changes", [{"hidden_neurons": 65_536}, {"num_envs": 65_536}, {"seeds": 65_536}], ids=str
)
def test_settings_that_ask_for_more_than_the_checkpoint_has_are_refused(
    changes: dict[str, Any], killed: Path, refusal: Any
) -> None:
    with_settings(killed, **changes)
    assert "its settings ask for" in refusal(1, str(killed))
