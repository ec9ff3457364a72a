"""Reads a file of either dialect and finds all that is wrong with it, in order of place."""

from __future__ import annotations

from tuner.spec import ai_platform, service_rules, trainer_rules, vertex_ai, warnings, yaml_tree
from tuner.spec.diagnostics import ERROR, Finding, Refused, errors
from tuner.spec.study_spec import StudySpec


def examine(data: bytes, file: str) -> tuple[StudySpec | None, list[Finding]]:
    """The study in a file's `data`, as far as it can be read, and what to change in it."""
    try:
        tree = yaml_tree.read(data, file)
    except Refused as refused:
        return None, refused.findings
    keys = tree.content.keys() if isinstance(tree.content, dict) else set()
    ours, theirs = "trainingInput" in keys, {"studySpec", "trialJobSpec"} & keys
    if ours == bool(theirs):
        message = (
            "the file must have `trainingInput` (AI Platform) or `studySpec` and `trialJobSpec`"
            f" (Vertex AI) at its top, but has {'both' if ours else 'neither'}."
        )
        return None, [Finding(ERROR, tree.place, message)]
    spec, findings = (ai_platform if ours else vertex_ai).read(tree)
    for more in (service_rules.check(spec), trainer_rules.check(spec), warnings.check(spec)):
        # What is already wrong has no more to say: one slip, one finding.
        judged = {finding.place for finding in findings}
        findings += [finding for finding in more if finding.place not in judged]
    return spec, sorted(set(findings), key=lambda finding: (finding.place, finding.message))


def lint(data: bytes, file: str) -> list[Finding]:
    """All findings about a file, its errors and its warnings."""
    return examine(data, file)[1]


def load(data: bytes, file: str) -> StudySpec:
    """The study in a file without errors; raises Refused with all findings where there are some."""
    spec, findings = examine(data, file)
    if spec is None or errors(findings):
        raise Refused(findings)
    return spec
