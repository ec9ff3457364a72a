"""One study by several workers: killed, paused, racing, and without their database."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from tests.support.databases import PASSWORD, Line, MariaDB, Postgres, Server
from tests.tuner.commands.test_run import PLAIN, Place, alive
from tuner.distributed import storage as storages
from tuner.distributed.crew import Crew
from tuner.distributed.leases import MAX_PARALLEL, MAX_TRIALS
from tuner.distributed.patience import Patient
from tuner.execution import process_lock

HEARTBEAT = ("--heartbeat", "2", "--parallel", "1")
SHARED = (*HEARTBEAT, "--storage", "env:DATABASE")
# Where a trial lies does not depend on those before: the same for one worker and for many.
RANDOM = PLAIN.replace("maxTrials: 4", "maxTrials: 8\n    algorithm: RANDOM_SEARCH").replace(
    "maxParallelTrials: 1", "maxParallelTrials: 4"
)
PROXY = """
import sys
from optuna.storages import RDBStorage, get_storage
from optuna.storages._grpc.server import make_server
url, port = sys.argv[1:]
server = make_server(get_storage(RDBStorage(url)), "127.0.0.1", int(port))
server.start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=[Postgres, MariaDB], ids=["postgresql", "mariadb"])
def server(request: Any) -> Iterator[Server]:
    if not request.param.is_here():
        assert "CI" not in os.environ, "scripts/lib/databases.sh installs it"
        pytest.skip(f"needs {request.param.__name__}: scripts/lib/databases.sh installs it")
    # Not in pytest's folder, which is for one user's eyes only: the server may be another's.
    with tempfile.TemporaryDirectory(prefix="server-") as folder:
        Path(folder).chmod(0o755)
        found = request.param(Path(folder) / "server")
        found.start()
        yield found
        found.stop()


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, in a variable of the environment."""
    monkeypatch.setenv("DATABASE", server.url())
    return server


only_postgres = pytest.mark.parametrize("server", [Postgres], ids=["postgresql"], indirect=True)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """A gRPC proxy before a database of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", PROXY, f"sqlite:///{tmp_path / 'proxy.db'}", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    assert process.stdout.readline() == "ready\n"
    yield f"grpc://127.0.0.1:{port}"
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    found = Place(tmp_path)
    found.study = tmp_path / request.node.name.partition("[")[0]  # a study of each test
    found.write(RANDOM)
    return found


def start(place: Place, *flags: str, job_dir: str = "", **more: Any) -> subprocess.Popen[str]:
    name = place.study.name
    return place.start("--job-dir", job_dir or name, "--study-name", name, *flags, **more)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    said = "".join(filter(None, process.communicate(timeout=90)))  # None for what a file has
    assert process.returncode == code, said
    return said


def tuner_of(trial: Path) -> int:
    """The process that has started a trial."""
    started = (trial / "starts").read_text().split()[0]
    return int(Path(f"/proc/{started}/stat").read_text().rpartition(")")[2].split()[1])


def parameters(study: Path) -> list[dict[str, Any]]:
    trials = json.loads((study / "study.json").read_bytes())["trainingOutput"]["trials"]
    assert [trial["trialId"] for trial in trials] == [str(n + 1) for n in range(len(trials))]
    return [
        {name: trial[name] for name in ("state", "hyperparameters", "finalMetric")}
        for trial in trials
    ]


