"""What a folder holds of a run, before the run begins; buckets have their own tests.

More than 250 lines, since every case of an earlier run starts from the same few folders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.task_runs import contents
from trainer.contract.command_line import parse
from trainer.contract.errors import BadCommand, Error
from trainer.contract.job_files import (
    CHECKPOINT,
    EVENTS,
    MANIFEST,
    METRICS,
    MODEL,
    SAVED_MODEL,
    SETTINGS,
)
from trainer.contract.settings import Command
from trainer.run.errors import JobError
from trainer.run.job_dir import OpenJobDir, open_job_dir
from trainer.run.setup import Prepared, prepare
from trainer.storage.checkpoint import Checkpoint, write

VERTEX = {
    "AIP_MODEL_DIR": "study/3/model/",
    "AIP_CHECKPOINT_DIR": "study/3/checkpoints/",
    "AIP_TENSORBOARD_LOG_DIR": "study/3/logs/",
}
in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Open = Callable[..., OpenJobDir]


def command(*flags: str) -> Command:
    return parse(["--seed", "3", *flags])


def prepared(*flags: str, environ: Mapping[str, str] | None = None) -> Prepared:
    return prepare(command(*flags), flags, environ or {})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens `job`, or what `--job-dir` says; closes it in the end."""
    jobs: list[OpenJobDir] = []

    def open_(*flags: str, environ: Mapping[str, str] | None = None) -> OpenJobDir:
        flags = flags if environ or "--job-dir" in flags else (*flags, "--job-dir", "job")
        jobs.append(open_job_dir(prepared(*flags, environ=environ)))
        return jobs[-1]

    yield open_
    for job in jobs:
        job.close()


@pytest.fixture
def begun(here: Path) -> Path:
    """A folder where a run was killed after its first checkpoint."""
    folder = here / "job"
    folder.mkdir()
    (folder / SETTINGS).write_text(json.dumps({"settings": command().values}))
    (folder / METRICS).write_text("{}\n")
    write(folder / CHECKPOINT, Checkpoint({"settings": command().values, "restarts": 4}, {}))
    return folder


def assert_a_sentence(text: str) -> None:
    assert text.endswith(".") and not text.endswith("..") and "\n" not in text, text


def test_a_new_folder_holds_nothing_earlier(opened: Open, here: Path) -> None:
    job = opened()
    assert job.earlier == (False, False, None)
    assert (job.address, job.files.path.resolve()) == ("job", here / "job")


def test_a_folder_with_other_files_holds_nothing_earlier(opened: Open, here: Path) -> None:
    (here / "job").mkdir()
    (here / "job" / "notes.txt").write_text("mine")
    assert opened().earlier == (False, False, None)
    assert contents(here / "job") == {"notes.txt": b"mine"}


def test_a_run_that_was_killed_is_found_with_its_checkpoint(opened: Open, begun: Path) -> None:
    before = contents(begun)
    begun_, finished, checkpoint = opened().earlier
    assert (begun_, finished) == (True, False)
    assert checkpoint is not None and checkpoint.header["restarts"] == 4
    assert contents(begun) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_is_found(
    opened: Open, begun: Path
) -> None:
    (begun / CHECKPOINT).unlink()
    assert opened().earlier == (True, False, None)


def test_a_run_whose_settings_are_lost_is_known_by_its_checkpoint(
    opened: Open, begun: Path
) -> None:
    (begun / SETTINGS).write_text("{")
    assert opened().earlier.checkpoint is not None


def test_a_run_that_is_finished_is_found_as_such_and_left_alone(opened: Open, begun: Path) -> None:
    (begun / MANIFEST).write_text('{"state": "succeeded"}')
    (begun / f".0123abcd-{MODEL}").write_text("half")
    before = contents(begun)
    assert opened().earlier.finished
    assert contents(begun) == before


@pytest.mark.parametrize("manifest", ["", "{", "[]", "null", "{}", '{"state": "failed"}'])
def test_a_manifest_that_does_not_say_so_is_no_end(
    manifest: str, opened: Open, begun: Path
) -> None:
    (begun / MANIFEST).write_text(manifest)
    earlier = opened().earlier
    assert earlier.begun and not earlier.finished


def test_leftovers_of_killed_writes_are_removed_and_other_hidden_files_stay(
    opened: Open, begun: Path
) -> None:
    before = contents(begun)
    (begun / f".0123abcd-{CHECKPOINT}").write_text("half")
    (begun / f".0123abcd-{SAVED_MODEL}").mkdir()
    (begun / f".0123abcd-{SAVED_MODEL}" / "saved_model.pb").write_text("half")
    (begun / ".notes").write_text("mine")
    opened()
    assert contents(begun) == before | {".notes": b"mine"}


# Another run


def test_other_flags_are_refused_by_name_with_both_values(opened: Open, begun: Path) -> None:
    before = contents(begun)
    with pytest.raises(BadCommand) as refusal:
        opened("--gamma", "0.5", "--seed", "4")
    assert "another run, with gamma=0.99 (now 0.5), seed=3 (now 4)." in str(refusal.value)
    assert "--overwrite" in str(refusal.value)
    assert_a_sentence(str(refusal.value))
    assert contents(begun) == before


@pytest.mark.parametrize("flag", [("--sync_every", "1"), ("--upload_deadline", "5")])
def test_flags_that_do_not_change_the_run_may_differ(
    flag: tuple[str, str], opened: Open, begun: Path
) -> None:
    assert opened(*flag).earlier.begun


