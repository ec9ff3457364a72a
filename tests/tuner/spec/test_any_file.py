"""Properties of the loader: it reads any file, or refuses it with locations in that file."""

from __future__ import annotations

import contextlib

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.search_spaces import GOOD, GOOD_VERTEX, ORIGINAL
from tuner.cloud.vertex_job import hp_tuning_job
from tuner.spec.diagnostics import InvalidSpec, errors
from tuner.spec.google_schemas import AI_PLATFORM, VERTEX_AI
from tuner.spec.loader import examine, lint


def names_in(description: object) -> set[str]:
    """All names of fields and all words of a dialect."""
    if isinstance(description, dict):
        inside = [names_in(value) for value in description.values()]
        return set(description).union(*inside)
    if isinstance(description, list):
        return names_in(description[0])
    return set(description) if isinstance(description, tuple) else set()


NAMES = st.sampled_from(sorted(names_in(AI_PLATFORM) | names_in(VERTEX_AI)))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | NAMES
    | st.sampled_from(["gamma", "batch_size", "--seeds=5", "--seeds", "mean_score", "1e-4", "5s"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def shaped(description: object) -> st.SearchStrategy[object]:
    """Values that mostly have the shape described."""
    if isinstance(description, dict):
        fields = {name: shaped(value) | SCALARS for name, value in description.items()}
        exact: st.SearchStrategy[object] = st.fixed_dictionaries({}, optional=fields)
    elif isinstance(description, list):
        exact = st.lists(shaped(description[0]), max_size=3)
    elif isinstance(description, tuple):
        exact = st.sampled_from(description)
    else:
        exact = SCALARS
    return exact


def assert_diagnostics_stand_in(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").splitlines() or [""]
    for diagnostic in lint(data, "f.yaml"):
        assert diagnostic.severity in ("error", "warning")
        assert diagnostic.message and str(diagnostic).isprintable()
        assert 1 <= diagnostic.location.line <= len(lines) + 1
        assert diagnostic.location.column >= 1


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert_diagnostics_stand_in(data)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["trainingInput", "studySpec", "trialJobSpec"]), TREES))
def test_any_tree_of_known_names_is_diagnosed_or_accepted(tree: object) -> None:
    assert_diagnostics_stand_in(yaml.safe_dump(tree).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries({"trainingInput": shaped(AI_PLATFORM["trainingInput"])})
    | st.fixed_dictionaries(
        {name: shaped(VERTEX_AI[name]) for name in ("studySpec", "trialJobSpec")}
    )
)
def test_values_of_nearly_the_right_shape_are_diagnosed_or_accepted(tree: object) -> None:
    assert_diagnostics_stand_in(yaml.safe_dump(tree).encode())


FRAGMENTS = [
    *("\t", "\u00a0", "\u200b", "\ufeff", "\u2028", "\r", "\0", "\x1b", "\ud800"),
    *("<<<<<<< HEAD\n", "=======\n", "{{ x }}", "${X}", "{% x %}", "&a ", "*a", "<<: *a", "<<: "),
    *(
        "!!int ",
        "!!set ",
        "!x ",
        "? ",
        "- ",
        ": ",
        "# ",
        "'",
        '"',
        "|\n",
        "---\n",
        "...\n",
        "[",
        "}",
    ),
    *("1e400", "0o7", "010", "1:30", "2026-11-29", "~", "yes", ".nan", "-0.0", "9" * 5000),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([GOOD, GOOD_VERTEX, ORIGINAL.read_text(encoding="utf-8")]),
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.integers(0, 20),
            st.text(max_size=5) | st.sampled_from(FRAGMENTS),
        ),
        max_size=4,
    ),
)
def test_any_damage_to_a_valid_file_is_diagnosed_or_accepted(
    text: str, damages: list[tuple[int, int, str]]
) -> None:
    for start, length, put in damages:
        text = text[:start] + put + text[start + length :]
    data = text.encode("utf-8", "replace")
    assert_diagnostics_stand_in(data)
    spec, found = examine(data, "f.yaml")
    if spec and not errors(found):
        with contextlib.suppress(InvalidSpec):
            hp_tuning_job(spec, image="a2c:1", job_dir="gs://bucket/job")
