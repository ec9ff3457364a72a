"""Reads a search space of either dialect and checks it, in the order of the file."""

from __future__ import annotations

import re

from tuner.spec import ai_platform, service_rules, trainer_rules, vertex_ai, warnings, yaml_tree
from tuner.spec.diagnostics import ERROR, Diagnostic, InvalidSpec, errors
from tuner.spec.study_spec import StudySpec

_TEMPLATE = re.compile(r"[^\s,#]*?(\$\{|\$(?=\w)|\{\{|\{%)")


def examine(data: bytes, file: str) -> tuple[StudySpec | None, list[Diagnostic]]:
    """The study in a file's `data`, as far as it can be read, and all diagnostics."""
    try:
        tree = yaml_tree.read(data, file)
    except InvalidSpec as invalid:
        return None, invalid.diagnostics
    keys = tree.content.keys() if isinstance(tree.content, dict) else set()
    ours, theirs = "trainingInput" in keys, {"studySpec", "trialJobSpec"} & keys
    if ours == bool(theirs):
        message = (
            f"the file has {'both' if ours else 'neither'} of `trainingInput` (AI Platform) and"
            " `studySpec` with `trialJobSpec` (Vertex AI) at its top. Write one of them."
        )
        return None, [Diagnostic(ERROR, tree.location, message)]
    spec, found = (ai_platform if ours else vertex_ai).read(tree)
    for more in (service_rules.check(spec), trainer_rules.check(spec), warnings.check(spec)):
        # One diagnostic per mistake: that of the first check that finds it.
        reported = {diagnostic.location for diagnostic in found}
        found += [diagnostic for diagnostic in more if diagnostic.location not in reported]
    lines = data.decode("utf-8-sig").split("\n")
    found = [_with_template(diagnostic, lines) for diagnostic in set(found)]
    return spec, sorted(found, key=lambda each: (each.location, each.message))


def _with_template(diagnostic: Diagnostic, lines: list[str]) -> Diagnostic:
    """Explains a wrong value that begins a template which some tool did not fill in."""
    _, line, column = diagnostic.location
    template = _TEMPLATE.match(lines[line - 1][column - 1 :])
    if not template or diagnostic.severity != ERROR:
        return diagnostic
    hint = f" `{template[1]}` begins a template that was not filled in."
    return diagnostic._replace(message=diagnostic.message + hint)


def lint(data: bytes, file: str) -> list[Diagnostic]:
    """The errors and the warnings about a file."""
    return examine(data, file)[1]


def load(data: bytes, file: str) -> StudySpec:
    """The study in a file. Raises InvalidSpec, with all diagnostics, if there are errors."""
    spec, diagnostics = examine(data, file)
    if spec is None or errors(diagnostics):
        raise InvalidSpec(diagnostics)
    return spec