@pytest.mark.faults
def test_workers_are_killed_and_the_server_restarts_and_the_result_is_as_planned(
    place: Place, database: Server
) -> None:
    plain = place.run("--job-dir", "alone", "--candidates", "2")
    assert plain.code == 0
    place.behave({"all": "wait for go", "2": "hang", "3": "hang"})
    workers, said_in = [], {}  # process -> file with what it says
    for number in range(4):
        with (place.path / f"said-{number}").open("w") as out:
            workers.append(start(place, *SHARED, "--candidates", "2", out=out))
        said_in[workers[-1].pid] = Path(out.name)
    place.wait_for(lambda: all((place.study / n / "starts").exists() for n in "1234"))
    for worker in workers:
        command = Path(f"/proc/{worker.pid}/cmdline").read_text()
        assert "DATABASE" in command and "s3cr3t" not in command
    killed = {tuner_of(place.study / trial) for trial in ("2", "3")}
    left = [int((place.study / n / "starts").read_text().split()[0]) for n in ("2", "3")]
    for process in killed:
        os.kill(process, signal.SIGKILL)
    survivors = [worker for worker in workers if worker.pid not in killed]
    logs = [said_in[worker.pid] for worker in survivors]
    place.behave({"all": "wait 0.5"})
    database.stop()
    # Optuna itself tries some writes again, for seconds: who has just begun one finds out later.
    place.wait_for(lambda: all("the storage does not answer (" in f.read_text() for f in logs))
    database.start()
    (place.path / "go").touch()
    said = [ended(worker) + log.read_text() for worker, log in zip(survivors, logs, strict=True)]
    for worker in workers:
        worker.communicate()

    assert len(killed) == len(said) == 2
    assert not any(map(alive, left)), "nobody trains in a folder that another has taken over"
    assert parameters(place.study) == parameters(Path("alone"))
    starts = [len(place.starts(str(number))) for number in range(1, 9)]
    assert starts == [1, 2, 2, 1, 1, 1, 1, 1]
    parts = [*place.study.glob("confirm-*/*/starts"), *place.study.glob("test-*/*/starts")]
    assert len(parts) in (5, 6) and all(len(part.read_text().splitlines()) == 1 for part in parts)
    for text in said:
        assert "the storage answers again" in text
        assert text[text.index("winner   ") :] == said[0][said[0].index("winner   ") :]
    assert "".join(said).count(" was silent for 2 s: others take over what it had") in (2, 3, 4)
    ours, theirs = (json.loads(Path(f, "best.json").read_bytes()) for f in (place.study, "alone"))
    assert ours.pop("cpu_seconds") > 0 < theirs.pop("cpu_seconds")
    assert ours == theirs

    study = optuna.load_study(study_name=place.study.name, storage=database.engine_url)
    assert [trial.number for trial in study.trials] == list(range(8))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    study._storage._backend.engine.dispose()  # type: ignore[attr-defined]
    assert_no_secrets(place.study, said, database)


def rows(database: Server) -> list[Any]:
    """All that is told in the database itself."""
    tables = ("study_user_attributes", "trial_user_attributes", "trial_system_attributes")
    engine = sqlalchemy.create_engine(database.engine_url)
    with engine.connect() as connection:
        found = [connection.execute(sqlalchemy.text(f"SELECT * FROM {t}")).all() for t in tables]
    engine.dispose()
    return found


def given_up(database: Server) -> int:
    """Workers that are gone, of all studies."""
    return str(rows(database)).count('"kind": "gone"')


def assert_no_secrets(folder: Path, said: list[str], database: Server) -> None:
    """Neither in what was printed, nor in any file, nor in the database itself."""
    found = [*said, str(rows(database))]
    found += [path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]
    assert len(found) > 40
    for secret in (PASSWORD, "s3cr3t"):
        assert not any(secret in text for text in found)


@pytest.mark.faults
def test_a_worker_that_was_paused_ends_its_trial_and_tells_nothing(
    place: Place, database: Server
) -> None:
    place.behave({"1": "hang", "all": "wait 0.2"})
    few = (*SHARED, "--candidates", "1", "--max-trials", "2")
    first = start(place, *few, job_dir="first")
    place.wait_for((place.path / "first" / "1" / "hangs").exists)
    trainer = int((place.path / "first" / "1" / "starts").read_text().split()[0])
    first.send_signal(signal.SIGSTOP)
    place.behave({"all": "wait 0.2"})
    began = time.monotonic()
    second = start(place, *few, job_dir="second")
    place.wait_for((place.path / "second" / "1" / "manifest.json").exists)
    assert time.monotonic() - began < 15
    assert alive(trainer), "the paused worker's"
    first.send_signal(signal.SIGCONT)
    said = ended(first), ended(second)
    assert not alive(trainer)
    assert "this worker was not heard of for 2 s" in said[0]
    assert "trial 1: another worker has taken it over" in said[0]
    assert "trial 1: 89.5" in said[1] and "trial 1: 89.5" not in said[0]
    # Each has findings of its own, and they are the same.
    best = [(place.path / name / "best.json").read_bytes() for name in ("first", "second")]
    assert best[0] == best[1]


