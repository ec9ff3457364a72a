"""Both kinds of collectors, for tests of their contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.collectors import Make, compiled, gymnasium


@pytest.fixture(params=[compiled, gymnasium], ids=["compiled", "gymnasium"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    yield request.param
