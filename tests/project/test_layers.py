"""Holds the imports between folders to a table, so that the structure stays the one we chose."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# One line a folder: what it may import beside itself. Nothing points up, so there are no circles.
# The package's own modules, its commands, may import all of them.
LAYERS = {
    "trainer": {
        "batch": "run training outputs rollouts environments agents contract storage process",
        "run": "exports training outputs rollouts environments agents contract storage process",
        "exports": "outputs environments agents contract storage process",
        "training": "rollouts environments agents contract storage process",
        "outputs": "environments agents contract storage process",
        "rollouts": "environments agents contract storage",
        "agents": "contract storage",
        "environments": "contract storage",
        "storage": "contract",
        "process": "contract",
        "contract": "",
    },
    "tuner": {
        "commands": "study report outputs cloud search execution spec",
        "study": "outputs cloud search execution spec",
        "report": "outputs cloud search execution spec",
        "outputs": "search execution spec",
        "cloud": "search execution spec",
        "search": "execution spec",
        "execution": "spec",
        "spec": "",
    },
}
# The door between the packages: all of the trainer that the tuner may import.
DOOR = ("trainer.contract", "trainer.storage")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Absolute names of all that is imported, inside functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full, not relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder_of(name: str) -> str:
    """The folder that `package.folder.module.name` lies in; "" for the package itself."""
    package, *parts = name.split(".")
    return parts[0] if parts and (ROOT / package / parts[0]).is_dir() else ""


@pytest.mark.parametrize("package", LAYERS)
def test_every_folder_has_a_line(package: str) -> None:
    folders = {path.relative_to(ROOT / package).parts[0] for path in modules(package)}
    assert {name for name in folders if not name.endswith(".py")} == set(LAYERS[package])


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_down(package: str) -> None:
    for path in modules(package):
        parts = path.relative_to(ROOT / package).parts
        if len(parts) == 1:
            continue
        allowed = {parts[0], *LAYERS[package][parts[0]].split()}
        for name in imported(path):
            if name.split(".")[0] == package and (other := folder_of(name)):
                assert other in allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", LAYERS)
def test_no_module_imports_itself_in_a_circle(package: str) -> None:
    graph = {dotted(path): set(edges(path)) for path in modules(package)}
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert not graph, f"import circles among {sorted(graph)}"


def test_the_tuner_imports_two_folders_of_the_trainer() -> None:
    for path in modules("tuner"):
        for name in imported(path):
            if name.split(".")[0] == "trainer":
                assert name.startswith(DOOR), f"{path.relative_to(ROOT)} imports {name}"


def test_the_trainer_imports_nothing_of_the_tuner() -> None:
    for path in modules("trainer"):
        assert not [name for name in imported(path) if name.split(".")[0] == "tuner"], path


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def edges(path: Path) -> Iterator[str]:
    """The modules of its own package that a module imports, itself left out."""
    package = path.relative_to(ROOT).parts[0]
    known = {dotted(each) for each in modules(package)}
    for name in imported(path):
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name and name != dotted(path) and name != package:
            yield name
