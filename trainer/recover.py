"""`python -m trainer.recover JOB_DIR`: saves the models of a run that was stopped early."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.contract import job_files, streams
from trainer.contract.command_line import Parser
from trainer.contract.settings import Command, Hyperparameters, RunOptions
from trainer.environments import spec
from trainer.environments.errors import BadEnvironment, EnvironmentFault, UnnamedCode
from trainer.environments.spec import Environment
from trainer.process import tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.storage.address import BadAddress
from trainer.storage.checkpoint import Checkpoint, CheckpointError, read
from trainer.storage.gcs import StorageError
from trainer.storage.job_dir import JobDir, read_artefacts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    streams.protect()
    parser = Parser(prog="python -m trainer.recover", description=__doc__)
    parser.add_argument("job_dir", help="the folder of the run, or gs://bucket/path")
    parser.add_argument(
        "--output", type=Path, help="folder for the models; default JOB_DIR; required for a bucket"
    )
    parser.add_argument("--environment", help="the run's environment, if it is a module:name")
    parser.add_argument("--wrappers", help="the run's wrappers, if it has any")
    chosen = parser.parse_args(arguments)
    if chosen.output is None and "://" in chosen.job_dir:
        parser.error("The job dir is in a bucket: give --output a local folder.")
    try:
        (saved,) = read_artefacts(chosen.job_dir, job_files.CHECKPOINT)
        if saved is None:
            parser.error(
                f"{chosen.job_dir} holds no {job_files.CHECKPOINT}. Give the job dir of a run."
            )
        checkpoint = read(saved)
        command = command_of(checkpoint.header)
        check_sizes(checkpoint, command)
        output = JobDir(chosen.output or chosen.job_dir)
        log_to_console()
        environment = _environment(command, chosen.environment, chosen.wrappers)
        steps = save(checkpoint, command, environment, output)
    except BadAddress as error:
        parser.error(str(error))
    except UnnamedCode as error:
        parser.error(str(error))
    except EnvironmentFault as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except CheckpointError as error:
        path = f"{chosen.job_dir}/{job_files.CHECKPOINT}"
        print(f"error: Checkpoint {path} cannot be used: {error}.", file=sys.stderr)
        return 1
    except StorageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: the models could not be saved: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(
        f"{output.path} holds {job_files.MODEL} and {job_files.SAVED_MODEL} as of {steps:,} steps."
    )
    return 0


def command_of(header: Mapping[str, Any]) -> Command:
    """The command of the run that saved a checkpoint. Raises CheckpointError."""
    settings = header.get("settings")
    if not isinstance(settings, dict):
        raise CheckpointError("it holds no settings")
    parts: list[dict[str, Any]] = [{}, {}]
    for part, kind in zip(parts, (Hyperparameters, RunOptions), strict=True):
        for field in dataclasses.fields(kind):
            if field.name in settings:
                part[field.name] = settings[field.name]
                if not _is_a_value(settings[field.name], field):
                    raise CheckpointError(f"its setting {field.name} is not valid")
    try:
        return Command(Hyperparameters(**parts[0]), RunOptions(**parts[1]), {})
    except ValueError as error:
        raise CheckpointError(f"its settings are not valid ({str(error).rstrip('.')})") from error


def _is_a_value(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a value read from JSON has the field's type and is one of its choices."""
    choices = field.metadata["choices"]
    return type(value).__name__ == field.type and (not choices or value in choices)


def _environment(command: Command, environment: str | None, wrappers: str | None) -> Environment:
    try:
        return spec.of_record(command.values, environment, wrappers)
    except UnnamedCode:
        raise
    except BadEnvironment as error:
        raise CheckpointError(f"its environment is not valid ({str(error).rstrip('.')})") from error


def check_sizes(checkpoint: Checkpoint, command: Command) -> None:
    """Raises CheckpointError where the settings ask for more memory than the checkpoint fills."""
    numbers = sum(array.size for array in checkpoint.arrays.values())
    wanted = command.hyperparameters
    least = command.options.seeds * max(wanted.hidden_neurons**2, wanted.num_envs)
    if least > numbers:
        raise CheckpointError(f"its settings ask for {least:,} numbers, but it has {numbers:,}")


def save(checkpoint: Checkpoint, command: Command, environment: Environment, output: JobDir) -> int:
    """Saves the models of the agent that did best in validation; returns that agent's steps."""
    tensorflow_env.prepare()
    with quiet_standard_error():
        from trainer.outputs.models import save_models
        from trainer.run.state import RunState

        run = RunState(command, environment, None)
        try:
            run.restore(checkpoint)
            best = run.progress.best_agent
            save_models(output, run.agents, best, pixels=environment.pixels)
        finally:
            run.close()
    return int(run.progress.steps[best])


if __name__ == "__main__":
    sys.exit(main())
