"""Holds the imports between modules to a table, so that the structure stays the one we chose."""

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import modules of lower layers only. A new module fails here until it has a place.
TRAINER = (
    {"task", "batch", "play", "recover", "sync"},
    {"lanes"},
    {"member"},
    {"session", "stack", "voices"},
    {"shapes"},
    {"preparation", "run", "endings"},
    {"train", "job"},
    {"learners", "mirror", "console", "export", "flags", "policy", "provenance", "recording"},
    {"compiled_collector", "gymnasium_collector", "claims", "cloud", "programs", "reporting"},
    {"agents", "simulation", "milestones", "scores", "artifacts", "storage"},
    {"collectors", "updates"},
    {"algorithms", "networks"},
    {"cartpole", "environments", "randomness", "returns", "rollout", "checkpoint"},
    {"config"},
    {"presets", "runtime", "signals"},
    {"__init__"},  # the version
)
TUNER = (
    {"__main__"},
    {"report.command"},
    {"report.page", "report.gather"},
    {"report.words", "report.reproduce", "report.figures", "report.search"},
    {"report.charts", "report.told", "report.noise"},
    {"report.runs", "report.journal", "report.files"},
    {"report.model", "report.chart"},
    {"run", "reproduce", "show"},
    {"conduct"},
    {"protocol", "opening", "resume", "places", "workers"},
    {"shared"},
    {"lint", "vertex", "jobs", "fetch", "choosing", "results", "services"},
    {"experiment", "gallery", "telling"},
    {"recipe"},
    {"ai_platform", "vertex_ai", "service_rules", "trainer_rules", "advice", "engine", "study"},
    {"mirror", "crew"},
    {"records", "sampling", "leases"},
    {"dialects", "reading", "flags", "trials", "plan", "remote"},
    {"command", "measurements", "objective", "plot", "space", "containers", "claim"},
    {"schema", "spec", "curves", "estimates", "orphans", "screen", "seeds", "display", "bucket"},
    {"document", "differences", "storage", "patience", "journal"},
    {"findings", "play_it", "whole"},
    {"__init__", "report.__init__"},
)
# Importer and imported of one layer.
ALLOWED = {("trainer.console", "trainer.reporting")}

# What a run depends on is in its flags; the environment says only where it runs. Settings for
# libraries that are loaded later (`os.environ.setdefault`) may be made anywhere.
READ_THE_ENVIRONMENT = {"runtime", "task", "member", "reporting"}


class Package(NamedTuple):
    name: str
    modules: dict[str, ast.Module]
    heights: dict[str, int]


def modules(package: str) -> dict[str, ast.Module]:
    folder = ROOT / package
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): ast.parse(path.read_bytes())
        for path in sorted(folder.rglob("*.py"))
    }


def imported(tree: ast.Module) -> Iterator[str]:
    """Absolute names of all that is imported, inside functions and for type checking too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full, not relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str, known: Collection[str]) -> str:
    """The module that `package.a.b` means: `b` may be a name inside `a`."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts) or "__init__"


def reads_environment(tree: ast.Module) -> bool:
    """Whether `os.environ` is used for anything but `setdefault`, or `os.getenv` at all."""
    texts = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    reads = texts.count("os.environ") > texts.count("os.environ.setdefault")
    # Under a name of its own it could be read unseen.
    return reads or "os.getenv" in texts or "os.environ" in imported(tree)


def package(name: str, layers: Sequence[set[str]]) -> Package:
    heights = {module: -depth for depth, layer in enumerate(layers) for module in layer}
    return Package(name, modules(name), heights)


PACKAGES = {"trainer": package("trainer", TRAINER), "tuner": package("tuner", TUNER)}


@pytest.mark.parametrize("name, layers", [("trainer", TRAINER), ("tuner", TUNER)])
def test_every_module_has_exactly_one_layer(name: str, layers: Sequence[set[str]]) -> None:
    placed = [module for layer in layers for module in layer]
    assert sorted(placed) == sorted(PACKAGES[name].modules)


@pytest.mark.parametrize(
    "name, module", [(p.name, module) for p in PACKAGES.values() for module in p.modules]
)
def test_imports_point_down(name: str, module: str) -> None:
    home = PACKAGES[name]
    for target in imported(home.modules[module]):
        if target.split(".")[0] == name:
            other = module_of(target, home.modules)
            assert (
                home.heights[other] < home.heights[module]
                or (f"{name}.{module}", f"{name}.{other}") in ALLOWED
            ), f"{name}.{module} imports {name}.{other}, which is not below it"


@pytest.mark.parametrize("name, other", [("trainer", "tuner"), ("tuner", "trainer")])
def test_packages_do_not_import_each_other(name: str, other: str) -> None:
    for module, tree in PACKAGES[name].modules.items():
        for target in imported(tree):
            assert target.split(".")[0] != other, f"{name}.{module} imports {target}"


def test_few_modules_read_the_environment() -> None:
    trees = PACKAGES["trainer"].modules
    assert {name for name, tree in trees.items() if reads_environment(tree)} <= (
        READ_THE_ENVIRONMENT
    )