@pytest.mark.faults
@only_postgres
@pytest.mark.parametrize("how, meanwhile", [("refused", "hang"), ("silent", "wait for go")])
def test_a_worker_that_was_cut_off_has_lost_its_trial(
    place: Place, database: Server, monkeypatch: pytest.MonkeyPatch, how: str, meanwhile: str
) -> None:
    place.behave({"1": meanwhile, "all": "wait 0.2"})
    few = (*SHARED, "--candidates", "1", "--max-trials", "4")
    name = ("--study-name", f"cut-off-{how}")
    with contextlib.closing(Line(database.port)) as line:
        with monkeypatch.context() as context:
            context.setenv("DATABASE", database.url(port=line.port))
            first = start(place, *few, *name, job_dir="first")
        starts = place.path / "first" / "1" / "starts"
        place.wait_for(lambda: starts.exists() and bool(starts.read_text()))
        trainer = int(starts.read_text().split()[0])
        before = given_up(database)
        line.cut(how)
        place.behave({"all": "wait 0.2", "2": "wait for two", "3": "wait for three"})
        second = start(place, *few, *name, job_dir="second")
        place.wait_for(lambda: given_up(database) > before)
        (place.path / "two").touch()
        place.wait_for((place.path / "second" / "1" / "manifest.json").exists)
        if meanwhile == "wait for go":  # it trains to the end, and can tell nobody
            assert alive(trainer)
            (place.path / "go").touch()
            place.wait_for((place.path / "first" / "1" / "manifest.json").exists)
        place.wait_for((place.path / "second" / "3" / "starts").exists)
        line.mend()
        place.wait_for((place.path / "first" / "4" / "starts").exists)
        (place.path / "three").touch()
        said = ended(first), ended(second)
    assert not alive(trainer)
    assert ("the storage does not answer (" in said[0]) == (how == "refused")
    assert "this worker was not heard of for 2 s" in said[0]
    assert "trial 1: another worker has taken it over" in said[0]
    assert "trial 1: 89.5" in said[1] and "trial 1: 89.5" not in said[0]
    ended_runs = {
        path.relative_to(place.path).parent for path in place.path.glob("*/**/manifest.json")
    }
    if meanwhile == "wait for go":
        ended_runs.remove(Path("first", "1"))
    names = sorted(str(run.relative_to(run.parts[0])) for run in ended_runs)
    assert len(names) == len(set(names)) and {"1", "2", "3", "4"} < set(names)
    best = [(place.path / name / "best.json").read_bytes() for name in ("first", "second")]
    assert best[0] == best[1]


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["journal", "grpc"])
def test_other_storages_do_as_well(
    place: Place, kind: str, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.behave({"all": "wait 0.3", "2": "hang"})
    url = f"journal:{place.path / 'journal'}" if kind == "journal" else "env:PROXY"
    if kind == "grpc":
        monkeypatch.setenv("PROXY", request.getfixturevalue("proxy"))
    few = (*HEARTBEAT, "--storage", url, "--candidates", "1", "--max-trials", "4")
    workers = [start(place, *few) for _ in range(2)]
    place.wait_for((place.study / "2" / "hangs").exists)
    killed = tuner_of(place.study / "2")
    os.kill(killed, signal.SIGKILL)
    place.behave({"all": "wait 0.3"})
    for worker in workers:
        if worker.pid == killed:
            worker.communicate()
        else:
            ended(worker)
    assert [len(place.starts(str(number))) for number in range(1, 5)] == [1, 2, 1, 1]
    assert [trial["state"] for trial in parameters(place.study)] == ["SUCCEEDED"] * 4


def race(open_storage: Callable[[], Any], workers: int, trials: int) -> list[list[int]]:
    """Trials that each of several workers, all as fast as they can be, told with success."""
    raw = open_storage()
    ledger = raw.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "race.ledger")
    told: list[list[int]] = [[] for _ in range(workers)]

    def work(own: list[int]) -> None:
        storage = Patient(open_storage(), str, print)
        crew = Crew(storage, ledger, 60.0, print)
        crew.join({MAX_TRIALS: trials, MAX_PARALLEL: workers - 1})
        while any(share.result is None for share in crew.leases.trials.values()) or (
            len(crew.leases.trials) < trials
        ):
            crew.look(at_once=True)
            number = crew.leases.next_trial()
            taken = number is not None and crew.take(number, point={})
            if taken and crew.tell(number, {"state": "SUCCEEDED", "value": 1.0}):
                own.append(number)
        crew.leave()
        storages.close(storage.impatient)

    threads = [threading.Thread(target=work, args=(own,)) for own in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    storages.close(raw)
    return told


def assert_each_is_had_by_one(text: str) -> None:
    address = storages.address(text, os.environ)
    told = race(lambda: storages.opened(address), workers=6, trials=20)
    assert sorted(number for own in told for number in own) == list(range(1, 21))


@pytest.mark.usefixtures("database")
def test_each_trial_is_had_by_one_however_they_race() -> None:
    assert_each_is_had_by_one("env:DATABASE")


def test_each_trial_is_had_by_one_in_a_journal_too(tmp_path: Path) -> None:
    assert_each_is_had_by_one(f"journal:{tmp_path / 'journal'}")


def test_each_trial_is_had_by_one_behind_a_proxy_too(proxy: str) -> None:
    assert_each_is_had_by_one(proxy)


def test_a_database_that_cannot_be_had_is_one_sentence(
    place: Place, database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", database.url(port=1))
    found = place.run(*SHARED)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith(
        f"error: The storage {database.driver}://tuner:***@127.0.0.1:1/{database.database} must be"
        " there and let this worker in, but: "
    )
    assert "s3cr3t" not in found.err and found.err.count("\n") == 1
    monkeypatch.setenv("DATABASE", database.url("wr0ng"))
    found = place.run(*SHARED)
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert database.refusal in found.err and "wr0ng" not in found.err
    found = place.run("--storage", database.url())
    assert (found.code, found.out) == (2, "") and "whoever runs `ps`" in found.err
    assert "s3cr3t" not in found.err


@only_postgres
def test_a_password_may_lie_where_postgresql_looks_for_it(
    place: Place, database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.path / "pgpass"
    word = PASSWORD.replace(":", "\\:")
    file.write_text(f"127.0.0.1:{database.port}:*:tuner:{word}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    url = f"postgresql://tuner@127.0.0.1:{database.port}/postgres"
    found = place.run("--job-dir", place.study.name, *HEARTBEAT, "--storage", url,
                      "--max-trials", "1", "--candidates", "1")  # fmt: skip
    assert found.code == 0, found.err
    assert "PGPASSFILE" not in (place.study / "1" / "environment").read_text()


@pytest.mark.faults
def test_a_dashboard_finds_what_each_trial_of_each_worker_has_left(place: Place) -> None:
    journal = place.path / "journal"
    shared = (*HEARTBEAT, "--storage", f"journal:{journal}", "--max-trials", "4", "--candidates",
              "1")  # fmt: skip
    place.behave({"all": "wait for go"})
    workers = [start(place, *shared) for _ in range(2)]
    place.wait_for(lambda: all((place.study / n / "starts").exists() for n in "12"))
    (place.path / "go").touch()
    for worker in workers:
        ended(worker)
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name=place.study.name, storage=storage)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    for number, trial in enumerate(study.trials, 1):
        (meta,) = optuna.artifacts.get_all_artifact_meta(trial, storage=storage)
        content = (place.study / "artifacts" / meta.artifact_id).read_text()
        assert meta.filename == "flags.txt" and f"/{number}\n" in content


def test_another_study_of_the_name_is_refused_and_not_touched(place: Place, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    few = (*HEARTBEAT, "--storage", f"journal:{journal}", "--max-trials", "1", "--candidates", "1")
    assert place.run(*few).code == 0
    before = journal.read_bytes()
    place.write(RANDOM.replace("maxValue: 0.05", "maxValue: 0.1"))
    found = place.run(*few)
    assert found.code == 1 and found.err == (
        "error: The storage must hold this study by the name of study or none, but holds one with"
        " parameters learning_rate maxValue 0.05 (now 0.1). Give another --study-name.\n"
    )
    assert journal.read_bytes() == before
    assert place.run(*few, "--study-name", "other", "--job-dir", "other").code == 0


def test_a_study_of_another_program_is_refused(place: Place, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="study")
    before = journal.read_bytes()
    found = place.run(*HEARTBEAT, "--storage", f"journal:{journal}")
    assert found.code == 1 and "that another program has made" in found.err
    assert journal.read_bytes() == before


@pytest.mark.parametrize("word", ["journal:own/study.journal", "journal://{}/own/study.journal"])
def test_the_file_of_a_study_of_its_own_is_no_storage(place: Place, word: str) -> None:
    found = place.run(*HEARTBEAT, "--job-dir", "own", "--storage", word.format(place.path))
    assert (found.code, found.out) == (2, "")
    assert "--storage must not be own/study.journal, where a tuner keeps a study of" in found.err
    assert not (place.path / "own").exists()


def test_a_folder_with_a_study_of_its_own_is_refused(place: Place, tmp_path: Path) -> None:
    few = ("--max-trials", "1", "--candidates", "1")
    assert place.run(*few).code == 0
    found = place.run(*few, *HEARTBEAT, "--storage", f"journal:{tmp_path / 'journal'}")
    assert found.code == 1 and "must hold no study of its own, but has study.journal" in found.err


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ("--job-dir", "gs://bucket/study"),
            "--storage must come with a folder as the job dir, but gs://bucket/study is in a"
            " bucket: give a folder that the workers share.",
        ),
        (
            ("--resume-from", "before"),
            "a study in a --storage must begin with no trials of another, but is to go on from"
            " before: leave out --resume-from and resumePreviousJobId.",
        ),
        (("--heartbeat", "0.5"), "--heartbeat must be 1 second or more, but is 0.5."),
        (
            ("--storage", "env:NOWHERE"),
            "--storage env:NAME must name a variable of the environment that holds the storage's"
            " URL, but NOWHERE is not set.",
        ),
    ],
)
def test_what_does_not_go_with_a_storage_is_refused(
    place: Place, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    found = place.run(*HEARTBEAT, "--storage", f"journal:{tmp_path / 'journal'}", *flags)
    assert (found.code, found.out, found.err) == (2, "", f"error: {message}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake.json", "space.yaml"]


def test_a_name_without_a_storage_is_refused(place: Place) -> None:
    found = place.run("--study-name", "one")
    assert (found.code, found.out) == (2, "")
    assert found.err == "error: --study-name must come with --storage, but there is none.\n"


def test_one_worker_does_what_a_plain_study_does(place: Place, tmp_path: Path) -> None:
    place.write(PLAIN.replace("maxTrials: 4", "maxTrials: 7"))  # Optuna's sampler, not random
    place.behave({"3": "fail"})
    assert place.run("--job-dir", "alone", "--candidates", "2").code == 0
    journal = f"journal:{tmp_path / 'journal'}"
    assert place.run("--job-dir", "crew", *HEARTBEAT, "--storage", journal,
                     "--candidates", "2").code == 0  # fmt: skip
    alone, crew = (json.loads(Path(f, "best.json").read_bytes()) for f in ("alone", "crew"))
    assert alone.pop("cpu_seconds") > 0 < crew.pop("cpu_seconds")
    assert alone == crew
    again = place.run("--job-dir", "crew", *HEARTBEAT, "--storage", journal, "--candidates", "2")
    assert again.code == 0 and "7 trials have ended before." in again.out
    assert len((tmp_path / "crew" / "7" / "starts").read_text().splitlines()) == 1


def test_too_many_failures_end_a_shared_study_too(place: Place, tmp_path: Path) -> None:
    place.behave({"all": "fail"})
    few = (*HEARTBEAT, "--storage", f"journal:{tmp_path / 'journal'}", "--max-trials", "3",
           "--candidates", "1")  # fmt: skip
    found = place.run(*few)
    assert found.code == 1 and "fewer than 2 may fail, but 2 have" in found.err
    place.behave({})
    assert place.run(*few).code == 0, "the same command goes on"


def test_workers_with_different_plans_do_not_mix(place: Place, tmp_path: Path) -> None:
    place.behave({"1": "hang"})
    shared = (*HEARTBEAT, "--storage", f"journal:{tmp_path / 'journal'}")
    first = start(place, *shared, job_dir="study")
    place.wait_for((tmp_path / "study" / "1" / "hangs").exists)
    found = place.run(*shared, "--max-trials", "3", "--study-name", place.study.name)
    assert found.code == 1
    assert "that of the others has --max-trials 8 (now 3). Give the same" in found.err
    first.terminate()
    assert "The study was stopped" in ended(first, 143)


def test_a_process_of_another_machine_is_waited_for_and_not_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "ELSEWHERE", 0.3)
    signals: list[int] = []
    monkeypatch.setattr(process_lock, "signal_group", lambda _, number: signals.append(number))
    holder = process_lock.lock(tmp_path / "lock")
    os.pwrite(holder, f"{os.getpid()} another-boot-pid:[1]".encode(), 0)
    with pytest.raises(process_lock.StillRunning, match="a process on another machine holds lock"):
        process_lock.lock(tmp_path / "lock")
    threading.Timer(0.1, os.close, [holder]).start()
    os.close(process_lock.lock(tmp_path / "lock"))
    assert signals == []
