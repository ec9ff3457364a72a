"""Pins what CI and the images take from others: actions to commits, base images to digests.

    python3 scripts/pin_digests.py

Rewrites `uses:` lines in .github/workflows and `FROM` lines in Dockerfiles. The tag stays beside
the digest, so the same command updates it later. Needs a network, git, and docker with buildx for
images. Whatever cannot be read stays as it is, is named, and makes the exit code 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ACTION = re.compile(r"(uses: )([\w.-]+/[\w.-]+)@(?:[0-9a-f]{40} # )?(\S+)")
IMAGE = re.compile(r"^(FROM )([\w./:-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?", re.MULTILINE)


def output_of(*command: str) -> str:
    """What a command prints; nothing where it fails or is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def commit_of(action: str, tag: str) -> str:
    """The commit that a tag of an action points to; an annotated tag lists it in its last line."""
    ref = f"refs/tags/{tag}"
    lines = output_of("git", "ls-remote", f"https://github.com/{action}", ref, f"{ref}^{{}}")
    return (re.findall(r"^[0-9a-f]{40}", lines, re.MULTILINE) or [""])[-1]


def digest_of(image: str) -> str:
    """The digest of an image's manifest, of all platforms together."""
    template = "{{.Manifest.Digest}}"
    found = output_of("docker", "buildx", "imagetools", "inspect", image, "--format", template)
    return found.strip() if re.fullmatch(r"sha256:[0-9a-f]{64}", found.strip()) else ""


def pinned(text: str, unread: Callable[[str], None]) -> str:
    """Returns a workflow or a Dockerfile with digests; calls `unread` for what has none."""

    def action(found: re.Match[str]) -> str:
        uses, name, tag = found.groups()
        if commit := commit_of(name, tag):
            return f"{uses}{name}@{commit} # {tag}"
        unread(f"{name}@{tag}")
        return found[0]

    def image(found: re.Match[str]) -> str:
        if digest := digest_of(found[2]):
            return f"{found[1]}{found[2]}@{digest}"
        unread(found[2])
        return found[0]

    return IMAGE.sub(image, ACTION.sub(action, text))


def main() -> int:
    unread: list[str] = []
    for path in [*sorted((ROOT / ".github/workflows").glob("*.yml")), *ROOT.glob("Dockerfile*")]:
        text = path.read_text(encoding="utf-8")
        path.write_text(pinned(text, unread.append), encoding="utf-8")
    for name in unread:
        print(
            f"pin_digests.py: no digest could be read for {name}; it stays as it is",
            file=sys.stderr,
        )
    return 1 if unread else 0


if __name__ == "__main__":
    sys.exit(main())
