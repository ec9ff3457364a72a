"""`python -m benchmarks.scaling`: the cost of more agents, environments and neurons.

Steps per second of all agents together, learning included, over stack size (1 to 200),
environments (1 to 1,024) and width (16 to 1,024). Writes `results/scaling.json` and `.png`.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks.machine import RESULTS, describe, in_fresh_process, save, table

SERIES: dict[str, tuple[str, list[int]]] = {
    "agents in the stack": ("seeds", [1, 2, 5, 10, 20, 50, 100, 200]),
    "environments of one agent": ("num_envs", [1, 4, 16, 64, 256, 1024]),
    "hidden neurons": ("hidden_neurons", [16, 32, 64, 128, 256, 512, 1024]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="seconds measured for each point"
    )
    seconds = parser.parse_args().seconds
    points: dict[str, list[dict[str, Any]]] = {}
    for title, (name, values) in SERIES.items():
        points[title] = []
        for value in values:
            call = {"workload": "ours", "seconds": seconds, name: value}
            if name == "num_envs":  # the same rollout length for every number
                call["batch_size"] = 16 * value
            answer = in_fresh_process("benchmarks.workloads", json.dumps(call))
            points[title].append({name: value, **answer})
        rows = [[name, "steps/s", "seconds an update"]]
        rows += [
            [p[name], f"{p['steps_per_second']:,.0f}", f"{p['update_seconds']:.5f}"]
            for p in points[title]
        ]
        print(f"{table(rows)}\n", flush=True)
    save("scaling", {"points": points})
    _plot(points)


def _plot(points: dict[str, list[dict[str, Any]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
    for axis, (title, of) in zip(axes, points.items(), strict=True):
        name = SERIES[title][0]
        axis.loglog([p[name] for p in of], [p["steps_per_second"] for p in of], "o-")
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("steps/s, all agents together")
    machine = describe()
    figure.suptitle(f"Learning included; {machine['processor']}, {machine['cores']} cores", size=9)
    figure.savefig(RESULTS / "scaling.png", dpi=150)


if __name__ == "__main__":
    main()
