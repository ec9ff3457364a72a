from __future__ import annotations

import numpy as np

from trainer.agents.random_streams import Purpose, Streams


def test_no_two_streams_share_a_number() -> None:
    streams = Streams([(seed, agent) for seed in range(3) for agent in range(3)])
    draws = [
        streams.generator(purpose, agent, counter).integers(2**63, size=8)
        for purpose in Purpose
        for agent in range(9)
        for counter in (0, 1, 2**32, 2**62)
    ]
    assert len(np.unique(draws)) == np.size(draws)


def test_an_agent_draws_the_same_in_a_stack_of_any_size() -> None:
    small, large = Streams([(7, 0), (7, 1)]), Streams([(7, agent) for agent in range(5)])
    shape = (4, 3)
    of_small = small.uniform(Purpose.ACTING, [5, 6], shape)
    of_large = large.uniform(Purpose.ACTING, [5, 6, 0, 0, 0], shape)
    np.testing.assert_array_equal(of_small, of_large[:, :2])


def test_draws_depend_on_nothing_but_seed_agent_purpose_and_counter() -> None:
    streams = Streams([(1, 0)])
    first = streams.uniform(Purpose.ENVIRONMENT, [3], (2, 2))
    streams.uniform(Purpose.ENVIRONMENT, [4], (2, 2))
    np.testing.assert_array_equal(
        first, Streams([(1, 0)]).uniform(Purpose.ENVIRONMENT, [3], (2, 2))
    )


def test_counters_of_two_numbers_do_not_collide_with_those_of_one() -> None:
    streams = Streams([(0, 0)])
    draws = {
        streams.generator(Purpose.ENVIRONMENT, 0, *counter).integers(2**63)
        for counter in [(0, 1), (1, 0), (1, 1), (2, 0), (0, 2)]
    }
    assert len(draws) == 5
