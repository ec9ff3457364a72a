"""The whole command, from flags to manifest, as a user runs it."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imageio
import keras
import numpy as np
import pytest

from tests.support.full_disk import files_end_after
from trainer import task
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Purpose, Streams
from trainer.contract import job_files
from trainer.contract.command_line import parse
from trainer.contract.settings import Batching, Hyperparameters
from trainer.environments import spec
from trainer.outputs import models, video
from trainer.run.messages import announce
from trainer.run.setup import prepare
from trainer.storage import checkpoint
from trainer.storage.job_dir import JobDir

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Process = subprocess.CompletedProcess[str]
RunTask = Callable[..., Process]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def load(path: Path) -> dict[str, Any]:
    """An object from a file of strict JSON, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert isinstance(content, dict)
    return content


def metrics_of(job_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job_dir / job_files.METRICS).read_text().splitlines()]


def weights_of(job_dir: Path) -> list[np.ndarray[Any, Any]]:
    return list(keras.saving.load_model(job_dir / job_files.MODEL, safe_mode=True).get_weights())


def assert_refused(process: Process) -> str:
    """The one line that a bad command ends with."""
    assert process.returncode == 2
    assert re.fullmatch(r"[^\n]+\n", process.stderr), process.stderr
    return process.stderr


@pytest.fixture(scope="module")
def manifest(finished_run: Any) -> dict[str, Any]:
    return load(finished_run.job_dir / job_files.MANIFEST)


@pytest.fixture
def copy_of_the_run(finished_run: Any, tmp_path: Path) -> Path:
    """The finished run's folder, to be changed at will."""
    return Path(shutil.copytree(finished_run.job_dir, tmp_path / "copy"))


# What a finished run leaves


def test_a_run_leaves_every_artefact_and_nothing_else(finished_run: Any) -> None:
    assert {path.name for path in finished_run.job_dir.iterdir()} == set(job_files.ARTEFACTS)


def test_a_run_says_nothing_on_stderr(finished_run: Any) -> None:
    assert finished_run.process.stderr == ""


def test_a_run_without_a_terminal_says_five_plain_things(finished_run: Any) -> None:
    lines = finished_run.process.stdout.splitlines()
    starts = [line.split()[0] for line in lines if " steps/s" not in line]
    assert starts == ["A2C:", "mean_score", "watch", "play", "curves"]
    assert "\r" not in finished_run.process.stdout


def test_a_run_ends_by_telling_its_score(finished_run: Any, manifest: dict[str, Any]) -> None:
    assert f"mean_score {manifest['scores']['mean_score']:.1f} " in finished_run.process.stdout


def test_the_manifest_is_the_last_thing_written(finished_run: Any) -> None:
    times = {p.name: p.stat().st_mtime_ns for p in finished_run.job_dir.rglob("*") if p.is_file()}
    assert max(times, key=times.__getitem__) == job_files.MANIFEST


def test_the_video_comes_after_the_models_and_they_after_the_metrics(finished_run: Any) -> None:
    order = [job_files.METRICS, job_files.MODEL, job_files.RECORDING, job_files.MANIFEST]
    times = [(finished_run.job_dir / name).stat().st_mtime_ns for name in order]
    assert times == sorted(times)


