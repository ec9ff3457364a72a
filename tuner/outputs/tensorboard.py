"""Describes the study to TensorBoard's HParams plugin: the search space and the metric.

Each trial's folder is a TensorBoard run, written by the trainer. The experiment is in the root:
`tensorboard --logdir JOB_DIR` then shows the table and the parallel coordinates with the real
domains of the search. The plugin's own builder imports TensorFlow, so its messages are made here.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainer.contract import flags
from trainer.storage import atomic
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, Parameter, StudySpec

FILE = "events.out.tfevents.study"
METRIC = "mean_score"  # what the trainer's events call it, whatever a service calls it
SEED = "the search has one seed, confirming and testing have others; filter by it"


def keep(folder: Path, spec: StudySpec, warn: Callable[[str], None]) -> None:
    """Writes the experiment if it is missing; errors are warnings."""
    target = folder / FILE
    try:
        if target.exists():
            return
        from tensorboard.summary.writer.record_writer import RecordWriter

        content = io.BytesIO()
        for event in _events(spec):
            RecordWriter(content).write(event.SerializeToString())
        atomic.write_bytes(target, content.getvalue())  # TensorBoard's reader never sees half of it
    except ImportError:
        warn("TensorBoard is not installed: no table of trials for it. pip install '.[tuner]'")
    except OSError as error:
        warn(f"no table of trials for TensorBoard: {error.strerror or error} ({target})")


def _events(spec: StudySpec) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    now = time.time()
    yield Event(wall_time=now, file_version="brain.Event:2")
    content = HParamsPluginData(experiment=experiment(spec, now))
    value = Summary.Value(
        tag=metadata.EXPERIMENT_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    yield Event(wall_time=now, summary=Summary(value=[value]))


def experiment(spec: StudySpec, now: float) -> Any:
    """The search space, the seed as a last axis, and the metric."""
    from tensorboard.plugins.hparams import api_pb2

    seed = api_pb2.HParamInfo(name="seed", type=api_pb2.DATA_TYPE_FLOAT64, description=SEED)
    metric = api_pb2.MetricInfo(
        name=api_pb2.MetricName(tag=METRIC),
        display_name=spec.metric,
        description="mean return of the final policies on fresh episodes",
    )
    return api_pb2.Experiment(
        description=f"{spec.goal or 'MAXIMIZE'} {spec.metric}. {SEED[0].upper()}{SEED[1:]}.",
        time_created_secs=now,
        hparam_infos=[*map(_information, spec.parameters), seed],
        metric_infos=[metric],
    )


def _information(parameter: Parameter) -> Any:
    """A parameter under the name and with the type that the trainer's events give it."""
    from tensorboard.plugins.hparams import api_pb2

    field = flags.find(parameter.name)
    name = parameter.name if field is None else field.name
    words = parameter.type == CATEGORICAL and not (field and field.type in ("int", "float"))
    kind = api_pb2.DATA_TYPE_STRING if words else api_pb2.DATA_TYPE_FLOAT64
    found = api_pb2.HParamInfo(name=name, type=kind)
    if words:
        found.domain_discrete.extend(parameter.words)
    elif parameter.type in (CATEGORICAL, DISCRETE):
        found.domain_discrete.extend(map(float, parameter.words or parameter.values))
    else:
        found.domain_interval.min_value = float(parameter.low or 0)
        found.domain_interval.max_value = float(parameter.high or 0)
    return found
