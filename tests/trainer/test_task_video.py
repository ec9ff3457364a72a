"""The video of a run's saved agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio
import keras
import numpy as np
import pytest

from trainer.agents.random_streams import Purpose, Streams
from trainer.contract import job_files
from trainer.environments import spec
from trainer.outputs import video

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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