def test_a_checkpoint_of_other_flags_than_the_settings_is_refused(
    opened: Open, begun: Path
) -> None:
    other = command("--gamma", "0.5").values
    write(begun / CHECKPOINT, Checkpoint({"settings": other}, {}))
    with pytest.raises(BadCommand, match=r"another run, with gamma=0\.5 \(now 0\.99\)"):
        opened()


def test_artefacts_that_do_not_say_whose_they_are_are_not_replaced(
    opened: Open, here: Path
) -> None:
    (here / "job").mkdir()
    (here / "job" / MODEL).write_text("mine")
    with pytest.raises(BadCommand, match="holds another run"):
        opened()
    assert contents(here / "job") == {MODEL: b"mine"}


def test_overwriting_begins_with_an_empty_folder(opened: Open, begun: Path) -> None:
    (begun / "notes.txt").write_text("mine")
    assert opened("--gamma", "0.5", "--overwrite").earlier == (False, False, None)
    assert contents(begun) == {"notes.txt": b"mine"}


def test_a_damaged_checkpoint_is_refused_by_name_and_kept(opened: Open, begun: Path) -> None:
    content = (begun / CHECKPOINT).read_bytes()
    (begun / CHECKPOINT).write_bytes(content[:-7])
    before = contents(begun)
    with pytest.raises(JobError) as refusal:
        opened()
    assert str(refusal.value) == (
        f"Checkpoint job/{CHECKPOINT} cannot be used: it is damaged, or not a checkpoint."
        " --overwrite starts the run from the beginning."
    )
    assert contents(begun) == before


def test_overwriting_passes_over_a_damaged_checkpoint(opened: Open, begun: Path) -> None:
    (begun / CHECKPOINT).write_bytes(b"damaged")
    assert opened("--overwrite").earlier == (False, False, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@in_one_folder
@given(
    settings_=st.binary() | JSON.map(lambda x: json.dumps({"settings": x}).encode()),
    saved=st.none() | st.binary(),
    manifest=st.binary() | JSON.map(lambda x: json.dumps({"state": x}).encode()),
)
@example(settings_=b'{"settings": {"\\ud800\\n": 1}}', saved=None, manifest=b"")
@example(settings_=b"[" * 100_000, saved=None, manifest=b"[" * 100_000)
def test_whatever_a_folder_holds_it_is_refused_and_kept(
    settings_: bytes, saved: bytes | None, manifest: bytes, here: Path
) -> None:
    folder = here / "job"
    folder.mkdir(exist_ok=True)
    (folder / SETTINGS).write_bytes(settings_)
    (folder / MANIFEST).write_bytes(manifest)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if saved is not None:
        (folder / CHECKPOINT).write_bytes(saved)
    before = contents(folder)
    with pytest.raises((BadCommand, JobError)) as refusal:
        open_job_dir(prepared("--job-dir", "job"))
    assert_a_sentence(str(refusal.value))
    assert contents(folder) == before


# One run at a time


def test_a_folder_that_a_run_works_in_is_refused_to_others(opened: Open, begun: Path) -> None:
    first = opened()
    with pytest.raises(Error, match="Another run works in job") as refusal:
        opened()
    assert_a_sentence(str(refusal.value))
    first.close()
    opened()


def test_overwriting_does_not_get_past_another_run(opened: Open, begun: Path) -> None:
    opened()
    before = contents(begun)
    with pytest.raises(Error):
        opened("--overwrite")
    assert contents(begun) == before


def test_a_refused_command_locks_nobody_out(opened: Open, begun: Path) -> None:
    with pytest.raises(BadCommand):
        opened("--gamma", "0.5")
    opened()


def test_a_path_that_is_no_folder_is_refused(opened: Open, here: Path) -> None:
    (here / "job").write_text("")
    with pytest.raises(BadCommand, match="Job dir job cannot be written to") as refusal:
        opened()
    assert_a_sentence(str(refusal.value))


def test_closing_twice_is_no_error(opened: Open) -> None:
    job = opened()
    job.close()
    job.close()


def test_in_a_folder_everything_is_where_it_belongs_at_once(opened: Open) -> None:
    job = opened()
    job.check_uploads()
    job.deliver(0)


# Where a run goes


def test_without_any_wish_a_run_gets_a_folder_of_its_own(here: Path) -> None:
    job = open_job_dir(prepared())
    job.close()
    assert job.files.path.parts[0] == "runs"
    assert job.files.path.name.startswith("a2c-CartPole-v1-")


def test_a_services_directories_are_used_where_no_job_dir_is_given(
    opened: Open, here: Path
) -> None:
    job = opened(environ=VERTEX)
    assert job.address == "study/3"
    for name in (CHECKPOINT, EVENTS, METRICS):
        job.files.write_text(name, "")
    assert contents(here / "study" / "3").keys() == {
        f"checkpoints/{CHECKPOINT}",
        f"logs/{EVENTS}",
        METRICS,
    }


def test_a_job_dir_wins_over_a_services_directories(opened: Open) -> None:
    job = opened("--job-dir", "mine", environ=VERTEX)
    assert (job.address, job.files.places) == ("mine", {})


def test_a_run_in_a_services_directories_is_found_again(opened: Open, here: Path) -> None:
    job = opened(environ=VERTEX)
    job.files.write_json(SETTINGS, {"settings": command().values})
    header = {"settings": command().values}
    job.files.write(CHECKPOINT, lambda path: write(path, Checkpoint(header, {})))
    job.close()
    again = opened(environ=VERTEX)
    assert again.earlier.checkpoint is not None
    again.close()
    with pytest.raises(BadCommand, match="gamma"):
        open_job_dir(prepared("--gamma", "0.5", environ=VERTEX))
