"""
What every test shares: the loop, logs that end with their test, databases, and hypothesis without wall-clock judgements.

The profile `night` (`make night`) has many times the examples: twenty times in the tests that ask `tests.support.nights` how many they
should try, forty times in the others; and no test has a deadline.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.nights import is_night
from tests.support.postgres import Cluster, NoPostgresError, open_cluster

settings.register_profile("voisin", max_examples=25, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("night", settings.get_profile("voisin"), max_examples=1_000)
settings.load_profile("voisin")

YOUNG_MIDDLE_OLD = (10_000, 20, 20)
"""How many new objects are looked through for cycles, how many such looks make one through those that outlived them, and so on."""

# Containers often tell Python to keep no compiled modules; each of the processes that tests start would compile everything again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """At night nothing is too slow."""
    if is_night():
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


def pytest_collection_finish() -> None:
    """Look no more for cycles among what is there before the first test: it is mostly code, and took a seventh of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG_MIDDLE_OLD)


@pytest.fixture
def anyio_backend() -> str:
    """The loop our services run on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Undo what a command under test did to the logs: its standard error is gone when the next test writes to it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server for this process's tests; where it is not installed they are skipped, in the continuous integration they fail."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(open_cluster())
        except NoPostgresError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        yield cluster


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases, first all of them of one kind, then of the other, and answers their addresses."""
    numbers = count()
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path}/records{next(numbers)}.sqlite"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(cluster.database())


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The address of an empty database of either kind."""
    return new_database()
