"""Holds the imports between modules to a table, so that the structure stays the one we chose."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import modules of lower layers only. A new module fails here until it has a place.
LAYERS = (
    {"task", "play", "recover", "sync"},
    {"run", "job"},
    {"train", "mirror"},
    {"learners", "console", "export", "flags", "provenance", "recording", "reporting"},
    {"compiled_collector", "gymnasium_collector", "claims", "cloud"},
    {"agents", "collectors", "scores", "artifacts", "storage"},
    {"algorithms", "networks"},
    {"cartpole", "environments", "randomness", "returns", "rollout", "checkpoint"},
    {"config"},
    {"presets", "signals"},
    {"__init__"},  # the version
)
# Importer and imported of one layer.
ALLOWED = {("console", "reporting")}

# What a run depends on is in its flags; the environment says only where it runs. Settings for
# libraries that are loaded later (`os.environ.setdefault`) may be made anywhere.
READ_THE_ENVIRONMENT = {"task", "reporting"}

HEIGHTS = {name: -depth for depth, layer in enumerate(LAYERS) for name in layer}


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


def module_of(name: str, known: set[str]) -> str:
    """The module of the trainer that `trainer.a.b` means: `b` may be a name inside `a`."""
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


TRAINER = modules("trainer")


def test_every_module_has_exactly_one_layer() -> None:
    placed = [name for layer in LAYERS for name in layer]
    assert sorted(placed) == sorted(TRAINER)


@pytest.mark.parametrize("module", TRAINER)
def test_imports_point_down(module: str) -> None:
    for name in imported(TRAINER[module]):
        if name.split(".")[0] == "trainer":
            other = module_of(name, set(TRAINER))
            assert HEIGHTS[other] < HEIGHTS[module] or (module, other) in ALLOWED, (
                f"trainer.{module} imports trainer.{other}, which is not below it"
            )


@pytest.mark.parametrize(("package", "other"), [("trainer", "tuner"), ("tuner", "trainer")])
def test_packages_do_not_import_each_other(package: str, other: str) -> None:
    for module, tree in modules(package).items():
        for name in imported(tree):
            assert name.split(".")[0] != other, f"{package}.{module} imports {name}"


def test_few_modules_read_the_environment() -> None:
    assert {name for name, tree in TRAINER.items() if reads_environment(tree)} <= (
        READ_THE_ENVIRONMENT
    )
