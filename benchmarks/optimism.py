"""`python -m benchmarks.optimism`: how much searches overstate the score of their winner.

The usual search trains every trial once and reports the best score. Ours trains several agents a
trial, trains the best five again on fresh seeds, and chooses by the lower bound. Both have the same
search space, sampler and steps an agent, and all winners are tested on the same fresh seeds.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from benchmarks.machine import save, table
from benchmarks.many import Search, Trial, options, searching, template, together
from trainer.contract.statistics import interquartile_mean, interval
from tuner.search import sampling
from tuner.spec.study_spec import StudySpec

TRIALS, AGENTS = 30, 5
CANDIDATES, CONFIRM_AGENTS, TEST_AGENTS = 5, 10, 20
CONFIRM, TEST = 1_000_000, 2_000_000  # first seeds, beyond those of the searches
OURS = f"ours: {TRIALS} trials of {AGENTS}, the best {CANDIDATES} confirmed"
SAMPLER = partial(sampling.sampler, "")


def usual(spec: StudySpec, repeat: int, trials: int) -> Search[tuple[float, float]]:
    """One run a trial; the claim is the best score."""
    ranked = yield from searching(spec, SAMPLER, seed=repeat, agents=1, trials=trials)
    values, claimed = ranked[0]
    (tested,) = yield [Trial(values, TEST + repeat, TEST_AGENTS)]
    return claimed, float(interquartile_mean(tested))


def ours(spec: StudySpec, repeat: int) -> Search[tuple[float, float]]:
    """Several agents a trial; the claim is the score of the confirmation.

    As `tuner.study.stages`, except that no candidate is dropped after half of its seeds.
    """
    ranked = yield from searching(spec, SAMPLER, seed=repeat, agents=AGENTS, trials=TRIALS)
    best = [values for values, _ in ranked[:CANDIDATES]]
    confirmed = yield [Trial(values, CONFIRM + repeat, CONFIRM_AGENTS) for values in best]
    chosen = max(range(len(best)), key=lambda place: interval(confirmed[place])[0])
    (tested,) = yield [Trial(best[chosen], TEST + repeat, TEST_AGENTS)]
    return float(interquartile_mean(confirmed[chosen])), float(interquartile_mean(tested))


def main() -> None:
    chosen = options(__doc__, repeats=10)
    spec, started, repeats = template(), time.monotonic(), range(chosen.repeats)
    as_many = TRIALS * AGENTS + CANDIDATES * CONFIRM_AGENTS
    ways = {
        f"usual: {TRIALS} trials of one run": [usual(spec, r, TRIALS) for r in repeats],
        f"usual: {as_many} trials of one run": [usual(spec, r, as_many) for r in repeats],
        OURS: [ours(spec, repeat) for repeat in repeats],
    }
    searches = [search for of_way in ways.values() for search in of_way]
    found = np.array(together(searches, chosen.total_steps)).reshape(len(ways), -1, 2)
    rows: list[list[object]] = [
        ["way", "claimed", "tested", "worst tested", "optimism [95%]", "largest"]
    ]
    for name, (claimed, tested) in zip(ways, found.swapaxes(1, 2), strict=True):
        gaps = claimed - tested
        low, high = interval(gaps)
        rows.append(
            [name, f"{claimed.mean():.1f}", f"{tested.mean():.1f}", f"{tested.min():.1f}",
             f"{float(interquartile_mean(gaps)):+.1f} [{low:+.1f}, {high:+.1f}]",
             f"{gaps.max():+.1f}"]
        )  # fmt: skip
    print(f"{chosen.repeats} searches each way, {chosen.total_steps:,} steps an agent,"
          f" {time.monotonic() - started:.0f} s\n")  # fmt: skip
    print(table(rows))
    save(
        "optimism",
        {
            "total_steps": chosen.total_steps,
            "claimed_and_tested": dict(zip(ways, found.tolist(), strict=True)),
        },
    )


if __name__ == "__main__":
    main()
