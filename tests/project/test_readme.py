"""README, CONTRIBUTING and docs/ show commands, files, folders and links that exist."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from trainer.contract.settings import Hyperparameters, RunOptions

README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
PAGES = [README, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md"))]
MOST_LINES, WIDEST, MOST_ROWS = 150, 120, 10
SCRIPTS = {path.relative_to(ROOT).as_posix() for path in (ROOT / "scripts").iterdir()}
# Commands of other programs, whose flags are not ours.
FOREIGN = ("docker", "gcloud", "pip", "ray", "kubectl", "tensorboard", "optuna-dashboard")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str = r"\w*") -> list[str]:
    """The fenced blocks of a page, those in lists too, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def table_lengths(text: str) -> list[int]:
    """The number of rows of each table, without head and rule."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [table.count("\n") - 2 for table in found]


def commands(path: Path) -> list[str]:
    """Command lines of a page that call us, from its blocks and its inline code."""
    text = read(path)
    lines = [line for block in blocks(text) for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ours = re.compile(
        r"(\w+=\S+ )?(\.venv/bin/)?(python )?(-m (trainer|tuner|benchmarks)|(\./)?scripts/\w+\.)"
    )
    return [line.partition(" #")[0] for line in lines if ours.match(line)]


@cache
def help_of(*words: str) -> str:
    """What `python -m ... --help` prints."""
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"python -m {' '.join(words)} --help: {done.stderr}"
    return done.stdout


def known_flags(command: str) -> str:
    """The text that names the flags of a command: its help, or the script itself."""
    if found := re.search(r"python -m (tuner) (\w+)", command):
        return help_of(found[1], found[2])
    if found := re.search(r"python -m ([\w.]+)", command):
        return help_of(found[1])
    script = re.search(r"scripts/(?:lib/)?\w+\.(?:sh|py)", command)
    assert script, command
    usage = read(ROOT / script[0])
    if script[0] == "scripts/train.sh":
        return usage + help_of("trainer.task")
    return usage + help_of("tuner", "run") if script[0] == "scripts/tune.sh" else usage


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", read(path), flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


def folders_of(tree: str) -> set[str]:
    """Folders that a drawn tree names: `name/` at the start of a line, indented below another."""
    found, parent = set(), ""
    for line in tree.splitlines():
        if named := re.match(r"( *)([\w.]+/)", line):
            parent = parent if named[1] else named[2]
            found.add((parent if named[1] else "") + named[2])
    return found


def the_tree(path: Path) -> set[str]:
    (tree,) = (block for block in blocks(read(path)) if block.startswith("trainer/"))
    return folders_of(tree)


def tracked_folders(parent: str = "") -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", "--", parent or "."], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip("needs a Git checkout")
    return {
        parent + name.removeprefix(parent).split("/")[0] + "/"
        for name in done.stdout.splitlines()
        if "/" in name.removeprefix(parent)
    }


def test_the_readme_takes_two_minutes() -> None:
    assert len(read(README).splitlines()) <= MOST_LINES
    assert max(table_lengths(read(README))) <= MOST_ROWS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_lines_fit_a_terminal(path: Path) -> None:
    wide = [
        line
        for line in read(path).splitlines()
        if len(line) > WIDEST and (path == README or not line.startswith("|"))
    ]
    assert not wide


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", read(path)):
        file = (path.parent / target) if target else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_scripts_modules_and_files_that_a_page_names_exist(path: Path) -> None:
    named = re.findall(
        r"(?<![\w/.-])((?:scripts|templates|requirements|benchmarks|docs|tests|trainer|tuner)"
        r"/[\w./-]*\w)", read(path),
    )  # fmt: skip
    missing = {name for name in named if not (ROOT / name).exists()}
    modules = re.findall(r"python -m ((?:trainer|tuner|benchmarks)(?:\.\w+)*)", read(path))
    missing |= {
        module
        for module in modules
        if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
        and not (ROOT / module.replace(".", "/") / "__main__.py").exists()
    }
    assert not missing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_that_a_page_shows_have_the_flags_that_it_gives(path: Path) -> None:
    for command in commands(path):
        if "benchmarks.many" in command:
            continue
        known = known_flags(command)
        for flag in re.findall(r"(?<=\s)--[a-z][\w-]*", command):
            spellings = {
                flag,
                flag.replace("_", "-"),
                flag.replace("-", "_").replace("__", "--", 1),
            }
            assert any(re.search(rf"{each}(?![\w-])", known) for each in spellings), command


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_flags_in_the_text_are_flags_of_ours(path: Path) -> None:
    known = " ".join(f"--{field.name}" for kind in (Hyperparameters, RunOptions)
                     for field in dataclasses.fields(kind))  # fmt: skip
    known += " " + known.replace("_", "-") + " "
    known += "".join(read(ROOT / name) for name in SCRIPTS if name.endswith(".sh"))
    for command in ("run", "show", "report", "reproduce", "lint", "vertex", "status", "fetch"):
        known += help_of("tuner", command)
    for module in ("batch", "play", "recover", "sync"):
        known += help_of(f"trainer.{module}")
    prose = re.sub(r"^( *)```.*?^ *```$", "", read(path), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`\n]+)`", prose):
        if not code.startswith((*FOREIGN, "python -m")):
            for flag in re.findall(r"(?:^|(?<=\s))--[a-z][\w-]*", code):
                assert re.search(rf"{flag}(?![\w-])", known) or flag in ALLOWED, flag


# Flags in prose that are docker's or Ray's, or stand for any flag.
ALLOWED = {"--read-only", "--tmpfs", "--cap-drop", "--network", "--num-cpus", "--name", "--help"}


def test_the_readme_tests_as_ci_does() -> None:
    assert "./scripts/test.sh\n" in read(README)
    assert re.search(r"^scripts/test\.sh$", read(ROOT / ".ci" / "run"), re.MULTILINE)


def test_the_readme_s_search_space_has_no_faults() -> None:
    from tuner.spec import loader

    (space,) = blocks(read(README), "yaml")
    assert space.count("\n") <= 10
    assert yaml.safe_load(space)
    loader.load(space.encode(), "README.md")  # raises where `lint` finds an error


def test_the_trees_name_folders_that_exist() -> None:
    for path in (README, CONTRIBUTING):
        assert not [name for name in the_tree(path) if not (ROOT / name).is_dir()]


def test_the_trees_leave_no_folder_out() -> None:
    top = {name for name in tracked_folders() if not name.startswith(".")}
    assert the_tree(README) == top
    inside = tracked_folders("trainer/") | tracked_folders("tuner/")
    assert the_tree(CONTRIBUTING) == top | inside
