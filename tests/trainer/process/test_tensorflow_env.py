"""What TensorFlow is told before it is imported."""

import os

import pytest

from trainer.process import tensorflow_env

THREADS = "TF_NUM_INTRAOP_THREADS"


@pytest.mark.parametrize(
    "neurons, before, after",
    [(512, None, "1"), (513, None, None), (0, None, "1"), (32, "4", "4")],
)
def test_small_programs_keep_to_one_core_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, neurons: int, before: str | None, after: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {} if before is None else {THREADS: before})
    tensorflow_env.prefer_one_core(neurons)
    assert os.environ.get(THREADS) == after


def test_calls_side_by_side_have_as_many_threads_as_cores_and_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=true"})
    tensorflow_env.prefer_one_core_a_call(4)
    told = os.environ["XLA_FLAGS"].split()
    assert os.environ[THREADS] == "4"
    assert told[0] == "--xla_cpu_multi_thread_eigen=true", "as the user has it"
    assert sorted(told[1:]) == [
        "--xla_cpu_enable_concurrency_optimized_scheduler=false",
        "--xla_disable_hlo_passes=cpu-parallel-task-assigner",
    ]


def test_the_compiler_is_told_what_the_user_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    level = "--xla_backend_optimization_level"
    for given, told in (
        ("", f"{level}=2"),
        ("--xla_a=1", f"--xla_a=1 {level}=2"),
        (f"{level}=3", f"{level}=3"),
    ):
        monkeypatch.setattr(os, "environ", {"XLA_FLAGS": given})
        tensorflow_env.prepare()
        assert os.environ["XLA_FLAGS"] == told