def test_the_manifest_lists_every_other_file_as_it_is(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    files = contents(finished_run.job_dir)
    del files[job_files.MANIFEST]
    assert {file["name"]: (file["size"], file["sha256"]) for file in manifest["files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }


def test_a_run_that_ended_well_has_no_problems(manifest: dict[str, Any]) -> None:
    assert (manifest["state"], manifest["problems"]) == ("succeeded", {})


def test_the_manifest_tells_every_score(manifest: dict[str, Any]) -> None:
    assert manifest["scores"].keys() == {
        "mean_score", "scores", "standard_deviation", "interquartile_mean", "interval",
        "interval_over", "worst_agent", "sampled_mean_score", "steps", "steps_to_solve",
        "stayed_solved", "diverged",
    }  # fmt: skip


def test_the_score_is_the_mean_over_all_agents(manifest: dict[str, Any]) -> None:
    scores = manifest["scores"]
    assert len(scores["scores"]) == 2
    assert scores["mean_score"] == pytest.approx(np.mean(scores["scores"]))


def test_every_agent_takes_its_steps_and_at_most_a_batch_more(manifest: dict[str, Any]) -> None:
    assert all(2000 <= steps < 2000 + 256 for steps in manifest["scores"]["steps"])


def test_the_saved_agent_is_the_best_of_the_last_validation(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    validation = [line for line in metrics_of(finished_run.job_dir) if not line["final"]]
    scores = validation[-1]["scores"]
    saved = manifest["saved_agent"]
    assert saved["validation_score"] == max(scores) == scores[saved["index"]]


def test_the_settings_hold_every_flag_and_where_it_came_from(finished_run: Any) -> None:
    settings = load(finished_run.job_dir / job_files.SETTINGS)
    command = parse([*finished_run.flags, "--job-dir", "job"])
    assert settings["settings"] == command.values
    assert settings["sources"] == command.sources
    assert settings["unused"] == []


def test_the_settings_tell_what_they_come_to(finished_run: Any) -> None:
    batching = Batching(Hyperparameters(), "a2c")
    assert load(finished_run.job_dir / job_files.SETTINGS)["effective"] == {
        "batch_size": batching.batch_size,
        "num_envs": batching.num_envs,
        "steps_per_update": batching.steps,
        "solved_at_score": 475.0,
    }


def test_the_settings_tell_command_versions_and_commit(finished_run: Any) -> None:
    settings = load(finished_run.job_dir / job_files.SETTINGS)
    given = " ".join(finished_run.flags)
    assert settings["command"] == f"python -m trainer.task {given} --job-dir job"
    assert {"python", "trainer", "gymnasium", "keras", "numpy"} < settings["versions"].keys()
    machine = settings["machine"]
    assert {"system", "architecture", "processor", "instructions", "cores"} <= machine.keys()
    if machine["architecture"] == "x86_64" and machine["system"] == "Linux":
        assert machine["processor"] and "sse2" in machine["instructions"].split()
    assert settings["git_commit"] is None or re.fullmatch("[0-9a-f]{40}", settings["git_commit"])


def test_every_evaluation_and_the_final_score_are_lines_of_the_metrics(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    lines = metrics_of(finished_run.job_dir)
    assert [(line["step"], line["final"]) for line in lines[:-1]] == [(1000, False), (2000, False)]
    final = lines[-1]
    assert (final.pop("step"), final.pop("final")) == (2048, True)
    assert final == manifest["scores"]


def test_an_evaluation_tells_scores_and_losses(finished_run: Any) -> None:
    assert metrics_of(finished_run.job_dir)[0].keys() == {
        "step", "final", "mean_score", "scores", "total_loss", "policy_loss", "value_loss",
        "entropy", "gradient_norm",
    }  # fmt: skip


def test_the_video_is_one_whole_greedy_episode_of_the_saved_agent(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    agent = manifest["saved_agent"]["index"]
    streams = Streams([(0, 0), (0, 1)])
    model = keras.saving.load_model(finished_run.job_dir / job_files.MODEL, safe_mode=True)
    env = spec.find("CartPole-v1").make()
    seed = int(streams.generator(Purpose.RECORDING, agent, 0).integers(2**31))
    observation, _ = env.reset(seed=seed)
    frames, over = 1, False
    while not over:
        action = int(np.argmax(model(observation[None])["probabilities"]))
        observation, _, terminated, truncated, _ = env.step(action)
        frames, over = frames + 1, terminated or truncated
    env.close()
    with imageio.get_reader(finished_run.job_dir / job_files.RECORDING, "FFMPEG") as video:
        every_other, odd_end = divmod(frames - 1, 2)  # of 50 a second; the last always
        assert video.count_frames() == 1 + every_other + odd_end


def test_the_video_runs_at_the_environments_own_pace_and_size(finished_run: Any) -> None:
    with imageio.get_reader(finished_run.job_dir / job_files.RECORDING, "FFMPEG") as video:
        about = video.get_meta_data()
    assert about["fps"] == 25  # every other of its 50
    assert about["size"] == (600, 400)


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1"])
def test_frames_are_those_that_the_environment_draws_by_itself(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video.without_a_screen()
    environment, drawn = spec.find(name), video._frame

    def frames() -> list[Any]:
        kept: list[Any] = []
        monkeypatch.setattr(video, "_frame", lambda env: kept.append(drawn(env)) or kept[-1])
        video.record_episodes(
            environment, lambda x: int(x[0] > 0), tmp_path / "video.mp4", seeds=[1]
        )
        return kept

    video.without_a_screen()
    ours = frames()
    monkeypatch.setattr(video, "_give_canvas", lambda env: None)
    np.testing.assert_array_equal(ours, frames())
    assert len({frame.tobytes() for frame in ours}) > 5


# The same run again, and another one


class Repeated(NamedTuple):
    """The finished run's command once more, as a tuning trial this time."""

    job_dir: Path
    metric_file: Path


@pytest.fixture(scope="module")
def repeated(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    from tests.conftest import run_module

    folder = tmp_path_factory.mktemp("repeated")
    env = {
        "CLOUD_ML_HP_METRIC_FILE": str(folder / "tuning" / "output.metrics"),
        "KERAS_BACKEND": "jax",  # another program's, and not installed
    }
    flags = (*finished_run.flags, "--job_dir", "job")
    process = run_module("trainer.task", *flags, env=env, cwd=folder)
    assert process.returncode == 0, process.stderr
    return Repeated(folder / "job", folder / "tuning" / "output.metrics")


def test_the_same_command_gives_the_same_weights_to_the_last_bit(
    finished_run: Any, repeated: Repeated
) -> None:
    ours, theirs = weights_of(finished_run.job_dir), weights_of(repeated.job_dir)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_the_same_command_gives_the_same_metrics_to_the_last_byte(
    finished_run: Any, repeated: Repeated
) -> None:
    first, second = (
        (job_dir / job_files.METRICS).read_bytes()
        for job_dir in (finished_run.job_dir, repeated.job_dir)
    )
    assert first == second


def test_the_tuning_service_gets_the_final_score_last_of_all(repeated: Repeated) -> None:
    sent = [json.loads(line) for line in repeated.metric_file.read_text().splitlines()]
    final = load(repeated.job_dir / job_files.MANIFEST)["scores"]["mean_score"]
    assert float(sent[-1]["mean_score"]) == final
    steps = [int(line["global_step"]) for line in sent]
    assert steps == sorted(set(steps))


def test_a_finished_run_is_not_run_again(
    copy_of_the_run: Path, finished_run: Any, run_task: RunTask
) -> None:
    before = contents(copy_of_the_run)
    process = run_task(*finished_run.flags, "--job_dir", str(copy_of_the_run))
    assert (process.returncode, process.stderr) == (0, "")
    assert "finished" in process.stdout
    assert contents(copy_of_the_run) == before


def test_another_run_is_refused_a_taken_folder_with_what_differs(
    copy_of_the_run: Path, finished_run: Any, run_task: RunTask
) -> None:
    before = contents(copy_of_the_run)
    process = run_task(
        *finished_run.flags, "--job_dir", str(copy_of_the_run), "--seed", "1", "--gamma=0.9"
    )
    line = assert_refused(process)
    assert "gamma=0.99 (now 0.9), seed=0 (now 1)." in line
    assert "--overwrite" in line
    assert contents(copy_of_the_run) == before


@pytest.fixture(scope="module")
def overwritten(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's folder after a run with another seed was told to replace it."""
    from tests.conftest import run_module

    folder = tmp_path_factory.mktemp("overwritten")
    job_dir = Path(shutil.copytree(finished_run.job_dir, folder / "job"))
    (job_dir / "notes.txt").write_text("mine")
    flags = (*finished_run.flags, "--seed", "1", "--job_dir", "job", "--overwrite")
    process = run_module("trainer.task", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return job_dir


def test_another_seed_gives_other_weights(finished_run: Any, overwritten: Path) -> None:
    ours, theirs = weights_of(finished_run.job_dir), weights_of(overwritten)
    assert not any(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_overwriting_replaces_every_artefact(finished_run: Any, overwritten: Path) -> None:
    old, new = contents(finished_run.job_dir), contents(overwritten)
    assert load(overwritten / job_files.SETTINGS)["settings"]["seed"] == 1
    for name in set(job_files.ARTEFACTS) - {job_files.SAVED_MODEL}:
        assert old[name] != new[name]


def test_overwriting_leaves_other_files_alone(overwritten: Path) -> None:
    assert (overwritten / "notes.txt").read_text() == "mine"


# Commands that cannot be carried out


def test_a_job_dir_that_cannot_be_made_is_refused(tmp_path: Path, run_task: RunTask) -> None:
    (tmp_path / "file").write_text("")
    line = assert_refused(run_task("--job_dir", "file/job"))
    assert "Job dir file/job cannot be written to" in line


@pytest.mark.parametrize("address", ["s3://bucket/job", "gs://bucket", "gs://bucket/a/../b"])
def test_an_address_that_is_none_is_refused(
    address: str, tmp_path: Path, run_task: RunTask
) -> None:
    assert f"got '{address}'" in assert_refused(run_task("--job_dir", address))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (("--environment", "CartPool-v1"), "Did you mean CartPole-v1"),
        (("--environment", "Pendulum-v1"), "must have Discrete actions"),
        (
            ("--environment", "Acrobot-v1", "--collector", "compiled"),
            "The compiled collector does not know Acrobot-v1",
        ),
    ],
    ids=["unknown environment", "continuous actions", "compiled collector"],
)
def test_an_environment_that_cannot_be_trained_on_is_refused(
    flags: tuple[str, ...], sentence: str, tmp_path: Path, run_task: RunTask
) -> None:
    assert sentence in assert_refused(run_task(*flags))
    assert list(tmp_path.iterdir()) == []


SMALL_PICTURES = """
import gymnasium, numpy as np
class SmallPictures(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (9, 9, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)
gymnasium.register("SmallPictures-v0", SmallPictures)
"""


def test_an_environment_that_cannot_be_used_costs_no_earlier_run(
    copy_of_the_run: Path, tmp_path: Path, run_task: RunTask
) -> None:
    from tests.conftest import ROOT

    (tmp_path / "small_pictures.py").write_text(SMALL_PICTURES)
    before = contents(copy_of_the_run)
    process = run_task(
        *("--environment", "small_pictures:SmallPictures-v0"),
        *("--job_dir", str(copy_of_the_run), "--overwrite"),
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
    )
    assert process.returncode == 2
    assert "must return (observation, info) from reset" in process.stderr
    assert contents(copy_of_the_run) == before


def test_flags_without_use_are_told_on_stderr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--algorithm", "pg", "--batch_size", "64", "--gae_lambda", "0.9"]
    announce(prepare(parse(flags), flags, {}), "job")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["PG does not use --batch_size and --gae_lambda; the run continues without."]


# Things that go wrong on the way


def test_a_full_disk_ends_a_run_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def carry_out(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "job/model.keras")

    monkeypatch.setattr(task, "carry_out", carry_out)
    assert task.main([]) == 1
    assert capsys.readouterr().err == (
        "ERROR: No space left on device: job/model.keras. Once that is solved, the same command"
        " continues the run.\n"
    )


class DiskFullOfModels(JobDir):
    """Has room for everything but the SavedModel: files in it end after 1,000 bytes."""

    def write(self, name: str, save: Callable[[Path], Any]) -> Path:
        if name != job_files.SAVED_MODEL:
            return super().write(name, save)
        with files_end_after(1_000):
            return super().write(name, save)


def test_a_disk_too_full_for_tensorflow_is_an_error_like_any_other_and_keeps_the_model(
    agents: Agents, tmp_path: Path
) -> None:
    with pytest.raises(OSError):
        models.save_models(DiskFullOfModels(tmp_path), agents, 0, pixels=False)
    assert [path.name for path in tmp_path.iterdir()] == [job_files.MODEL]


@pytest.fixture
def agents() -> Agents:
    streams = Streams([(0, 0)])
    return Agents("a2c", Architecture((4,), 2, 4, True), [Hyperparameters()], streams)


def test_a_broken_renderer_is_an_error_line_and_a_reason_to_write_down(
    agents: Agents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def record_episodes(_environment: object, _policy: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half a video")
        raise RuntimeError("no screen")

    monkeypatch.setattr(video, "record_episodes", record_episodes)
    job_dir = JobDir(tmp_path)
    job_dir.write_text(job_files.MODEL, "the model")
    environment = spec.find("CartPole-v1")
    problem = video.save_recording(
        job_dir, environment, lambda x: agents.act_greedily(0, x), seed=1
    )
    assert problem == "RuntimeError: no screen"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "No video: no screen")
    ]
    assert [path.name for path in tmp_path.iterdir()] == [job_files.MODEL]


class Interrupted(NamedTuple):
    """A long run on a terminal that got Ctrl-C after its first evaluation."""

    job_dir: Path
    returncode: int
    screen: str
    stderr: str


@pytest.fixture
def python_listens_to_interrupts() -> Iterator[None]:
    """A child of a process that ignores SIGINT, say under nohup, would ignore it as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def read_screen(screen: int) -> str:
    """What has appeared on a terminal so far, without waiting for more."""
    shown = b""
    while select.select([screen], [], [], 0)[0]:
        try:
            part = os.read(screen, 65536)
        except OSError:  # Linux' way to say that nobody writes any more
            break
        if not part:
            break
        shown += part
    return shown.decode()


def interrupt_a_run(folder: Path) -> Interrupted:
    from tests.conftest import TIMEOUT, cloudless_environment

    flags = ["--total_steps=1e12", "--stop_at_score=none", "--evaluation_every=2000"]
    screen, device = pty.openpty()
    termios.tcsetwinsize(device, (24, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.task", *flags, "--job_dir", "job"],
        cwd=folder,
        env=cloudless_environment(),
        stdin=subprocess.DEVNULL,
        stdout=device,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(device)
    shown, give_up = "", time.monotonic() + TIMEOUT
    try:
        metrics = folder / "job" / job_files.METRICS
        while not (metrics.exists() and metrics.stat().st_size):
            assert process.poll() is None
            assert time.monotonic() < give_up
            shown += read_screen(screen)
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        shown += read_screen(screen)
        stderr = process.communicate(timeout=TIMEOUT)[1]
        shown += read_screen(screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
    return Interrupted(folder / "job", process.returncode, shown, stderr)


@pytest.fixture(scope="module")
def interruptions() -> dict[str, Interrupted]:
    return {}


@pytest.fixture
def interrupted(
    interruptions: dict[str, Interrupted],
    python_listens_to_interrupts: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Interrupted:
    """One run for all the tests below."""
    if not interruptions:
        interruptions["one"] = interrupt_a_run(tmp_path_factory.mktemp("interrupted"))
    return interruptions["one"]


def test_an_interrupted_run_ends_with_code_130(interrupted: Interrupted) -> None:
    assert interrupted.returncode == 130


def test_an_interrupted_run_keeps_what_there_is(interrupted: Interrupted) -> None:
    assert len(metrics_of(interrupted.job_dir)) > 0
    saved = checkpoint.read((interrupted.job_dir / job_files.CHECKPOINT).read_bytes())
    assert saved.arrays["progress.steps"].min() > 0


def test_an_interrupted_run_does_not_look_complete(interrupted: Interrupted) -> None:
    assert not (interrupted.job_dir / job_files.MANIFEST).exists()


def test_the_models_of_an_interrupted_run_can_be_recovered(
    interrupted: Interrupted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainer import recover

    assert recover.main([str(interrupted.job_dir), "--output", str(tmp_path)]) == 0
    assert "holds model.keras and saved_model as of" in capsys.readouterr().out
    assert len(weights_of(tmp_path)) > 0
    assert (tmp_path / job_files.SAVED_MODEL / "saved_model.pb").is_file()


def test_an_interrupted_run_says_so_without_a_traceback(interrupted: Interrupted) -> None:
    lines = interrupted.stderr.splitlines()
    assert lines
    assert all(line.startswith("WARNING: ") for line in lines)


def test_a_terminal_shows_steps_speed_score_and_time_left(interrupted: Interrupted) -> None:
    assert re.search(r"/1\.00T \[\S+<.*steps/s.*score \d", interrupted.screen)


class Diverged(NamedTuple):
    job_dir: Path
    process: Process


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> Diverged:
    """A run whose steps are far too large."""
    from tests.conftest import TINY_RUN, run_module

    folder = tmp_path_factory.mktemp("diverged")
    flags = (*TINY_RUN, "--learning_rate", "1e30", "--job_dir", "job")
    return Diverged(folder / "job", run_module("trainer.task", *flags, cwd=folder))


def test_a_run_that_diverges_still_ends_well(diverged: Diverged) -> None:
    assert diverged.process.returncode == 0
    assert "Traceback" not in diverged.process.stderr


def test_a_run_that_diverges_says_so_in_its_record(diverged: Diverged) -> None:
    assert load(diverged.job_dir / job_files.MANIFEST)["scores"]["diverged"] == [0, 1]


def test_the_metrics_of_a_run_that_diverges_are_finite(diverged: Diverged) -> None:
    text = (diverged.job_dir / job_files.METRICS).read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert metrics_of(diverged.job_dir)[-1]["mean_score"] > 0


def test_the_weights_of_a_run_that_diverges_are_finite(diverged: Diverged) -> None:
    assert all(np.isfinite(weights).all() for weights in weights_of(diverged.job_dir))
