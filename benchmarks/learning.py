"""`python -m benchmarks.learning`: how fast and how reliably the defaults learn.

Scores final policies, greedy and sampled, on fresh episodes that neither training nor validation
used. No checkpoint is selected and no seed is left out, and these seeds were never used to choose a
default. Writes `results/learning.json` and the curves as `results/learning.png`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.experiment import Result, run
from benchmarks.machine import RESULTS, save, table

SEED = "2026"
SEEDS, SEEDS_EARLY_STOP, SEEDS_V0 = 40, 100, 20
SOLVED = 475.0
NO_STOP = ("--stop_at_score", "none", "--validation_episodes", "100")
TARGETS = {  # figure: (a2c, pg)
    "interquartile mean at 100k": (499.95, 499.95),
    "worst seed at 100k": (475, 475),
    "worst seed at 200k": (495, 490),
    "sampled mean at 200k": (499, 485),
    "share of evaluations still solved": (0.97, 0.90),
    "first solve, median steps": (20_000, 20_000),
    "first solve, slowest seed": (60_000, 60_000),
    "early stop: seeds of 100 at 475 or better": (98, 98),
    "CartPole-v0: seeds of 20 at 195 or better": (20, 20),
}
LESS_IS_BETTER = ("first solve, median steps", "first solve, slowest seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tasks", nargs="+", metavar="ID", help="A2C on these environments instead"
    )
    if tasks := parser.parse_args().tasks:
        other_tasks(tasks)
        return
    results = {algorithm: _cartpole(algorithm) for algorithm in ("a2c", "pg")}
    figures = {algorithm: _figures(of) for algorithm, of in results.items()}
    rows: list[list[object]] = [["figure", "A2C", "target", "PG", "target"]]
    for name, (a2c, pg) in TARGETS.items():
        sign = "at most" if name in LESS_IS_BETTER else "at least"
        ours = (figures["a2c"][name], figures["pg"][name])
        rows.append(
            [name, _cell(name, ours[0], a2c), f"{sign} {a2c:g}",
             _cell(name, ours[1], pg), f"{sign} {pg:g}"]
        )  # fmt: skip
    text = table(rows)
    print(text)
    print("\n(*) missed")
    for algorithm, of in results.items():
        for name, result in of.items():
            print(f"{algorithm} {name}: {result.seconds:.0f} s  {' '.join(result.flags)}")
    save(
        "learning",
        {
            "figures": figures,
            "targets": TARGETS,
            "table": text.splitlines(),
            "runs": {
                algorithm: {name: result.as_json() for name, result in of.items()}
                for algorithm, of in results.items()
            },
        },
    )
    _plot(results)


def _cartpole(algorithm: str) -> dict[str, Result]:
    common = ("--algorithm", algorithm, "--seed", SEED)
    forty = (*common, "--seeds", str(SEEDS), *NO_STOP)
    return {
        "100k": run(*forty, "--total_steps", "100000"),
        "200k": run(*forty, "--total_steps", "200000"),
        "60k": run(*common, "--seeds", "100", "--total_steps", "60000", "--stop_at_score", "none"),
        "early stop": run(*common, "--seeds", str(SEEDS_EARLY_STOP)),
        "v0": run(*common, "--seeds", str(SEEDS_V0), "--environment", "CartPole-v0"),
    }


def _figures(results: dict[str, Result]) -> dict[str, float]:
    from trainer.outputs.scores import interquartile_mean

    short, long, early, v0 = (results[k] for k in ("100k", "200k", "early stop", "v0"))
    return {
        "interquartile mean at 100k": float(interquartile_mean(short.greedy)),
        "worst seed at 100k": float(short.greedy.min()),
        "worst seed at 200k": float(long.greedy.min()),
        "sampled mean at 200k": float(long.sampled.mean()),
        "share of evaluations still solved": long.stayed,
        "first solve, median steps": float(np.median(long.first_solves)),
        "first solve, slowest seed": float(long.first_solves.max()),
        "early stop: seeds of 100 at 475 or better": int((early.greedy >= SOLVED).sum()),
        "CartPole-v0: seeds of 20 at 195 or better": int((v0.greedy >= 195).sum()),
    }


def _cell(name: str, value: float, target: float) -> str:
    met = value <= target if name in LESS_IS_BETTER else value >= target
    shown = f"{value:,.0f}" if value > 1000 else f"{value:.4g}"
    return shown if met else f"{shown} (*)"


def other_tasks(names: list[str]) -> None:
    """A2C, ten seeds each, with the presets, through the Gymnasium collector."""
    runs: dict[str, Any] = {}
    rows: list[list[object]] = [["task", "steps", "seeds", "mean", "worst", "threshold", "seconds"]]
    for name in names:
        result = run(
            "--environment", name, "--seed", SEED, "--seeds", "10", "--stop_at_score", "none"
        )
        runs[name] = result.as_json()
        rows.append(
            [name, f"{result.settings['total_steps']:,}", 10, f"{result.greedy.mean():.1f}",
             f"{result.greedy.min():.1f}", result.solved_at_score, f"{result.seconds:.0f}"]
        )  # fmt: skip
        print(table(rows), flush=True)
    save("tasks", {"runs": runs})


def _plot(results: dict[str, dict[str, Result]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    names = {"a2c": "A2C", "pg": "Policy gradient"}
    for axis, (algorithm, of) in zip(axes, results.items(), strict=True):
        result = of["200k"]
        x, curves = np.array(result.evaluation_steps) / 1000, result.curves
        bands = [(0, 100, 0.15, "all 40 seeds"), (25, 75, 0.35, "middle half")]
        for low, high, alpha, label in bands:
            edges = np.percentile(curves, [low, high], axis=1)
            axis.fill_between(x, *edges, color="C0", alpha=alpha, linewidth=0, label=label)
        axis.plot(x, np.median(curves, axis=1), color="C0", label="median")
        axis.axhline(SOLVED, color="0.4", linewidth=1, linestyle=":")
        axis.annotate("solved", (x[-1], SOLVED), (-4, -12), textcoords="offset points", ha="right")
        axis.set_title(f"{names[algorithm]} on CartPole-v1")
        axis.set_xlabel("environment steps, thousands")
        axis.set_xlim(0, x[-1])  # the first evaluation comes after 5k steps
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("score, 100 episodes")
    axes[0].set_ylim(0, 510)
    axes[0].legend(frameon=False, loc="lower right")
    figure.savefig(RESULTS / "learning.png", dpi=150)


if __name__ == "__main__":
    main()
