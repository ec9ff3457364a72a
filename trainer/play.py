"""`python -m trainer.play JOB_DIR`: plays episodes with a saved policy and records them as mp4."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.contract import job_files, streams
from trainer.contract.command_line import Parser
from trainer.contract.flags import whole_number
from trainer.process import tensorflow_env
from trainer.process.console import quiet_standard_error
from trainer.storage import atomic, keras_file
from trainer.storage.address import BadAddress, locate
from trainer.storage.gcs import StorageError
from trainer.storage.job_dir import read_artefacts

if TYPE_CHECKING:
    from trainer.environments.spec import Environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    streams.protect()
    parser = Parser(prog="python -m trainer.play", description=__doc__)
    parser.add_argument("job_dir", help="the folder of a finished run, or gs://bucket/path")
    parser.add_argument("--episodes", type=whole_number, default=1, help="default 1")
    parser.add_argument("--seed", type=whole_number, default=0, help="default 0")
    parser.add_argument(
        "--output", type=Path, help="default JOB_DIR/play.mp4, or play.mp4 here for a bucket"
    )
    parser.add_argument("--environment", help="the run's environment, if it is a module:name")
    parser.add_argument("--wrappers", help="the run's wrappers, if it has any")
    chosen = parser.parse_args(arguments)
    if chosen.episodes < 1:
        parser.error(f"episodes={chosen.episodes} is too small. Give 1 or more.")
    if chosen.seed < 0:
        parser.error(f"seed={chosen.seed} is negative. Give 0 or more.")
    try:
        saved_model, settings = read_artefacts(chosen.job_dir, job_files.MODEL, job_files.SETTINGS)
    except BadAddress as error:
        parser.error(str(error))
    except StorageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if saved_model is None:
        parser.error(
            f"{chosen.job_dir} holds no {job_files.MODEL}. `python -m trainer.recover` makes one of"
            " a run that was stopped early."
        )
    recorded = (job_files.json_object(settings) or {}).get("settings")
    if not isinstance(recorded, dict) or not isinstance(recorded.get("environment"), str):
        parser.error(f"{chosen.job_dir}/{job_files.SETTINGS} names no environment.")

    from trainer.environments import spec
    from trainer.environments.errors import BadEnvironment, cause
    from trainer.outputs import video

    try:
        environment = spec.of_record(recorded, chosen.environment, chosen.wrappers)
    except BadEnvironment as error:
        parser.error(str(error))
    try:
        keras_file.check(saved_model)
        policy = _load_policy(saved_model, environment)
    except ValueError as error:
        parser.error(f"{chosen.job_dir}/{job_files.MODEL} {error}.")
    except OSError as error:
        print(f"error: the model could not be read: {error.strerror or error}.", file=sys.stderr)
        return 1
    video.without_a_screen()
    place = locate(chosen.job_dir)
    output = chosen.output or (place if isinstance(place, Path) else Path()) / "play.mp4"
    returns: list[float] = []

    def record(path: Path) -> None:
        path.touch()  # fails at once if the file cannot be written
        returns[:] = video.record_episodes(
            environment,
            policy,
            path,
            seeds=range(chosen.seed, chosen.seed + chosen.episodes),
            frames_per_second=environment.frames_per_second,
        )

    try:
        atomic.write(output, record)
    except OSError as error:
        print(f"error: {output} could not be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    except Exception as error:  # environments, renderers and encoders raise anything
        print(f"error: {environment.id} could not be played: {cause(error)}.", file=sys.stderr)
        return 1
    for number, value in enumerate(returns, 1):
        print(f"episode {number}: {value:g}")
    print(f"watch {output}")
    return 0


def _load_policy(content: bytes, environment: Environment) -> Any:
    """The greedy policy of a saved model. Raises ValueError: the words after the file's name."""
    tensorflow_env.prepare()
    with quiet_standard_error():
        import keras
        import tensorflow as tf
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, job_files.MODEL)
        path.write_bytes(content)
        try:
            model = keras.saving.load_model(path, safe_mode=True)
        except Exception as error:  # Keras raises anything over arbitrary bytes
            raise ValueError("cannot be read as a Keras model") from error
    act = tf.function(lambda x: tf.argmax(model(x)["probabilities"], axis=-1))
    shape, pixels = environment.observation_shape, environment.pixels
    try:
        act.get_concrete_function(tf.TensorSpec((1, *shape), "uint8" if pixels else "float32"))
    except Exception as error:
        raise ValueError(f"is not a policy for {environment.id}") from error
    return lambda observation: int(act(tf.constant(observation[None]))[0])


if __name__ == "__main__":
    sys.exit(main())
