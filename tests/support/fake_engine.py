"""Stands in for a container engine: its containers are processes that outlive their client.

`$ENGINE` names its folder: a line of `calls` for each call, and a file for each container. It has
one image, whose entrypoint is the trainer's stand-in, and in whose containers there is no more of
our environment than `--env` gives.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["ENGINE"])
WITH_VALUE = {"--name", "--label", "--user", "--network", "--volume", "--entrypoint"}
ENTRYPOINT = [sys.executable, str(Path(__file__).with_name("fake_trainer.py"))]


def runs(name: str) -> bool:
    """Whether there is such a container; in some, nobody takes away a process that has ended."""
    try:
        process = int((FOLDER / name).read_text())
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def hit(name: str, number: int) -> None:
    os.killpg(int((FOLDER / name).read_text()), number)


def run(words: list[str]) -> int:
    options: dict[str, str] = {}
    environment = {"ENGINE": str(FOLDER), "FAKE": os.environ["FAKE"]}
    while words[0].startswith("-"):
        word = words.pop(0)
        if word in WITH_VALUE:
            options[word] = words.pop(0)
        elif word.startswith("--env="):
            name, _, value = word.removeprefix("--env=").partition("=")
            environment[name] = value
    del words[0]  # the image
    name = options["--name"]
    if runs(name):
        print(f"Error: the container name {name} is in use")
        return 125
    program = [options["--entrypoint"]] if "--entrypoint" in options else ENTRYPOINT
    process = subprocess.Popen([*program, *words], env=environment, start_new_session=True)
    (FOLDER / name).write_text(str(process.pid))
    signal.signal(signal.SIGTERM, lambda number, frame: hit(name, number))
    code = process.wait()
    (FOLDER / name).unlink(missing_ok=True)
    return 128 - code if code < 0 else code


def main(words: list[str]) -> int:
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    what, name = words[0], words[-1]
    if what == "run":
        return run(words[1:])
    if words[:2] == ["image", "inspect"]:
        if name == "image:1":
            return 0
        print(f"Error: No such image: {name}", file=sys.stderr)
        return 1
    if not runs(name):
        print(f"Error: No such container: {name}", file=sys.stderr)
        return 1
    for number in {"stop": [15, 9], "kill": [9], "rm": [9]}.get(what, []):
        hit(name, number)
        for _ in range(100):
            if not runs(name):
                break
            time.sleep(0.02)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
